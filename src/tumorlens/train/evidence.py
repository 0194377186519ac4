"""Teaching where the evidence is: masks as targets for the cells of an evidence map."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.networks.geometry import CellGrid
from tumorlens.networks.keras_backend import require_keras

__all__ = ["UNKNOWN", "cell_coverage", "evidence_loss"]

UNKNOWN: Final = -1.0
"""Target of a map nothing is known of; it is left out of the loss."""


def cell_coverage(masks: Any, grid: CellGrid, cells: int) -> NDArray[np.float32]:
    """How much of each cell's square lies in a mask.

    Parameters
    ----------
    masks
        float, ``(n, size, size)``, from 0 to 1, in the network's input geometry.
    grid
        Where the cells lie; a cell's square is as wide as cells are apart.
    cells
        Along each side.

    Returns
    -------
    numpy.ndarray
        float32, ``(n, cells, cells)``, from 0 to 1. What a square holds beyond the input
        is no tumour.
    """
    masks = np.asarray(masks, np.float32)
    side = round(grid.jump)
    first = round(grid.start - (side - 1) / 2)
    count, size, _ = masks.shape
    canvas = np.zeros((count, cells * side, cells * side), np.float32)
    low, high = max(first, 0), min(first + cells * side, size)
    canvas[:, low - first : high - first, low - first : high - first] = masks[:, low:high, low:high]
    return np.asarray(canvas.reshape(count, cells, side, cells, side).mean(axis=(2, 4)), np.float32)


def evidence_loss(targets: Any, evidence: Any) -> Any:
    """Cross-entropy of each cell, tumour and the rest weighing the same in each map.

    A tumour fills a few of some hundred cells: without the balance, no evidence anywhere
    would be nearly right.

    Parameters
    ----------
    targets
        ``(n, rows, columns, tumours)``: the share of each cell that each tumour covers,
        or `UNKNOWN` all over a map.
    evidence
        Of the same shape, before any sigmoid.

    Returns
    -------
    tensor
        ``(n,)``.
    """
    ops = require_keras("training").ops
    targets = ops.cast(targets, evidence.dtype)
    known = ops.cast(targets >= 0, evidence.dtype)
    inside = ops.maximum(targets, 0.0)
    outside = (1.0 - inside) * known
    missed = ops.sum(inside * ops.softplus(-evidence), axis=(1, 2))
    imagined = ops.sum(outside * ops.softplus(evidence), axis=(1, 2))
    some = ops.sum(inside, axis=(1, 2))
    rest = ops.sum(outside, axis=(1, 2))
    each = missed / ops.maximum(some, 1.0) + imagined / ops.maximum(rest, 1.0)
    return ops.mean(each, axis=-1)
