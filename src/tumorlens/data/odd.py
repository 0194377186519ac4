"""Which files are odd: not wrong, but worth a look before anything is trained on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from tumorlens.data.survey import Look

__all__ = ["find_odd"]

_TINY: Final = 64  # pixels; a head smaller than this has lost what matters
_LONG: Final = 2.0  # longer side over shorter
_BLANK: Final = 0.01  # spread of grey values
_SUFFIXES: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
}


def find_odd(looks: Sequence[Look], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Sort files by what is odd about them; a file may be odd in several ways.

    Parameters
    ----------
    looks
        The pictures.
    names
        What to call each in the result.

    Returns
    -------
    dict
        For each oddity that occurs the names of the files that have it.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for look, name in zip(looks, names, strict=True):
        for oddity in _oddities(look):
            found[oddity].append(name)
    return {oddity: tuple(found[oddity]) for oddity in sorted(found)}


def _oddities(look: Look) -> list[str]:
    short, long = sorted((look.width, look.height))
    suffix = look.example.path.suffix.lower()
    signs = {
        "stored in colour": look.mode in ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV"),
        "transparency": look.mode in ("LA", "RGBA", "PA", "La", "RGBa"),
        "deeper than 8 bits": look.mode[:1] in ("I", "F"),
        f"smaller than {_TINY} pixels": short < _TINY,
        f"more than {_LONG:g} times as long as wide": long > _LONG * short,
        "blank": look.spread < _BLANK,
        "name of another format": suffix not in _SUFFIXES.get(look.format, (suffix,)),
    }
    return [name for name, holds in signs.items() if holds]
