"""16-bit colour and alpha, which Pillow decodes to eight bits.

A network is fed percentiles: of eleven used bits Pillow would leave three. Of a PNG Pillow
can be asked for the upper bytes and for the lower bytes, by the names under which it
unpacks big-endian and little-endian values.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["is_wide", "read_wide"]


def is_wide(picture: Image.Image) -> bool:
    """Say whether a picture that is opened, and not yet loaded, is in 16-bit colour."""
    if picture.format == "PNG" and not getattr(picture, "is_animated", False):
        return _how(picture).endswith(";16B") and picture.mode in ("RGB", "RGBA")
    if picture.format == "PPM" and picture.mode == "RGB":
        tile: Any = getattr(picture, "tile", ())
        return bool(tile) and tile[0].codec_name == "ppm" and int(tile[0].args[1]) > 255
    return False


def read_wide(picture: Image.Image, data: bytes) -> NDArray[np.uint16]:
    """Decode all 16 bits of a picture.

    Parameters
    ----------
    picture
        One that is wide, opened from `data`.
    data
        The whole content of its file.

    Returns
    -------
    numpy.ndarray
        uint16, ``(height, width, 2 to 4)``: grey and alpha, colour, colour and alpha.

    Raises
    ------
    ValueError, OSError
        When the file is damaged.
    """
    if picture.format == "PPM":
        shape = picture.height, picture.width, 3
        offset = picture.tile[0].offset  # type: ignore[attr-defined]  # of a file's picture
        values = np.frombuffer(data, ">u2", int(np.prod(shape)), offset)
        return values.reshape(shape).astype(np.uint16)
    how = _how(picture)
    if how == "LA;16B":  # four bytes a pixel, as 8-bit RGBA has
        halves = _unpack(data, "RGBA").astype(np.uint16)
        return np.asarray(halves[..., ::2] << 8 | halves[..., 1::2])
    upper, lower = _unpack(data, how), _unpack(data, how.replace(";16B", ";16L"))
    values = upper.astype(np.uint16) << 8 | lower
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple):  # PNG makes one colour transparent
        values[(values == np.array(clear)).all(axis=2)] = 0
    return np.asarray(values)


def _how(picture: Image.Image) -> str:
    """Name how Pillow would unpack the picture."""
    tile: Any = getattr(picture, "tile", ())
    return str(tile[0].args) if tile else ""


def _unpack(data: bytes, how: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        opened: Any = picture  # from a file, which the types do not say
        opened.tile = [opened.tile[0]._replace(args=how)]
        picture.load()
        return np.array(picture, dtype=np.uint8)
