"""Insertion and deletion: whether what a map calls important is so for the network.

Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box
models", BMVC 2018. The most important pixels of the network's input are
taken away first (to black), or given back first to a blurred picture. A good map makes
the first curve fall and the second rise at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.explain.perturb import score_all
from tumorlens.extras import require

__all__ = ["SHARES", "area", "curves", "deletion", "insertion"]

Array = NDArray[np.float32]
Score = Callable[[Array], Array]

SHARES: Final = tuple(i / 8 for i in range(9))
"""Of the pixels: where a curve is taken."""

_BLUR: Final = 5 / 224  # of the picture's side: standard deviation, as in the paper


def curves(pixels: Array, heats: Sequence[Array], score: Score) -> list[tuple[Array, Array]]:
    """Take the deletion and the insertion curve of some maps of one picture.

    No picture is scored twice: the ends of the curves are the same for every map, and maps
    that rank the pixels alike have the same curves.

    Parameters
    ----------
    pixels
        The prepared picture ``(size, size)``.
    heats
        Maps over the same pixels.
    score
        The probability of a class for prepared pictures ``(n, size, size)``.

    Returns
    -------
    list of tuple
        For each map the deletion and the insertion curve: float32, one value for each of
        `SHARES`.
    """
    ndimage = require("scipy.ndimage", "measuring explanations", "evaluate")
    blurred = ndimage.gaussian_filter(pixels, _BLUR * len(pixels))
    black = np.zeros_like(pixels)
    orders = [np.argsort(-heat.ravel(), kind="stable") for heat in heats]
    which: dict[bytes, int] = {}
    ranks = [which.setdefault(order.tobytes(), len(which)) for order in orders]
    unlike = [orders[ranks.index(i)] for i in range(len(which))]

    def pictures() -> Iterator[Array]:
        yield from (pixels, black, blurred)
        for order in unlike:
            yield from _mixtures(black, pixels, order)
            yield from _mixtures(pixels, blurred, order)

    whole, none, blur, *rest = score_all(score, pictures())
    inner = np.array(rest, np.float32).reshape(len(unlike), 2, len(SHARES) - 2)
    return [
        (np.array([whole, *inner[i, 0], none]), np.array([blur, *inner[i, 1], whole]))
        for i in ranks
    ]


def deletion(pixels: Array, heat: Array, score: Score) -> Array:
    """Take the most important pixels away, and score what is left; see `curves`."""
    return curves(pixels, [heat], score)[0][0]


def insertion(pixels: Array, heat: Array, score: Score) -> Array:
    """Give the most important pixels back to a blurred picture, and score it; see `curves`."""
    return curves(pixels, [heat], score)[0][1]


def area(curve: Array) -> float:
    """Give the area under a curve over `SHARES`, by trapezoids; from 0 to 1."""
    return float(np.trapezoid(curve, SHARES))


def _mixtures(first: Array, then: Array, order: NDArray[np.intp]) -> Iterator[Array]:
    """Show one picture at the most important pixels and another at the rest, ends left out."""
    for share in SHARES[1:-1]:
        mixed = then.ravel().copy()
        chosen = order[: round(share * order.size)]
        mixed[chosen] = first.ravel()[chosen]
        yield mixed.reshape(then.shape)
