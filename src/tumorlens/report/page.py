"""From a template and values to one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from PIL import Image

from tumorlens.data.folder import class_name
from tumorlens.errors import UnreadableImageError
from tumorlens.extras import require
from tumorlens.images.display import display_grey
from tumorlens.images.read import read_slices
from tumorlens.prediction import say_percent
from tumorlens.report.style import DPI

__all__ = ["count", "interval", "number", "render", "share"]

_THUMB: Final = 168  # pixels: longer side of a thumbnail
_CSS_DPI: Final = 96  # pixels of an inch on a page
_JPEG: Final = b"\xff\xd8\xff"  # how every JPEG begins


def render(template: str, **values: Any) -> str:
    """Fill a template.

    Parameters
    ----------
    template
        Name of a file in ``templates``, without ``.html.j2``.
    **values
        What it shows. Texts are escaped, whoever wrote them.

    Raises
    ------
    MissingExtraError
        When Jinja is not installed.
    """
    page: str = _environment().get_template(f"{template}.html.j2").render(values)
    return page


def number(value: float | None, digits: int = 4) -> str:
    """Write a figure; a dash for one that is not defined."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(ends: tuple[float, float] | None) -> str:
    """Write an interval; a dash where there is none."""
    return "–" if ends is None else f"({ends[0]:.3f} to {ends[1]:.3f})"


def count(n: int, noun: str) -> str:
    """Write how many there are, such as ``"1,281 pictures"``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def share(n: int, whole: int) -> str:
    """Write a number with its share of a whole."""
    return f"{n:,} ({n / whole:.1%})" if whole else f"{n:,}"


@cache
def _environment() -> Any:
    """Set the templates up; whatever they are given is escaped."""
    jinja2 = require("jinja2", "writing a page", "evaluate")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "class_name": class_name,
        "count": count,
        "embedded": _embedded,
        "hashed": _hashed,
        "interval": interval,
        "number": number,
        "percent": say_percent,
        "share": share,
        "sized": _sized,
        "thousands": "{:,}".format,
        "thumbnail": _thumbnail,
    }
    return environment


def _thumbnail(path: str | os.PathLike[str]) -> Image.Image | None:
    """Draw the first slice of a file small; ``None`` if it went away."""
    try:
        image = Image.fromarray(display_grey(read_slices(path)[0]))
    except UnreadableImageError:
        return None
    image.thumbnail((_THUMB, _THUMB))
    return image


def _hashed(text: str) -> str:
    """Name a style by its hash, as a content security policy does."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _embedded(image: Image.Image | bytes) -> str:
    """Put a picture into the page as a JPEG, and a figure as the PNG or JPEG that it is."""
    if isinstance(image, bytes):
        kind = "jpeg" if image.startswith(_JPEG) else "png"
        return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _sized(image: Image.Image | bytes) -> Any:
    """Give width and height; of a figure those that give its letters the page's own size."""
    if isinstance(image, bytes):
        pixels = (int.from_bytes(image[i : i + 4]) for i in (16, 20))  # in a PNG's header
        width, height = (round(side * _CSS_DPI / DPI) for side in pixels)
    else:
        width, height = image.size
    return require("markupsafe", "writing a page", "evaluate").Markup(
        f'width="{width}" height="{height}"'
    )
