"""The same slice as other hospitals would show it: eight looks, none of them drawn in training.

What a model does under them is asked for where no strangers' slices are at hand: whether it
stays right, how sure it is, and whether it still takes the slice for one. Training draws
looks at random; these are the same for everybody.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.train.appearance import vary
from tumorlens.train.recipe import Appearance

__all__ = ["LOOKS", "Look"]

Grey = NDArray[np.uint8]
Look = Callable[[Grey], Grey]
"""From a prepared picture, uint8 ``(size, size)``, to another of the same shape."""


def _without_skull(grey: Grey) -> Grey:
    nothing = np.zeros(grey.shape, np.bool_)
    return vary(grey, nothing, _random(grey), Appearance(strip=1.0))[0]


def _power(exponent: float) -> Look:
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return lambda grey: np.asarray(table[grey])


def _steeper(grey: Grey) -> Grey:
    table = 255 / (1 + np.exp(-10 * (np.arange(256) / 255 - 0.45)))
    table[:8] = 0  # air stays air
    return np.asarray(np.rint(table).astype(np.uint8)[grey])


def _bias_field(grey: Grey) -> Grey:
    side = np.linspace(-1, 1, grey.shape[0])
    angle = _random(grey).uniform(0, 2 * np.pi)
    slope = np.cos(angle) * side[:, None] + np.sin(angle) * side[None]
    return np.asarray(np.clip(np.rint(grey * np.exp(0.5 * slope)), 0, 255), np.uint8)


def _half_resolution(grey: Grey) -> Grey:
    image = Image.fromarray(grey)
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    return np.array(small.resize(image.size, Image.Resampling.BILINEAR))


def _noise(grey: Grey) -> Grey:
    one, other = _random(grey).normal(0, 0.06 * 255, (2, *grey.shape))
    return np.asarray(np.clip(np.rint(np.hypot(grey + one, other)), 0, 255), np.uint8)


def _upside_down(grey: Grey) -> Grey:
    return np.ascontiguousarray(grey[::-1, ::-1])


def _random(grey: Grey) -> np.random.Generator:
    """Draw what differs from slice to slice by the slice itself."""
    return np.random.default_rng(zlib.crc32(grey.tobytes()))


LOOKS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "no skull": _without_skull,
        "brighter": _power(0.6),
        "darker": _power(1.7),
        "steeper": _steeper,
        "bias field": _bias_field,
        "half resolution": _half_resolution,
        "noise": _noise,
        "upside down": _upside_down,
    }
)
"""The looks, by name."""
