"""Records that come as a file: a recording, say.

BentoML reads a form as well, but it fetches from the network what a form names by an address, writes each file to the
disk, and answers 500 where the boundary is missing. So the file is read here, where a record is made of it, and what
BentoML sees is that record in JSON.
"""

import re

from starlette import requests
from starlette.datastructures import MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Receive, Scope

from slipway.cases import CASES
from slipway.serving.http.errors import Refusal
from slipway.serving.http.media import check_encoding
from slipway.serving.http.request import Request, again

FIELD = "file"  # of the form
FORM = "multipart/form-data"
BOUNDARY = re.compile(r'\bboundary="?[^\s";]', re.IGNORECASE)
WANTED = f"the form must have one file, named {FIELD}, and nothing else"


class Uploads:
    """Makes a record of each file that is uploaded to a case that takes files."""

    def __init__(self) -> None:
        self.reads = {case.route: case.reads for case in CASES.values() if case.reads is not None}

    def is_for(self, request: Request) -> bool:
        """Whether a request asks a case that takes files."""
        return request.path in self.reads

    async def record(self, request: Request, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """The same request with the record in JSON as its body.

        Raises Refusal: with 415 for a body that is no form, with 400 for a form that has not one file and nothing else,
        and for a file that the case does not take.
        """
        content = await uploaded(request, scope, receive)
        try:
            record = self.reads[request.path](content)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        body = f'{{"records": [{record.model_dump_json()}]}}'.encode()
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(body))
        return {**scope, "headers": headers.raw}, again(body, receive)


async def uploaded(request: Request, scope: Scope, receive: Receive) -> bytes:
    """What stands in the one file of a form. Raises Refusal if the body is something else."""
    kind = request.header(b"content-type") or "nothing"
    if kind.partition(";")[0].strip().lower() != FORM or not BOUNDARY.search(kind):
        raise Refusal(415, f"send the file in a form: Content-Type: {FORM} with a boundary, not {kind[:200]}")
    check_encoding(request)
    try:
        async with requests.Request(scope, receive).form(max_files=1, max_fields=0) as form:
            file = form.get(FIELD)
            if not isinstance(file, UploadFile):
                raise Refusal(400, WANTED)
            return await file.read()
    except MultiPartException as error:
        raise Refusal(400, f"{WANTED}: {error.message}") from None
    except UnicodeError:  # a charset that Python knows, and that no form is written in
        raise Refusal(400, f"{WANTED}, and no other charset than UTF-8") from None
