"""Fonts of a PDF: one for all that we write, others for what it lacks in names of files."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from tumorlens.errors import MissingExtraError
from tumorlens.extras import require
from tumorlens.untrusted import printable

__all__ = ["BOLD", "REGULAR", "Fonts"]

REGULAR: Final = "tumorlens-regular"
BOLD: Final = "tumorlens-bold"
_TRIED: Final = 200  # fonts of the system that are looked into
_LARGEST: Final = 64 * 2**20  # bytes of one


class Fonts:
    r"""What texts of one PDF are set in.

    DejaVu Sans has Latin, Greek, Cyrillic, Arabic, Hebrew and more; for other scripts a font of
    the system is looked for. Where none has a character, its number is shown, as ``\u982d``.

    Raises
    ------
    MissingExtraError
        When ReportLab, or Matplotlib with its font, is not installed.
    """

    def __init__(self) -> None:
        self._known = _register()
        self._lost = False

    def marked(self, text: str) -> str:
        """Write a text as ReportLab takes it: escaped, each part in a font that has it."""
        shown = printable(text, 4000)
        if self._known.issuperset(map(ord, shown)):
            return escape(shown)
        return "".join(
            self._part(font, "".join(chars)) for font, chars in groupby(shown, self._font)
        )

    def notes(self) -> list[str]:
        """Say what a reader should know of the texts."""
        if not self._lost:
            return []
        return ["\\u and four or more digits stand for a character that no font here has."]

    def _font(self, char: str) -> str:
        return "" if ord(char) in self._known else _font_with(char) or "lost"

    def _part(self, font: str, text: str) -> str:
        if font == "lost":
            self._lost = True
            return "".join(f"\\u{ord(char):04x}" for char in text)
        return f'<font name="{font}">{escape(text)}</font>' if font else escape(text)


def _ttfonts() -> Any:
    return require("reportlab.pdfbase.ttfonts", "a report as PDF", "report")


def _metrics() -> Any:
    return require("reportlab.pdfbase.pdfmetrics", "a report as PDF", "report")


@cache
def _register() -> frozenset[int]:
    """Make the font known to ReportLab; give the characters that it has."""
    found = importlib.util.find_spec("matplotlib")  # not imported: only its files are needed
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("a report as PDF", "report")
    folder = Path(found.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
    known: set[int] = set()
    for name, file in ((REGULAR, "DejaVuSans.ttf"), (BOLD, "DejaVuSans-Bold.ttf")):
        font = _ttfonts().TTFont(name, str(folder / file))
        _metrics().registerFont(font)
        has = set(font.face.charToGlyph)
        known = known & has if known else has
    return frozenset(known)


@cache
def _font_with(char: str) -> str | None:
    """Find a font of the system that has a character, and make it known to ReportLab."""
    page, bit = divmod(ord(char), 256)
    for path, pages in _system_index():
        if pages.get(page, 0) >> bit & 1:
            font = _open(path)
            _metrics().registerFont(font)
            return str(font.fontName)
    return None


@cache
def _system_index() -> tuple[tuple[str, dict[int, int]], ...]:
    """Say which characters each font of the system has: of 256 at a time, one bit each."""
    index = []
    for path in _system_fonts():
        font = _open(path)
        if font is None:
            continue
        pages: dict[int, int] = {}
        for code in font.face.charToGlyph:
            pages[code // 256] = pages.get(code // 256, 0) | 1 << code % 256
        index.append((path, pages))
    return tuple(index)


@cache
def _system_fonts() -> tuple[str, ...]:
    """List TrueType fonts, those without serifs first."""
    folders = require("reportlab.rl_config", "a report as PDF", "report").TTFSearchPath
    found = {str(path) for folder in folders for path in _files(folder)}
    ranked = sorted(found, key=lambda path: ("sans" not in path.lower(), path))
    return tuple(ranked[:_TRIED])


def _files(folder: str) -> Iterator[Path]:
    for parent, _, names in os.walk(os.path.expanduser(folder)):  # noqa: PTH111
        for name in names:
            if name.lower().endswith((".ttf", ".ttc")):
                yield Path(parent, name)


def _open(path: str) -> Any:
    try:
        if Path(path).stat().st_size > _LARGEST:
            return None
        return _ttfonts().TTFont(f"system-{abs(hash(path)):x}", path)
    except (OSError, _ttfonts().TTFError):  # a font of another kind, or damaged
        return None
