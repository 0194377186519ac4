"""Colour maps as small tables: perceptually uniform, readable in grey and by the colour-blind.

"Inferno", "magma" and "viridis" are by Nathaniel Smith and Stéfan van der Walt, who gave
them to the public (CC0, https://bids.github.io/colormap/). Every eighth of their 256
colours stands here; what lies between is interpolated, at most 3 of 255 away.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLORMAPS", "colours"]

_HEX: Final = {
    "inferno": (
        "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e "
        "7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c63d4d d04545 da4e3c e35933 eb6429 "
        "f1711f f67e14 f98c0a fb9b06 fcaa0f fbba1f f9c932 f5d949 f2e865 f3f586 fcffa4"
    ),
    "magma": (
        "000004 030312 0a0822 130d34 1d1147 29115a 36106b 440f76 51127c 5d177f 6a1c81 "
        "762181 832681 902a81 9c2e7f aa337d b73779 c23b75 cf4070 db476a e55064 ee5b5e "
        "f4695c f9785d fb8761 fd9668 fea571 feb47b fec287 fed194 fde0a1 fceeb0 fcfdbf"
    ),
    "viridis": (
        "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d "
        "2f6b8e 2c728e 297a8e 26828e 23898e 21918c 1f978b 1f9f88 21a685 27ad81 31b57b "
        "3dbc74 4cc26c 5cc863 6ece58 81d34d 95d840 aadc32 c0df25 d5e21a eae51a fde725"
    ),
}

COLORMAPS: Final[dict[str, NDArray[np.float32]]] = {
    name: np.array([list(bytes.fromhex(word)) for word in text.split()], dtype=np.float32)
    for name, text in _HEX.items()
}
"""Each map's colours from 0 to 1, evenly spaced: ``(33, 3)``, red, green and blue to 255."""


def colours(values: NDArray[np.float32], colormap: str = "inferno") -> NDArray[np.float32]:
    """Give each value its colour.

    Parameters
    ----------
    values
        Of any shape, from 0 to 1.
    colormap
        A key of `COLORMAPS`.

    Returns
    -------
    numpy.ndarray
        float32, the same shape and a last axis of 3, from 0 to 255.

    Raises
    ------
    ValueError
        When there is no such colour map.
    """
    if colormap not in COLORMAPS:
        raise ValueError(f"there is no colour map {colormap!r}; there are {', '.join(COLORMAPS)}")
    table = COLORMAPS[colormap]
    places = np.linspace(0, 1, len(table))
    channels = [np.interp(values, places, table[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)
