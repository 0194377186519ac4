"""How unlike the slices that a model was calibrated on a picture is, by what the network sees.

A feature map is averaged over its cells and brought to length 1: the last one, or, where the
network was built for it, one from its middle with the spread over the cells beside the mean.
The middle still sees what a picture is made of; the last map knows tumours only, and calls
legs and photographs alike. Such vectors of real
slices lie close to a plane of a few dozen dimensions; those of photographs, drawings, noise
or other organs stick out of it. The distance from that plane is the score: the residual of
H. Wang et al., "ViM: Out-of-Distribution with Virtual-logit Matching" (CVPR 2022), section
3.1, which scores features and not probabilities, since a network can be sure of anything.

Scoring needs no more than the core. Fitting needs scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tumorlens.errors import ModelError
from tumorlens.extras import require
from tumorlens.trust.weighting import own_groups
from tumorlens.untrusted import printable

__all__ = ["NOVELTY_NAME", "OUTPUT", "Novelty", "fit_novelty", "pool_features"]

NOVELTY_NAME: Final = "novelty.safetensors"
"""Name of the file in a bundle."""

OUTPUT: Final = "novelty"
"""Name of a network's output ``(n, channels)`` that the score is made for, where it has one."""

_VARIANCE: Final = 0.9  # of the vectors, that the plane holds
_MOST_DIMENSIONS: Final = 64  # 2,048 channels then make a file of 260 KB
_FOLDS: Final = 5
_FEATURE: Final = "calibrating a model"

_Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """The plane that known slices lie close to.

    Parameters
    ----------
    mean
        float32, ``(channels,)``: its origin.
    axes
        float32, ``(dimensions, channels)``: orthogonal vectors of length 1.

    Raises
    ------
    ModelError
        When the arrays do not fit together.
    """

    mean: _Vectors
    axes: _Vectors

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.axes.ndim != 2 or self.axes.shape[1:] != self.mean.shape:
            raise ModelError(
                f"the plane of the novelty score has axes {self.axes.shape} and the mean "
                f"{self.mean.shape}, which do not fit; calibrate the model again"
            )

    def score(self, vectors: _Vectors) -> NDArray[np.float64]:
        """Measure how far pictures lie from the plane.

        Parameters
        ----------
        vectors
            ``(n, channels)``; see `pool_features`.

        Returns
        -------
        numpy.ndarray
            float64, ``(n,)``, from 0; more is stranger.

        Raises
        ------
        ModelError
            When the vectors are of another network.
        """
        if vectors.shape[1:] != self.mean.shape:
            raise ModelError(
                f"the novelty score is for {self.mean.size} features, the network has "
                f"{vectors.shape[-1]}; calibrate the model again"
            )
        away = _to_length_one(vectors) - self.mean
        rest = away - (away @ self.axes.T) @ self.axes
        return np.asarray(np.linalg.norm(rest, axis=1), dtype=np.float64)

    def to_bytes(self) -> bytes:
        """Write it as a safetensors file in half precision."""
        # In C order: the library writes the bytes as they lie in memory, whatever their order.
        arrays = {"mean": self.mean, "axes": self.axes}
        content: bytes = save(
            {name: np.ascontiguousarray(x, dtype=np.float16) for name, x in arrays.items()}
        )
        return content

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> Self:
        """Read back what `to_bytes` wrote.

        Raises
        ------
        ModelError
            When it is not such a file; `source` is named.
        """
        arrays = _read_arrays(data, source)
        if set(arrays) != {"mean", "axes"}:
            raise ModelError(f"{source} holds {sorted(arrays)} where mean and axes are wanted")
        return cls(arrays["mean"], arrays["axes"])


def pool_features(features: NDArray[np.float32]) -> _Vectors:
    """Average last feature maps ``(n, height, width, channels)`` over their cells."""
    return np.asarray(features.mean(axis=(1, 2)), dtype=np.float32)


def fit_novelty(vectors: _Vectors, groups: Sequence[str]) -> tuple[Novelty, NDArray[np.float64]]:
    """Lay the plane through slices, and score each of them as if it were not known.

    Parameters
    ----------
    vectors
        ``(n, channels)``, of slices that did not train the network; see `pool_features`.
    groups
        Patient or cluster of each; one with an empty text stands for itself.

    Returns
    -------
    Novelty
        From all slices: as many axes as hold nine tenths of the variance, 64 at most.
    numpy.ndarray
        float64, ``(n,)``: the score of each slice by a plane through the others' groups
        (5 folds), since slices lie closer to a plane that was laid through them.

    Raises
    ------
    ValueError
        When there are fewer than two groups.
    MissingExtraError
        When scikit-learn is not installed.
    """
    selection = require("sklearn.model_selection", _FEATURE, "evaluate")
    named = own_groups(groups)
    folds = min(_FOLDS, len(set(named)))
    if folds < 2:
        raise ValueError("a novelty score needs slices of at least two groups")
    scores = np.empty(len(vectors))
    for others, these in selection.GroupKFold(folds).split(vectors, groups=named):
        scores[these] = _lay(vectors[others]).score(vectors[these])
    return _lay(vectors), scores


def _lay(vectors: _Vectors) -> Novelty:
    """Fit a plane by principal components, as exact as the file will hold it."""
    most = min(_MOST_DIMENSIONS, *vectors.shape)
    pca = require("sklearn.decomposition", _FEATURE, "evaluate").PCA(most, svd_solver="full")
    pca.fit(_to_length_one(vectors))
    enough = int(np.searchsorted(pca.explained_variance_ratio_.cumsum(), _VARIANCE)) + 1
    mean, axes = (x.astype(np.float16) for x in (pca.mean_, pca.components_[:enough]))
    return Novelty(mean.astype(np.float32), axes.astype(np.float32))


def _read_arrays(data: bytes, source: str) -> dict[str, _Vectors]:
    """Read a safetensors file of finite float16 and float32."""
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError) as error:  # of a type unknown to NumPy, too
        raise _no_numbers(source, printable(error, 200)) from error
    for name, array in arrays.items():
        if array.dtype not in (np.float16, np.float32) or not np.isfinite(array).all():
            raise _no_numbers(source, f"{printable(name, 200)} holds what is no number")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _no_numbers(source: str, what: str) -> ModelError:
    return ModelError(
        f"{source} is not a safetensors file of numbers ({what}); fetch or calibrate the model "
        "again"
    )


def _to_length_one(vectors: _Vectors) -> _Vectors:
    """Scale vectors to length 1; one of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.finfo(np.float32).tiny), dtype=np.float32)
