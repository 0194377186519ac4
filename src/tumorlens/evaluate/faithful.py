"""Insertion and deletion: whether what a map calls important is so for the network.

Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box
models", BMVC 2018. The most important pixels of the network's input are
taken away first (to black), or given back first to a blurred picture. A good map makes
the first curve fall and the second rise at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.explain.perturb import score_all
from tumorlens.extras import require

__all__ = ["SHARES", "area", "deletion", "insertion"]

Array = NDArray[np.float32]
Score = Callable[[Array], Array]

SHARES: Final = tuple(i / 16 for i in range(17))
"""Of the pixels: where a curve is taken."""

_BLUR: Final = 5 / 224  # of the picture's side: standard deviation, as in the paper


def deletion(pixels: Array, heat: Array, score: Score) -> Array:
    """Take the most important pixels away, and score what is left.

    Parameters
    ----------
    pixels
        The prepared picture ``(size, size)``.
    heat
        The map over the same pixels.
    score
        The probability of a class for prepared pictures ``(n, size, size)``.

    Returns
    -------
    numpy.ndarray
        float32, one value for each of `SHARES`.
    """
    return score_all(score, _mixtures(np.zeros_like(pixels), pixels, heat))


def insertion(pixels: Array, heat: Array, score: Score) -> Array:
    """Give the most important pixels back to a blurred picture, and score it.

    Parameters and return value are those of `deletion`.
    """
    ndimage = require("scipy.ndimage", "measuring explanations", "evaluate")
    blurred = ndimage.gaussian_filter(pixels, _BLUR * len(pixels))
    return score_all(score, _mixtures(pixels, blurred, heat))


def area(curve: Array) -> float:
    """Give the area under a curve over `SHARES`, by trapezoids; from 0 to 1."""
    return float(np.trapezoid(curve, SHARES))


def _mixtures(first: Array, then: Array, heat: Array) -> Iterator[Array]:
    """Show one picture at the most important pixels and another at the rest."""
    order = np.argsort(-heat.ravel(), kind="stable")
    for share in SHARES:
        mixed = then.ravel().copy()
        chosen = order[: round(share * order.size)]
        mixed[chosen] = first.ravel()[chosen]
        yield mixed.reshape(then.shape)
