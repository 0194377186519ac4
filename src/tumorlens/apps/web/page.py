"""The page for people: its files, and what its script asks for."""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import jinja2
import numpy as np
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tumorlens.apps.cli.describe import facts
from tumorlens.apps.session.rows import Row, State
from tumorlens.apps.session.words import answer_text, caption, say_flat, say_summary
from tumorlens.apps.web.api import Service, read_question
from tumorlens.apps.web.cases import Cases
from tumorlens.apps.web.guard import COOKIE, Keys
from tumorlens.apps.web.problems import Problem
from tumorlens.apps.web.reports import forms_here
from tumorlens.apps.web.scans import Scan, Unread
from tumorlens.data.folder import class_name
from tumorlens.errors import UnreadableImageError
from tumorlens.explain.cam import METHODS
from tumorlens.explain.colormaps import COLORMAPS
from tumorlens.images.display import display_range
from tumorlens.volume_answer import VolumeAnswer

if TYPE_CHECKING:
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction

__all__ = ["Page"]

_HERE: Final = Path(__file__).parent
_LOOK: Final = _HERE.parent.parent / "report" / "templates"  # the one style of every page
_LONGEST: Final = 4096  # bytes of a form to sign in


class Page:
    """The page and its script's questions.

    Parameters
    ----------
    service
        What answers.
    keys
        Who may ask.
    """

    def __init__(self, service: Service, keys: Keys) -> None:
        self._service = service
        self._keys = keys
        self._cases = Cases(service.limits, service.memory)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        self._templates.policies["json.dumps_kwargs"] = {}  # or names would be sorted

    def routes(self) -> list[BaseRoute]:
        """List what the page answers at."""
        case = "/page/cases/{case}"
        picture = case + "/{scan:int}/{slice:int}"
        return [
            Route("/", self.home),
            Route("/trust", self.trust),
            Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
            Route("/static/style.css", self.style),
            Route("/page/cases", self.open_case, methods=["POST"]),
            Route(case, self.close_case, methods=["DELETE"]),
            Route(case + "/answers", self.answers),
            Route("/page/report", self.report),
            Route(picture + "/pixels", self.pixels),
            Route(picture + "/map", self.map),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]

    # Pages

    async def home(self, request: Request) -> Response:
        """Show the page."""
        del request
        card = self._service.classifier.card
        options = {
            "classes": {name: class_name(name) for name in card.classes},
            "methods": {name: method.title for name, method in METHODS.items()},
            "colours": {name: np.rint(x).astype(int).tolist() for name, x in COLORMAPS.items()},
            "healthy": "notumor" if "notumor" in card.classes else None,
        }
        return self._page("home", options=options, model=card.id, forms=forms_here())

    async def trust(self, request: Request) -> Response:
        """Say how far to trust the model, from its card."""
        del request
        card = self._service.classifier.card
        return self._page("trust", facts=facts(card), level=card.set_level, model=card.id)

    async def style(self, request: Request) -> Response:
        """Give the style that all pages of the project share."""
        del request
        return Response((_LOOK / "style.css").read_text(encoding="utf-8"), media_type="text/css")

    async def sign_in(self, request: Request) -> Response:
        """Ask for the token, once a browser."""
        if request.method == "GET":
            return self._sign_in_page()
        text = b""
        async for chunk in request.stream():
            text += chunk
            if len(text) > _LONGEST:
                raise Problem(413, "that is no token")
        token = parse_qs(text.decode(errors="replace")).get("token", [""])[0].strip()
        if not self._keys.fits(token):
            return self._sign_in_page(401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self._keys.cookie, httponly=True, samesite="strict")
        return answer

    def _sign_in_page(self, status: int = 200) -> Response:
        answer = self._page("sign_in", status, wrong=status != 200)
        # Without any referrer a browser calls the origin of a form "null", which is refused.
        answer.headers["Referrer-Policy"] = "same-origin"
        return answer

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(f"{name}.html.j2").render(values)
        return HTMLResponse(text, status)

    # What the script asks for

    async def open_case(self, request: Request) -> Response:
        """Take files, and say what scans they are."""
        with self._service.entered(request) as hold:
            scans = await self._service.scans(request, hold)
            name = self._cases.add(scans, hold)
        return JSONResponse({"case": name, "scans": _told(scans)}, 201)

    async def close_case(self, request: Request) -> Response:
        """Forget the files."""
        self._cases.remove(request.path_params["case"])
        return Response(status_code=204)

    async def answers(self, request: Request) -> Response:
        """Give the answers as they come, one JSON object a line."""
        case = self._cases.get(request.path_params["case"])

        async def lines() -> AsyncIterator[str]:
            for number, scan in enumerate(case.scans):
                if isinstance(scan, Unread):
                    continue
                index = 0
                async for answer in self._service.answers(scan):
                    self._cases.get(request.path_params["case"])  # ends when it is gone
                    of_all = isinstance(answer, VolumeAnswer)
                    told = {"scan": number, "slice": None if of_all else index, **_answer(answer)}
                    yield json.dumps(told) + "\n"
                    index += 1

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def pixels(self, request: Request) -> Response:
        """Give a slice in 65,536 greys, so that window and level are the page's to choose."""
        picture = await self._service.read(self._slice, request)
        return Response(
            await self._service.read(_packed, picture), media_type="application/octet-stream"
        )

    async def map(self, request: Request) -> Response:
        """Explain a slice."""
        question = read_question(self._service.classifier, request)
        with self._service.entered(request):
            picture = await self._service.read(self._slice, request)
            explained = await self._service.explained(request, picture, question)
        return JSONResponse(_explained(explained))

    async def report(self, request: Request) -> Response:
        """Write the report of all cases that are named."""
        names = request.query_params.getlist("case")
        scans = [scan for name in names for scan in self._cases.get(name).scans]
        with self._service.entered(request):
            return await self._service.reported(request, scans)

    def _slice(self, request: Request) -> Slice:
        numbers = request.path_params
        picture: Slice
        scan = self._cases.get(numbers["case"]).scan(numbers["scan"])
        if numbers["slice"] >= len(scan.slices):
            raise Problem(404, f"there is no slice {numbers['slice']}")
        try:
            picture = scan.slices[numbers["slice"]]
        except UnreadableImageError as error:
            raise Problem(422, f"the slice: {error.found}; {error.hint}") from error
        return replace(picture, path=scan.name, index=int(numbers["slice"]))


