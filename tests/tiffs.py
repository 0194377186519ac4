"""TIFF files that tests write, and the greys that a viewer shows of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

DTYPES = (
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64"),
)
LAYOUTS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "grey": ((37, 53), {"photometric": "minisblack"}),
    "white is zero": ((37, 53), {"photometric": "miniswhite"}),
    "grey alpha": ((37, 53, 2), {"planarconfig": "contig", "extrasamples": ["unassalpha"]}),
    "colour": ((37, 53, 3), {"photometric": "rgb", "planarconfig": "contig"}),
    "colour planes": ((3, 37, 53), {"photometric": "rgb", "planarconfig": "separate"}),
    "colour alpha": (
        (37, 53, 4),
        {"photometric": "rgb", "planarconfig": "contig", "extrasamples": ["unassalpha"]},
    ),
    "tiles": ((37, 53), {"photometric": "minisblack", "tile": (16, 32)}),
    "strips": ((37, 53), {"photometric": "minisblack", "rowsperstrip": 5}),
}
CANNOT_BE_WRITTEN = (ValueError, KeyError, TypeError, RuntimeError, NotImplementedError)


def draw(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Random values over the whole range of a type."""
    random = np.random.default_rng(7)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (random.normal(size=shape) * 100).astype(kind)
    info = np.iinfo(kind)
    return random.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def write(values: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def grey_of(values: NDArray[Any], layout: str) -> NDArray[np.float64]:
    """What a viewer shows, in float64."""
    wide = np.moveaxis(values, 0, -1) if layout == "colour planes" else values
    kind, wide = wide.dtype, wide.astype(np.float64)
    full = np.iinfo(kind).max if kind.kind in "iu" else 1
    alpha = np.clip(wide[..., -1] / full, 0, 1) if "alpha" in layout else 1
    if "colour" in layout:
        return np.asarray(wide[..., :3] @ np.array([0.299, 0.587, 0.114]) * alpha)
    grey = np.asarray((wide[..., 0] if wide.ndim == 3 else wide) * alpha)
    if layout == "white is zero":
        return 255 - grey if kind == np.uint8 else grey.min() + grey.max() - grey
    return grey


def agree(found: NDArray[Any], expected: NDArray[np.float64]) -> bool:
    """As exactly as eight bits, or float32, hold it; beyond 2**24 the scale is free."""
    if found.dtype == np.uint8:
        return bool(np.abs(found - expected).max() <= 1.01)  # two roundings, of luma and of alpha
    peak = np.abs(expected).max()
    if peak < 2**24:
        return bool(np.abs(found - expected).max() <= 1e-6 * peak)
    scaled = [(x - x.min()) / np.ptp(x) for x in (found.astype(np.float64), expected)]
    return bool(np.abs(scaled[0] - scaled[1]).max() < 1e-5)
