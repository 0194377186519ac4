"""Who may ask, and what every answer carries: host, origin, token; headers; one line of log.

A page of somebody else's must not reach this service through the browser of whoever runs it:
names other than this computer's are refused (DNS rebinding), and so is every request that such a
page starts.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import time
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorlens.apps.web.metrics import Metrics
from tumorlens.apps.web.problems import Problem

__all__ = ["COOKIE", "Guard", "Keys"]

COOKIE: Final = "tumorlens"
_LOG = logging.getLogger("tumorlens.web")
_OPEN: Final = ("/healthz", "/readyz", "/sign-in", "/static/")
"""What needs no token: it tells nothing."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Keys:
    """The token of the service, and what a browser has instead of it.

    Parameters
    ----------
    token
        What a client must know; ``None`` when everybody who reaches the service may use it.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self.cookie = secrets.token_urlsafe(32)

    @property
    def needed(self) -> bool:
        """Whether a client must know something."""
        return self._token is not None

    def fits(self, token: str) -> bool:
        """Say whether this is the token."""
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def opens(self, headers: Headers) -> bool:
        """Say whether a request brings the token, or a browser's stand-in for it."""
        if self._token is None:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.fits(token.strip())
        brought = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(brought.encode(), self.cookie.encode())


class Guard:
    """Stands before the app.

    Parameters
    ----------
    app
        What answers.
    names
        Names, beside ``localhost`` and addresses, by which the service may be called.
    keys
        Who may ask.
    metrics
        Told of every answer.
    """

    def __init__(
        self, app: ASGIApp, *, names: Collection[str], keys: Keys, metrics: Metrics
    ) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}
        self._keys = keys
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, pass it on, and finish its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.monotonic(), 499  # as servers log clients that went away

        async def finish(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
            await self._app(scope, receive, finish)
        except Problem as problem:
            lost = problem.status == 401 and _is_visit(Headers(scope=scope))
            answer = RedirectResponse("/sign-in", 303) if lost else problem.response()
            await answer(scope, receive, finish)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001  # its text may hold what a client wrote
            status = 500
            _LOG.error("a fault of the service: %s", _where(error))
        finally:
            seconds = time.monotonic() - start
            route = _route(scope)
            self._metrics.answered(route, status, seconds)
            _LOG.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * seconds)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse whom this service is not for."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            detail = "this service is not called so; start it with --allow-host NAME if it should"
            raise Problem(403, detail)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != hosts[0].lower():
            raise Problem(403, "pages of others may not use this service")
        fetched = headers.get("sec-fetch-site", "none")
        visit = scope["method"] == "GET" and _is_visit(headers)
        if fetched not in ("none", "same-origin") and not visit:
            raise Problem(403, "pages of others may not use this service")
        path: str = scope["path"]
        if not path.startswith(_OPEN) and not self._keys.opens(headers):
            detail = "send the token of this service: Authorization: Bearer TOKEN"
            raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})

    def _is_ours(self, host: str) -> bool:
        """Say whether a host is this computer: by address, or by a name that is known.

        No address can be bent to another computer, as names can.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name.rstrip(".") in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_visit(headers: Headers) -> bool:
    """Say whether a person opens a page, by a link or by its address."""
    return headers.get("sec-fetch-mode") == "navigate"


def _where(error: BaseException) -> str:
    """Say where something broke, in terms of the program alone."""
    steps = traceback.extract_tb(error.__traceback__)[-4:]
    places = [f"{Path(step.filename).name}:{step.lineno}" for step in steps]
    return f"{type(error).__name__} at {' < '.join(reversed(places))}"


def _route(scope: Mapping[str, object]) -> str:
    """Name what answers, and nothing that a client wrote."""
    endpoint = scope.get("endpoint")
    return str(getattr(endpoint, "__name__", "static" if endpoint else "none"))
