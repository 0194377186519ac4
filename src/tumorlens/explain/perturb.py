"""Maps found by changing the picture and asking the network again.

They need no gradient, only a function that scores pictures, and as many forward passes
as there are channels or places.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tumorlens.explain.cam import occlusion, score_cam
from tumorlens.explain.place import place_on_input
from tumorlens.models.card import FeatureLayer
from tumorlens.progress import Progress, silent

__all__ = ["Score", "occlude", "score_all", "score_channels"]

Pictures: TypeAlias = NDArray[np.float32]
Score: TypeAlias = Callable[[Pictures], Pictures]
"""From prepared pictures ``(n, size, size)``, 0 to 1, to a class score each, before softmax."""

_BATCH: Final = 16
_PATCHES: Final = 8  # patches that fit side by side; they overlap by half


def score_channels(
    activations: NDArray[np.float32],
    layer: FeatureLayer,
    pixels: Pictures,
    score: Score,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Compute Score-CAM, one forward pass a channel.

    Each channel is placed over the input, scaled from its lowest to its highest value
    to 0 … 1 and multiplied with the picture (algorithm 1 of Wang et al., CVPR Workshops
    2020). A channel of one value shows nothing and is left out unseen.

    Parameters
    ----------
    activations
        ``(height, width, channels)``.
    layer
        Where its cells lie in the input.
    pixels
        The prepared picture ``(size, size)``.
    score
        What scores prepared pictures.
    progress
        Told of the channels; what it raises ends the work.

    Returns
    -------
    numpy.ndarray
        float32, ``(height, width)``, at least 0.
    """
    seen = np.flatnonzero(np.ptp(activations, axis=(0, 1)) > 0)
    masks = (_mask(activations[..., k], layer, pixels.shape[0]) for k in seen)
    black = score(np.zeros_like(pixels)[None])[0]
    rises = np.full(activations.shape[-1], -np.inf, dtype=np.float32)
    rises[seen] = score_all(score, (mask * pixels for mask in masks), progress, len(seen)) - black
    return score_cam(activations, rises)


def occlude(
    pixels: Pictures, score: Score, progress: Progress = silent
) -> tuple[NDArray[np.float32], FeatureLayer]:
    """Slide a grey patch over the picture and see how far the score falls.

    The patch is an eighth of the picture wide, moves by half its width, and has the mean
    grey of the picture.

    Parameters
    ----------
    pixels
        The prepared picture ``(size, size)``.
    score
        What scores prepared pictures.
    progress
        Told of the patches; what it raises ends the work.

    Returns
    -------
    tuple
        The map ``(rows, columns)``, float32, at least 0, and where its cells lie.
    """
    size = pixels.shape[0]
    side = max(2, 2 * round(size / _PATCHES / 2))
    step = side // 2
    starts = range(0, size - side + 1, step)
    grey = pixels.mean(dtype=np.float64)

    def hidden() -> Iterator[Pictures]:
        for top, left in itertools.product(starts, starts):
            picture = pixels.copy()
            picture[top : top + side, left : left + side] = grey
            yield picture

    scores = score_all(score, hidden(), progress, len(starts) ** 2)
    whole = float(score(pixels[None])[0])
    cells = occlusion(whole, scores.reshape(len(starts), len(starts)))
    return cells, FeatureLayer("input", step, (side - 1) / 2, "NHWC")


def score_all(
    score: Score, pictures: Iterable[Pictures], progress: Progress = silent, total: int = 0
) -> NDArray[np.float32]:
    """Score pictures in batches, with one batch in memory at a time.

    Parameters
    ----------
    score
        What scores prepared pictures.
    pictures
        Prepared pictures ``(size, size)``.
    progress
        Told of each batch; what it raises ends the work.
    total
        How many pictures there will be, for `progress`.

    Returns
    -------
    numpy.ndarray
        float32, ``(n,)``.
    """
    left, found, done = iter(pictures), [], 0
    while batch := list(itertools.islice(left, _BATCH)):
        found.append(score(np.stack(batch)))
        done += len(batch)
        progress("scoring", done, total)
    return np.concatenate(found) if found else np.empty(0, dtype=np.float32)


def _mask(channel: NDArray[np.float32], layer: FeatureLayer, size: int) -> Pictures:
    """Place a channel over the whole input, from 0 to 1."""
    placed = place_on_input(channel, layer, size)
    low, high = placed.min(), placed.max()
    return np.asarray((placed - low) / max(high - low, np.finfo(np.float32).tiny), np.float32)