def _told(scans: Sequence[Scan | Unread]) -> list[dict[str, Any]]:
    """Say what the scans are; those of one file are told apart."""
    names = Counter[str | None]()
    told: list[dict[str, Any]] = []
    for scan in scans:
        if isinstance(scan, Unread):
            told.append({"name": scan.name, "error": scan.problem.detail})
            continue
        names[scan.name] += 1
        several = f" ({names[scan.name]})" if names[scan.name] > 1 else ""
        name = f"{scan.name or 'scan'}{several}"
        told.append({"name": name, "count": len(scan.slices), "notes": list(scan.notes)})
    return told


def _answer(answer: Prediction | Problem | VolumeAnswer) -> dict[str, Any]:
    if isinstance(answer, Problem):
        return {"error": answer.detail}
    if isinstance(answer, VolumeAnswer):
        words = " or ".join(class_name(name) for name in answer.prediction_set)
        told = answer.to_dict()["volume"] | {"summary": say_summary(answer)}
        return {"answer": told, "words": words or "not assessable"}
    row = Row(0, "", None, state=State.ANSWERED, prediction=answer)
    return {"answer": answer.to_dict(), "words": answer_text(row)}


def _packed(picture: Slice) -> bytes:
    """Write width, height, black and white (0 to 1), then greys as uint16; little-endian."""
    low, high = float(picture.pixels.min()), float(picture.pixels.max())
    if picture.pixels.dtype == np.uint8:
        low, high = 0.0, 255.0
    span = (high - low) or 1.0
    greys = np.rint((picture.pixels.astype(np.float64) - low) * (65535 / span)).astype("<u2")
    black, white = ((x - low) / span for x in display_range(picture))
    return struct.pack("<IIff", picture.width, picture.height, black, white) + greys.tobytes()


def _explained(explained: Explanation) -> dict[str, Any]:
    shades = np.rint(explained.shown_map() * 255).astype(np.uint8)
    return {
        "caption": caption(explained),
        "flat": say_flat(explained),
        "record": explained.manifest(),
        "map": base64.b64encode(shades.tobytes()).decode(),
    }
