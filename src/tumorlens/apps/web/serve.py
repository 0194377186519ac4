"""Listening: a port of this computer, connections that dawdle, an end in order."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import sys
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from tumorlens.errors import OutputError

__all__ = ["configure", "is_loopback", "listen", "serve", "url_of"]

_HEADER_SECONDS: Final = 10
_CONNECTIONS: Final = 256
_END_SECONDS: Final = 30  # for requests that are at work


class _Protocol(H11Protocol):
    """HTTP, but for a client that never finishes its first headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_HEADER_SECONDS, self._drop_if_silent)

    def _drop_if_silent(self) -> None:
        cycle: object = self.cycle  # None before the first request, whatever its type says
        if cycle is None and not self.transport.is_closing():
            self.transport.close()


def is_loopback(host: str) -> bool:
    """Say whether only this computer reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Parameters
    ----------
    host
        An address, or a name of one.
    port
        Which; 0 for any that is free.

    Raises
    ------
    OutputError
        When it cannot be had.
    """
    try:
        where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(where[4][:2], family=where[0], reuse_port=False)
    except OSError as error:
        raise OutputError(
            f"cannot listen at {host}, port {port} ({error.strerror}); name another by --host or "
            "--port"
        ) from error


def url_of(taken: socket.socket) -> str:
    """Give the address that a browser opens."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: ASGIApp, taken: socket.socket) -> None:
    """Answer until the system or a person asks to end; what is at work is finished first."""
    log = logging.getLogger("tumorlens.web")
    if not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)
    uvicorn.Server(configure(app)).run(sockets=[taken])


def configure(app: ASGIApp) -> uvicorn.Config:
    """Say how connections are handled: no more than can be, none that dawdles."""
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=logging.CRITICAL,  # its warnings repeat what clients sent
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_HEADER_SECONDS,
        timeout_graceful_shutdown=_END_SECONDS,
    )
