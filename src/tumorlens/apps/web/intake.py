"""The body of a request: files in memory, and nothing of them on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from tumorlens.apps.web.limits import Hold, WebLimits
from tumorlens.apps.web.problems import Problem

__all__ = ["Upload", "receive"]

_FIELD: Final = "file"
_RAW: Final = ("image/", "application/octet-stream", "application/dicom", "application/zip")
_RAW_TOO: Final = ("application/gzip", "application/x-gzip", "application/x-zip-compressed")
_WANTED: Final = (
    "send the file as the body with a type such as image/png or application/octet-stream, or as "
    "multipart/form-data with one or more parts named 'file'"
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent.

    Parameters
    ----------
    name
        What the client calls it; never a path on this computer.
    content
        Its bytes.
    """

    name: str | None
    content: bytes


async def receive(request: Request, hold: Hold, limits: WebLimits) -> list[Upload]:
    """Take the files of a request.

    Parameters
    ----------
    request
        Whose body was not read yet.
    hold
        Counts what comes in.
    limits
        What is too much.

    Raises
    ------
    Problem
        400 for a body that is damaged, 408 when it comes too slowly, 413 when it is too large,
        415 when it is of another type, 422 when it holds no file.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = kind == "multipart/form-data"
    if not form and not kind.startswith(_RAW) and kind not in _RAW_TOO:
        raise Problem(415, f"{kind or 'a body without a type'} is not taken; {_WANTED}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "a body that is encoded is not taken; send it without Content-Encoding")
    try:
        async with asyncio.timeout(limits.upload_seconds):
            stream = _chunks(request, hold, limits.upload_bytes)
            uploads = await (_form(request, stream, limits) if form else _raw(stream))
    except TimeoutError:
        slow = f"the upload took longer than {limits.upload_seconds} s"
        raise Problem(408, slow, headers={"Connection": "close"}) from None
    if not uploads or not any(upload.content for upload in uploads):
        raise Problem(422, f"the request holds no file; {_WANTED}")
    return uploads


async def _chunks(request: Request, hold: Hold, most: int) -> AsyncGenerator[bytes, None]:
    """Count what comes in, and stop at what is too much."""
    declared = request.headers.get("content-length", "0")
    too_large = Problem(413, f"more than {most:,} bytes", headers={"Connection": "close"})
    if declared.isdecimal() and int(declared[:20]) > most:
        raise too_large
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > most:
            raise too_large
        hold.take(len(chunk))
        yield chunk


async def _raw(stream: AsyncGenerator[bytes, None]) -> list[Upload]:
    parts = [part async for part in stream]
    return [Upload(None, b"".join(parts))]


async def _form(
    request: Request, stream: AsyncGenerator[bytes, None], limits: WebLimits
) -> list[Upload]:
    parser = MultiPartParser(request.headers, stream, max_files=limits.files, max_fields=8)
    # A file beyond this would be spooled to disk; no file is larger than its request.
    parser.spool_max_size = limits.upload_bytes + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, f"the form is damaged: {error.message}") from error
    try:
        parts = form.multi_items()
        wrong = [name for name, part in parts if name != _FIELD or not isinstance(part, UploadFile)]
        if wrong:
            raise Problem(422, f"there is no field {wrong[0]!r}; {_WANTED}")
        files = [part for _, part in parts if isinstance(part, UploadFile)]
        return [Upload(file.filename or None, await file.read()) for file in files]
    finally:
        await form.close()
