"""Records that come as a file: a recording, say.

BentoML reads a form as well, but it fetches from the network what a form names by an address, writes each file to the
disk, and answers 500 where the boundary is missing. So the file is read here, where a record is made of it, and what
BentoML sees is that record in JSON.
"""

import re

from starlette.datastructures import MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slipway.cases import CASES
from slipway.serving.http.media import compressed
from slipway.serving.http.request import again, header

FIELD = "file"  # of the form
FORM = "multipart/form-data"
BOUNDARY = re.compile(r'\bboundary="?[^\s";]', re.IGNORECASE)


class UploadError(Exception):
    """An upload that is not taken: the status, and the words for its client."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class Uploads:
    """ASGI middleware: makes a record of each file that is uploaded to a case that takes files.

    It wants a form with one file and nothing else: 415 for another kind of body, 400 for another form and for a file
    that the case does not take.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.reads = {case.route: case.reads for case in CASES.values() if case.reads is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reads = self.reads.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if reads is None:
            await self.app(scope, receive, send)
            return
        try:
            content = await uploaded(scope, receive)
            record = reads(content)
        except UploadError as error:
            await JSONResponse({"error": str(error)}, error.status)(scope, receive, send)
            return
        except ValueError as error:
            await JSONResponse({"error": str(error)}, 400)(scope, receive, send)
            return

        body = f'{{"records": [{record.model_dump_json()}]}}'.encode()
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(body))
        await self.app({**scope, "headers": headers.raw}, again(body, receive), send)


async def uploaded(scope: Scope, receive: Receive) -> bytes:
    """What stands in the one file of a form. Raises UploadError if the body is something else."""
    kind = header(scope, b"content-type") or "nothing"
    if kind.partition(";")[0].strip().lower() != FORM or not BOUNDARY.search(kind):
        raise UploadError(415, f"send the file in a form: Content-Type: {FORM} with a boundary, not {kind[:200]}")
    if (problem := compressed(scope)) is not None:
        raise UploadError(415, problem)
    wanted = f"the form must have one file, named {FIELD}, and nothing else"
    try:
        async with Request(scope, receive).form(max_files=1, max_fields=0) as form:
            file = form.get(FIELD)
            if not isinstance(file, UploadFile):
                raise UploadError(400, wanted)
            return await file.read()
    except MultiPartException as error:
        raise UploadError(400, f"{wanted}: {error.message}") from None
