"""The app: routes of page and service, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tumorlens.apps.web.api import Service
from tumorlens.apps.web.guard import Guard, Keys
from tumorlens.apps.web.limits import WebLimits
from tumorlens.apps.web.page import Page
from tumorlens.apps.web.problems import Problem

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = ["make_app"]


def make_app(
    classifier: Classifier,
    *,
    limits: WebLimits | None = None,
    token: str | None = None,
    names: Collection[str] = (),
) -> ASGIApp:
    """Make the app.

    Parameters
    ----------
    classifier
        The model that answers.
    limits
        What is too much; the usual limits when ``None``.
    token
        What a client must know; ``None`` lets in everybody who reaches the service.
    names
        Names by which the service may be called, beside ``localhost`` and addresses.

    Returns
    -------
    ASGI app
        For uvicorn, or any other server of its kind.
    """
    service = Service(classifier, limits or WebLimits())
    keys = Keys(token)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.start()
        yield
        await service.close()

    app = Starlette(
        routes=[
            Route("/api/v1/predict", service.predict, methods=["POST"]),
            Route("/api/v1/explain", service.explain, methods=["POST"]),
            Route("/api/v1/report", service.report, methods=["POST"]),
            Route("/api/v1/openapi.json", service.description),
            Route("/healthz", service.healthz),
            Route("/readyz", service.readyz),
            Route("/metrics", service.prometheus),
            *Page(service, keys).routes(),
        ],
        exception_handlers={Problem: _refuse, HTTPException: _refuse_plainly, Exception: _fail},
        lifespan=lifespan,
    )
    return Guard(app, names=names, keys=keys, metrics=service.metrics)


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # for the type checker
    return error.response()


def _refuse_plainly(_: Request, error: Exception) -> Response:
    """Say what Starlette refuses, such as a path that is not there, in our form."""
    assert isinstance(error, HTTPException)  # noqa: S101
    return Problem(error.status_code, error.detail, headers=dict(error.headers or {})).response()


def _fail(_: Request, error: Exception) -> Response:
    """Tell nothing of what broke."""
    del error
    return Problem(500, "the service is at fault; its log says where").response()
