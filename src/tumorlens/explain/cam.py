"""The formulas of class activation maps, as functions of arrays.

All take activations ``(height, width, channels)`` of one layer and the gradient of
a class score **before** softmax by them, and give a map ``(height, width)`` that is
not scaled: high is important, negative evidence is cut to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "grad_cam", "scale_map"]

Map: TypeAlias = NDArray[np.float32]


def grad_cam(activations: Map, gradients: Map) -> Map:
    """Compute Grad-CAM.

    Each channel is weighted by its mean gradient (equation 1 of Selvaraju et al.,
    "Grad-CAM", ICCV 2017), the weighted channels are added up and negative sums
    cut to zero (equation 2).

    Parameters
    ----------
    activations, gradients
        ``(height, width, channels)``.

    Returns
    -------
    numpy.ndarray
        float32, ``(height, width)``, at least 0.

    Raises
    ------
    ValueError
        When the shapes differ or are not three-dimensional.
    """
    _validate(activations, gradients)
    weights = gradients.mean(axis=(0, 1))
    return np.asarray(np.maximum(activations @ weights, 0), dtype=np.float32)


def scale_map(raw: Map) -> tuple[Map, bool]:
    """Scale a map so that its peak is 1.

    Returns
    -------
    tuple
        The map from 0 to 1, and whether it is flat: zero everywhere, because no
        place speaks for the class or a number is not finite.
    """
    peak = float(raw.max())
    if not np.isfinite(raw).all() or peak <= np.finfo(np.float32).tiny:
        return np.zeros_like(raw), True
    return np.asarray(raw / np.float32(peak), dtype=np.float32), False


METHODS: Final[dict[str, Callable[[Map, Map], Map]]] = {"gradcam": grad_cam}
"""Every method that needs activations and gradients only, by name."""


def _validate(activations: Map, gradients: Map) -> None:
    if activations.ndim != 3 or activations.shape != gradients.shape:
        raise ValueError(
            "`activations` and `gradients` must both have shape (height, width, channels), "
            f"got {activations.shape} and {gradients.shape}"
        )
