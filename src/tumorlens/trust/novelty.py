"""How unlike the slices that a model was calibrated on a picture is, by what the network sees.

A feature map is averaged over its cells and brought to length 1: the last one, or, where the
network was built for it, one from its middle with the spread over the cells beside the mean.
The middle still sees what a picture is made of; the last map knows tumours only, and calls
legs and photographs alike. Such vectors of real
slices lie close to a plane of a few dozen dimensions; those of photographs, drawings, noise
or other organs stick out of it. The distance from that plane is the score: the residual of
H. Wang et al., "ViM: Out-of-Distribution with Virtual-logit Matching" (CVPR 2022), section
3.1, which scores features and not probabilities, since a network can be sure of anything.

A CT of a head lies as close to the plane as an MR slice: to the middle of the network a head
is a head. What is known to be taken for a slice gets a score of its own, the log odds of a
logistic regression on the same vectors.

Scoring needs no more than the core. Fitting needs scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tumorlens.errors import ModelError
from tumorlens.extras import require
from tumorlens.trust.weighting import own_groups
from tumorlens.untrusted import printable

__all__ = ["NOVELTY_NAME", "OUTPUT", "Novelty", "fit_novelty", "fit_other", "pool_features"]

NOVELTY_NAME: Final = "novelty.safetensors"
"""Name of the file in a bundle."""

OUTPUT: Final = "novelty"
"""Name of a network's output ``(n, channels)`` that the score is made for, where it has one."""

_VARIANCE: Final = 0.9  # of the vectors, that the plane holds
_MOST_DIMENSIONS: Final = 64  # 2,048 channels then make a file of 260 KB
_FOLDS: Final = 5
_FEATURE: Final = "calibrating a model"
_OTHER: Final = "other: "  # before the name of a kind, in the file
_PENALTY: Final = 0.1  # C of the regression, on features of unit variance

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
    others
        Kinds of pictures that lie close to the plane and are no slices, such as ``"CT"``: for
        each, weights of the channels and a constant, float32, ``(channels + 1,)``.

    Raises
    ------
    ModelError
        When the arrays do not fit together.
    """

    mean: _Vectors
    axes: _Vectors
    others: dict[str, _Vectors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.axes.ndim != 2 or self.axes.shape[1:] != self.mean.shape:
            raise ModelError(
                f"the plane of the novelty score has axes {self.axes.shape} and the mean "
                f"{self.mean.shape}, which do not fit; calibrate the model again"
            )
        for name, weights in self.others.items():
            if weights.shape != (self.mean.size + 1,):
                raise ModelError(
                    f"the weights of {printable(name, 100)} are {weights.shape} for "
                    f"{self.mean.size} features and a constant; calibrate the model again"
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
        self._take(vectors)
        away = _to_length_one(vectors) - self.mean
        rest = away - (away @ self.axes.T) @ self.axes
        return np.asarray(np.linalg.norm(rest, axis=1), dtype=np.float64)

    def log_odds(self, vectors: _Vectors) -> dict[str, NDArray[np.float64]]:
        """Measure how much rather than slices pictures are of each of the other kinds.

        Returns
        -------
        dict
            For each kind float64, ``(n,)``; above 0 it is more probable than a slice, both
            being as frequent.

        Raises
        ------
        ModelError
            When the vectors are of another network.
        """
        self._take(vectors)
        return {
            name: vectors.astype(np.float64) @ weights[:-1] + weights[-1]
            for name, weights in self.others.items()
        }

    def _take(self, vectors: _Vectors) -> None:
        if vectors.shape[1:] != self.mean.shape:
            raise ModelError(
                f"the novelty score is for {self.mean.size} features, the network has "
                f"{vectors.shape[-1]}; calibrate the model again"
            )

    def to_bytes(self) -> bytes:
        """Write it as a safetensors file: the plane in half precision, the rest in single."""
        # In C order: the library writes the bytes as they lie in memory, whatever their order.
        plane = {"mean": self.mean, "axes": self.axes}
        arrays = {name: np.ascontiguousarray(x, dtype=np.float16) for name, x in plane.items()}
        arrays |= {
            _OTHER + name: np.ascontiguousarray(x, dtype=np.float32)
            for name, x in self.others.items()
        }
        content: bytes = save(arrays)
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
        others = {
            name.removeprefix(_OTHER): arrays.pop(name)
            for name in sorted(arrays)
            if name.startswith(_OTHER)
        }
        if set(arrays) != {"mean", "axes"}:
            raise ModelError(f"{source} holds {sorted(arrays)} where mean and axes are wanted")
        return cls(arrays["mean"], arrays["axes"], others)


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


def fit_other(slices: _Vectors, other: _Vectors) -> _Vectors:
    """Learn to tell another kind of pictures from slices.

    Parameters
    ----------
    slices, other
        ``(n, channels)`` and ``(m, channels)``; see `pool_features`. Each side counts as
        much, however many there are.

    Returns
    -------
    numpy.ndarray
        float32, ``(channels + 1,)``: as `Novelty` takes it.

    Raises
    ------
    MissingExtraError
        When scikit-learn is not installed.
    """
    linear = require("sklearn.linear_model", _FEATURE, "evaluate")
    scaler = require("sklearn.preprocessing", _FEATURE, "evaluate").StandardScaler()
    vectors = scaler.fit_transform(np.concatenate([slices, other]).astype(np.float64))
    kinds = np.repeat([False, True], [len(slices), len(other)])
    model = linear.LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=2000)
    model.fit(vectors, kinds)
    weights = model.coef_[0] / scaler.scale_
    constant = model.intercept_[0] - scaler.mean_ @ weights
    return np.append(weights, constant).astype(np.float32)


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
