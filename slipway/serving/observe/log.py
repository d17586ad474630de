"""The log: one line for a request that is refused, a stack trace for one that failed, each with the request's id."""

import logging
from contextvars import ContextVar

from bentoml.exceptions import BentoMLException
from pydantic import ValidationError

request_id: ContextVar[str] = ContextVar("request_id", default="-")
is_reported: ContextVar[bool] = ContextVar("is_reported", default=False)  # whether the log has what became of it


def is_refusal(error: BaseException | None) -> bool:
    """Whether an exception is the client's mistake."""
    if isinstance(error, BentoMLException):
        return error.error_code.value < 500
    return isinstance(error, ValidationError)


def reason(error: BaseException) -> str:
    """Why a request was refused, in a line: of several problems the first, which names the record and the field."""
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))[:100]
    more = f", and {error.error_count() - 1:,} more" if error.error_count() > 1 else ""
    return f"{where}: {first['msg']}{more}" if where else f"{first['msg']}{more}"


class RequestLog(logging.Filter):
    """Adds the request's id to what BentoML says of an exception, and cuts the trace of one that the client caused."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record; lets every one pass."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            is_reported.set(True)
            record.msg = f"{record.getMessage()}, request {request_id.get()}"
            record.args = None
            if is_refusal(error):
                record.msg += f": {reason(error).encode('unicode_escape').decode()}"  # clients write no lines here
                record.levelno, record.levelname = logging.WARNING, "WARNING"
                record.exc_info = None
        return True


def install() -> None:
    """Put the filter before BentoML's own, which reads the level. Once is enough for a process."""
    for handler in logging.getLogger("bentoml").handlers:  # through which BentoML reports exceptions
        if not any(isinstance(each, RequestLog) for each in handler.filters):
            handler.filters.insert(0, RequestLog())
