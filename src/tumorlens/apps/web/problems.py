"""Every refusal in one form: problem details as JSON (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["MEDIA_TYPE", "Problem"]

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818  # as the standard calls it
    """A request that is not answered, and why.

    Parameters
    ----------
    status
        The HTTP status, from 400.
    detail
        A sentence for whoever asked.
    retry_after
        Seconds after which to ask again, or ``None``.
    headers
        More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = printable(detail)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def response(self) -> Response:
        """Write it as an answer."""
        from starlette.responses import JSONResponse  # noqa: PLC0415

        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return JSONResponse(content, self.status, self.headers, MEDIA_TYPE)
