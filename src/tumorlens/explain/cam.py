"""The formulas of saliency maps, as functions of arrays.

Activations and gradients are ``(height, width, channels)``: those of one layer, and the
derivative of a class score **before** softmax by them. A map is ``(height, width)`` and
not scaled: high is important, evidence against the class is cut to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "METHODS",
    "Method",
    "eigen_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "layer_cam",
    "occlusion",
    "scale_map",
    "score_cam",
]

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
    return _positive(activations @ gradients.mean(axis=(0, 1)))


def grad_cam_plus_plus(activations: Map, gradients: Map) -> Map:
    """Compute Grad-CAM++.

    As Grad-CAM, but a channel's weight is ``sum(alpha * relu(g))`` over all places, with
    ``alpha = g**2 / (2 * g**2 + sum(A) * g**3)`` (equation 19 of Chattopadhay et al.,
    "Grad-CAM++", WACV 2018, arXiv 1710.11063), where ``sum(A)`` is the channel's sum over
    all places and ``g`` the gradient at the place. The paper
    differentiates ``exp(score)``; its common factor ``exp(score)`` scales the whole map
    and is left out. ``g**2`` is cancelled, so that small gradients do not vanish in it.

    Parameters, return value and errors are those of `grad_cam`.
    """
    _validate(activations, gradients)
    # Gradients of zero or below count for nothing, so that g**2 may be cancelled.
    rising = np.maximum(gradients, 0)
    below = 2 + activations.sum(axis=(0, 1)) * rising
    shares = np.divide(rising, below, out=np.zeros_like(rising), where=below != 0)
    return _positive(activations @ shares.sum(axis=(0, 1)))


def hires_cam(activations: Map, gradients: Map) -> Map:
    """Compute HiResCAM.

    ``sum over channels of g * A`` at each place (the definition of HiResCAM in
    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
    convolutional neural networks", arXiv 2011.08891). Before a head that is linear in
    the activations, its sum is the score but for the bias.

    Parameters, return value and errors are those of `grad_cam`.
    """
    _validate(activations, gradients)
    return _positive((activations * gradients).sum(axis=-1))


def layer_cam(activations: Map, gradients: Map) -> Map:
    """Compute LayerCAM.

    ``sum over channels of relu(g) * A`` at each place (the weights of Jiang et al.,
    "LayerCAM: exploring hierarchical class activation maps for localization", IEEE TIP
    2021), which makes early layers readable.

    Parameters, return value and errors are those of `grad_cam`.
    """
    _validate(activations, gradients)
    return _positive((activations * np.maximum(gradients, 0)).sum(axis=-1))


def eigen_cam(activations: Map) -> Map:
    """Compute Eigen-CAM.

    ``A V1``, the activations' projection on their first right singular vector (the map of
    Muhammad and Yeasin, "Eigen-CAM: class activation map using principal components",
    IJCNN 2020). It shows what the layer responds to most and knows of no class. A
    singular vector's sign is arbitrary; the one is taken that makes the projection's
    sum positive, as the activations behind a ReLU are.

    Parameters
    ----------
    activations
        ``(height, width, channels)``.

    Returns
    -------
    numpy.ndarray
        float32, ``(height, width)``, at least 0.

    Raises
    ------
    ValueError
        When the shape is not three-dimensional.
    """
    _validate(activations, activations)
    height, width, channels = activations.shape
    flat = activations.reshape(-1, channels).astype(np.float64)
    if not np.isfinite(flat).all():  # LAPACK would raise
        return np.full((height, width), np.nan, dtype=np.float32)
    # The smaller of the two Gram matrices has the same singular vectors and is soon solved.
    if channels <= height * width:
        projection = flat @ np.linalg.eigh(flat.T @ flat)[1][:, -1]
    else:
        values, vectors = np.linalg.eigh(flat @ flat.T)
        projection = vectors[:, -1] * np.sqrt(max(values[-1], 0))
    total = projection.sum()
    # Where the sum says nothing, the largest entry decides.
    sign = total if abs(total) > 1e-9 * np.abs(projection).sum() else _largest(projection)
    return _positive((projection if sign >= 0 else -projection).reshape(height, width))


def score_cam(activations: Map, rises: NDArray[np.float32]) -> Map:
    """Compute Score-CAM from what each channel, used as a mask, does to the score.

    Channels are weighted by the softmax of `rises` and added up, negative sums are cut
    to zero (algorithm 1 of Wang et al., "Score-CAM", CVPR Workshops
    2020).

    Parameters
    ----------
    activations
        ``(height, width, channels)``.
    rises
        ``(channels,)``: the score before softmax of the picture seen through the
        channel, less that of a black picture. ``-inf`` leaves a channel out.

    Returns
    -------
    numpy.ndarray
        float32, ``(height, width)``, at least 0.

    Raises
    ------
    ValueError
        When the shapes do not fit.
    """
    _validate(activations, activations)
    if rises.shape != activations.shape[-1:]:
        raise ValueError(
            f"`rises` must have shape {activations.shape[-1:]}, one a channel, got {rises.shape}"
        )
    best = rises.max()
    if not np.isfinite(best):
        return np.full(activations.shape[:2], 0 if best < 0 else np.nan, dtype=np.float32)
    grown = np.exp(rises.astype(np.float64) - best)
    return _positive(activations @ (grown / grown.sum()))


def occlusion(whole: float, hidden: Map) -> Map:
    """Compute how far the score falls when a place is hidden.

    Section 4.2 of Zeiler and Fergus, "Visualizing and understanding convolutional
    networks", ECCV 2014, with the score before softmax.

    Parameters
    ----------
    whole
        The score of the whole picture.
    hidden
        ``(rows, columns)``: the score with a patch at that place.

    Returns
    -------
    numpy.ndarray
        float32, ``(rows, columns)``, at least 0.
    """
    return _positive(np.float64(whole) - hidden)


def scale_map(raw: Map, *, out: Map | None = None) -> tuple[Map, bool]:
    """Scale a map so that its peak is 1.

    Parameters
    ----------
    raw
        The map.
    out
        Where to put the result, which may be `raw` itself; a new array when ``None``.

    Returns
    -------
    tuple
        The map from 0 to 1, and whether it is flat: zero everywhere, because no
        place speaks for the class or a number is not finite.
    """
    peak = float(raw.max())
    if not np.isfinite((peak, raw.min())).all() or peak <= np.finfo(np.float32).tiny:
        return np.zeros_like(raw), True
    return np.divide(raw, np.float32(peak), out=out, dtype=np.float32), False


@dataclass(frozen=True, slots=True)
class Method:
    """What the rest of the program must know of a method to use it.

    Parameters
    ----------
    title
        Its name as people write it.
    formula
        From activations and gradients to a map; ``None`` for a method that asks the
        network about changed pictures instead.
    of_class
        Whether the map is about a class at all.
    shared
        Whether each place holds its share of a mean over all places; times their number it
        is in logits.
    """

    title: str
    formula: Callable[[Map, Map], Map] | None
    of_class: bool = True
    shared: bool = False


METHODS: Final[dict[str, Method]] = {
    "gradcam": Method("Grad-CAM", grad_cam, shared=True),
    "gradcam++": Method("Grad-CAM++", grad_cam_plus_plus),
    "hirescam": Method("HiResCAM", hires_cam, shared=True),
    "layercam": Method("LayerCAM", layer_cam, shared=True),
    "eigencam": Method("Eigen-CAM", lambda activations, _: eigen_cam(activations), of_class=False),
    "scorecam": Method("Score-CAM", None),
    "occlusion": Method("Occlusion", None),
}
"""Every method, by the name it is asked for."""


def _positive(values: NDArray[np.floating]) -> Map:
    """Cut to zero what is negative, but leave no trace of infinity out."""
    kept = np.where(np.isfinite(values), np.maximum(values, 0), np.nan)
    return np.asarray(kept, dtype=np.float32)


def _largest(values: NDArray[np.float64]) -> float:
    return float(values[np.abs(values).argmax()])


def _validate(activations: Map, gradients: Map) -> None:
    if activations.ndim != 3 or activations.shape != gradients.shape:
        raise ValueError(
            "`activations` and `gradients` must both have shape (height, width, channels), "
            f"got {activations.shape} and {gradients.shape}"
        )
