"""Painting a part of a slice over, to see whether the answer rests on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.extras import require
from tumorlens.images.slice import Slice

__all__ = ["control_mask", "hide", "widen"]

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

_RIM: Final = 0.012  # of the longer side: how far a tumour's rim may reach beyond its outline
_INSIDE: Final = 0.97  # of a control patch that must lie in the head
_TRIES: Final = 400


def widen(mask: Mask) -> Mask:
    """Let a mask grow by 1.2 % of the picture's longer side, so that no rim betrays it."""
    ndimage = require("scipy.ndimage", "measuring explanations", "evaluate")
    steps = max(1, round(_RIM * max(mask.shape)))
    return np.asarray(ndimage.binary_dilation(mask, iterations=steps))


def hide(picture: Slice, mask: Mask) -> Slice:
    """Paint a mask over with what surrounds it.

    Each painted pixel is the mean of its four neighbours (the harmonic function with the
    values at the mask's edge, Laplace's equation), so that the grey runs on smoothly and
    no new edge appears. Texture is lost with the rest.

    Parameters
    ----------
    picture
        The slice.
    mask
        What to paint over, ``(height, width)``; something must be left.

    Returns
    -------
    Slice
        The same slice but for the mask.

    Raises
    ------
    ValueError
        When the mask leaves nothing.
    """
    if mask.all():
        raise ValueError("`mask` covers the whole picture")
    if not mask.any():
        return picture
    filled = picture.pixels.astype(np.float64)
    filled[mask] = _harmonic(filled, mask)
    pixels = np.rint(filled) if picture.pixels.dtype == np.uint8 else filled
    return Slice(
        pixels.astype(picture.pixels.dtype),
        picture.value_range,
        picture.path,
        picture.index,
        picture.origin,
    )


def control_mask(mask: Mask, head: Mask, seed: int = 0) -> Mask | None:
    """Find a patch of the same shape elsewhere in the head.

    First its mirror image on the other side of the head, then places drawn at random.

    Parameters
    ----------
    mask
        The patch.
    head
        Where tissue is.
    seed
        Of the draw.

    Returns
    -------
    numpy.ndarray or None
        bool, without a pixel of the mask itself; ``None`` when there is no room.
    """
    if not head.any():
        return None
    rows, columns = np.nonzero(mask)
    width = mask.shape[1]
    for y, x in _offers(rows, columns, np.nonzero(head)[1], mask.shape, seed):
        if x.min() < 0 or x.max() >= width:
            continue
        if head[y, x].mean() >= _INSIDE and not mask[y, x].any():
            found = np.zeros_like(mask)
            found[y, x] = True
            return found
    return None


def _offers(
    rows: Places, columns: Places, across: Places, shape: tuple[int, ...], seed: int
) -> Iterator[tuple[Places, Places]]:
    """Name places for a patch: mirrored in the head's middle, then anywhere."""
    yield rows, across.min() + across.max() - columns
    random = np.random.default_rng(seed)
    for _ in range(_TRIES):
        yield (
            rows - rows.min() + random.integers(0, shape[0] - np.ptp(rows)),
            columns - columns.min() + random.integers(0, shape[1] - np.ptp(columns)),
        )


def _harmonic(values: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
    """Solve Laplace's equation inside a mask; at the picture's border nothing flows out."""
    sparse: Any = require("scipy.sparse", "measuring explanations", "evaluate")
    solve: Any = require("scipy.sparse.linalg", "measuring explanations", "evaluate").spsolve
    number = np.full(mask.shape, -1)
    rows, columns = np.nonzero(mask)
    number[rows, columns] = np.arange(rows.size)
    diagonal = np.zeros(rows.size)
    known = np.zeros(rows.size)
    links: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        y, x = rows + down, columns + right
        there = (y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1])
        here = np.flatnonzero(there)
        neighbour = number[y[here], x[here]]
        diagonal[here] += 1
        fixed = neighbour < 0
        known[here[fixed]] += values[y[here[fixed]], x[here[fixed]]]
        links.append((here[~fixed], neighbour[~fixed]))
    one = np.concatenate([link[0] for link in links])
    other = np.concatenate([link[1] for link in links])
    matrix = sparse.csc_matrix(
        (np.full(one.size, -1.0), (one, other)), shape=(rows.size, rows.size)
    ) + sparse.diags(diagonal, format="csc")
    return np.asarray(solve(matrix, known))
