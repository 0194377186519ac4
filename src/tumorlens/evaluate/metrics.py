"""How good the answers are: figures on plain arrays, each with what is known of its error.

scikit-learn computes what it has; only the many resamples of the bootstrap are computed
in bulk by `tumorlens.evaluate.resample`, which the tests hold to the same numbers.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorlens.evaluate.intervals import (
    LEVEL,
    Interval,
    number_units,
    percentiles,
    wilson_interval,
)
from tumorlens.evaluate.resample import BINS, NO_TUMOUR, confidence_bins, resample
from tumorlens.extras import require
from tumorlens.progress import Progress, silent

__all__ = ["Bins", "Summary", "reliability", "require_metrics", "summarise"]


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """How good the answers for some labelled pictures are.

    Parameters
    ----------
    classes
        Their names, in the order of everything here.
    n
        Pictures.
    units
        What the bootstrap draws: groups, and pictures without a group.
    resamples
        How often it drew.
    figures
        By name; ``None`` where not defined:

        - ``accuracy``;
        - ``macro_f1``: mean of the classes' F1;
        - ``mcc``: Matthews's correlation for several classes, from -1 to 1; 0 when one
          class is answered for all pictures;
        - ``auc.C``: area under the ROC curve of class C against the rest, ``auc.macro``:
          their mean; ``average_precision.C``, ``average_precision.macro``;
        - ``precision.C``, ``recall.C``, ``f1.C``;
        - ``ece``: expected calibration error of the most probable class, from 0 to 1, with
          `BINS` bins of equal width (Guo et al., ICML 2017);
        - ``brier``: mean over pictures of the sum over classes of (probability - truth)²,
          from 0 to 2 (Brier 1950);
        - ``tumour_miss_rate``: share of the tumour pictures that are called ``notumor``.
    intervals
        By the same names: the 95 % percentile interval over resampled units; ``None``
        where there is none. The bootstrap cannot see errors that did not happen: the
        interval of an accuracy of 1 is (1, 1). That of ``ece`` lies too high.
    wilson
        95 % intervals of single proportions (Wilson 1927), as if pictures were
        independent: ``accuracy``, ``tumour_miss_rate`` and ``recall.C``.
    undefined
        Why a figure is ``None``, or, under ``intervals.`` and its name, only its interval.
    confusion_matrix
        int64, ``(classes, classes)``: rows are true, columns predicted.
    """

    classes: tuple[str, ...]
    n: int
    units: int
    resamples: int
    figures: dict[str, float | None]
    intervals: dict[str, Interval | None]
    wilson: dict[str, Interval | None]
    undefined: dict[str, str]
    confusion_matrix: NDArray[np.int64]

    @property
    def support(self) -> dict[str, int]:
        """Pictures of each class."""
        return dict(zip(self.classes, self.confusion_matrix.sum(axis=1).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Give everything for JSON, with ``auc.C`` and the like as tables by class."""
        figures = _nested(self.figures)
        measures = [figures.pop(name) for name in ("precision", "recall", "f1")]
        support = self.support
        return {
            "n": self.n,
            "classes": list(self.classes),
            **figures,
            "per_class": {
                name: {
                    "precision": measures[0][name],
                    "recall": measures[1][name],
                    "f1": measures[2][name],
                    "support": support[name],
                }
                for name in self.classes
            },
            "confusion_matrix": self.confusion_matrix.tolist(),
            "intervals": _nested(self.intervals),
            "wilson": _nested(self.wilson),
            "bootstrap": {"level": LEVEL, "resamples": self.resamples, "units": self.units},
            "undefined": dict(self.undefined),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Confidence against accuracy, in `BINS` bins of equal width.

    Parameters
    ----------
    counts, right
        int64, ``(BINS,)``: pictures of each bin, and how many were answered rightly.
    confidence
        float64, ``(BINS,)``: mean confidence; NaN in empty bins.
    """

    counts: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap of confidence and accuracy over pictures."""
        gaps = np.abs(np.nan_to_num(self.confidence) * self.counts - self.right)
        return float(gaps.sum() / self.counts.sum())


def require_metrics() -> tuple[Any, Any]:
    """Give ``sklearn.metrics`` and ``scipy.stats``, before long work that ends in them.

    Raises
    ------
    MissingExtraError
        When one of them is not installed.
    """
    feature, extra = "measuring a model", "evaluate"
    return require("sklearn.metrics", feature, extra), require("scipy.stats", feature, extra)


def summarise(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> Summary:
    """Measure answers against the truth.

    Parameters
    ----------
    labels
        Whole numbers, ``(n,)``: true positions in `classes`.
    probabilities
        ``(n, classes)``, each row adding up to 1. The answer is the most probable class,
        the first one of equals.
    classes
        Their names.
    groups
        Patient or cluster of each picture, an empty text where it is not known. The
        bootstrap draws whole groups; a picture without a group stands for itself. When
        ``None``, all do: the intervals are then too narrow if patients have several.
    bootstrap
        How often to draw; 0 for no intervals, which is quick.
    seed
        Of the draws.
    progress
        Told of the draws.

    Raises
    ------
    ValueError
        When the arrays do not fit together, or rows are no probabilities.
    MissingExtraError
        When scikit-learn or SciPy is not installed.
    """
    truth, rows = _checked(labels, probabilities, len(classes))
    if groups is not None and len(groups) != truth.size:
        raise ValueError(f"`groups` must name {truth.size} groups, got {len(groups)}")
    tools, _ = require_metrics()
    names = tuple(classes)
    matrix: NDArray[np.int64] = tools.confusion_matrix(
        truth, rows.argmax(axis=1), labels=range(len(names))
    )
    undefined = _reasons(matrix, names)
    figures = _figures(truth, rows, names, matrix, undefined)
    units = number_units(groups, truth.size)
    intervals: dict[str, Interval | None] = {}
    if bootstrap:
        drawn = resample(
            truth, rows, units, names, resamples=bootstrap, seed=seed, progress=progress
        )
        intervals, reasons = _intervals(figures, drawn, int(units.max()) + 1)
        undefined |= reasons
    return Summary(
        classes=names,
        n=truth.size,
        units=int(units.max()) + 1,
        resamples=bootstrap,
        figures=figures,
        intervals=intervals,
        wilson=_wilson(matrix, names),
        undefined=undefined,
        confusion_matrix=matrix,
    )


def reliability(labels: ArrayLike, probabilities: ArrayLike) -> Bins:
    """Compare confidence and accuracy, bin by bin; see `Bins`.

    Parameters
    ----------
    labels, probabilities
        See `summarise`.
    """
    truth, rows = _checked(labels, probabilities, np.asarray(probabilities).shape[-1])
    confidence = rows.max(axis=1)
    where = confidence_bins(confidence)
    counts = np.bincount(where, minlength=BINS)
    right = np.bincount(where, rows.argmax(axis=1) == truth, BINS).astype(np.int64)
    sums = np.bincount(where, confidence, BINS)
    mean = np.divide(sums, counts, out=np.full(BINS, np.nan), where=counts > 0)
    return Bins(counts.astype(np.int64), right, mean)


def _checked(
    labels: ArrayLike, probabilities: ArrayLike, kinds: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, rows = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or not truth.size or truth.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must be whole numbers of shape (n,), got {truth.dtype} {truth.shape}"
        )
    if kinds < 2 or rows.shape != (truth.size, kinds):
        raise ValueError(
            f"`probabilities` must have shape ({truth.size}, {kinds}), at least two classes, "
            f"got {rows.shape}"
        )
    if truth.min() < 0 or truth.max() >= kinds:
        raise ValueError(f"`labels` must be from 0 to {kinds - 1}, got {truth.max()}")
    sums = rows.sum(axis=1)
    if not np.isfinite(rows).all() or rows.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError("each row of `probabilities` must be from 0 to 1 and add up to 1")
    return truth.astype(np.int64), rows / sums[:, None]


def _figures(
    truth: NDArray[np.int64],
    rows: NDArray[np.float64],
    classes: tuple[str, ...],
    matrix: NDArray[np.int64],
    undefined: Container[str],
) -> dict[str, float | None]:
    """Compute every figure that is defined."""
    tools, _ = require_metrics()
    predicted, kinds = rows.argmax(axis=1), range(len(classes))
    measures = tools.precision_recall_fscore_support(
        truth, predicted, labels=kinds, zero_division=np.nan
    )
    values: dict[str, float] = {
        "accuracy": tools.accuracy_score(truth, predicted),
        "macro_f1": measures[2].mean(),
        "mcc": np.nan if "mcc" in undefined else tools.matthews_corrcoef(truth, predicted),
    }
    for measure, score in (
        ("auc", tools.roc_auc_score),
        ("average_precision", tools.average_precision_score),
    ):
        each = {
            f"{measure}.{name}": np.nan
            if f"{measure}.{name}" in undefined
            else score(truth == c, rows[:, c])
            for c, name in enumerate(classes)
        }
        values |= {f"{measure}.macro": np.mean(list(each.values())), **each}
    values |= {
        "ece": reliability(truth, rows).ece,
        "brier": tools.brier_score_loss(truth, rows, labels=list(kinds), scale_by_half=False),
        "tumour_miss_rate": _missed(matrix, classes) / max(_tumours(matrix, classes), 1),
    }
    for measure, numbers in zip(("precision", "recall", "f1"), measures, strict=False):
        values |= {f"{measure}.{name}": numbers[c] for c, name in enumerate(classes)}
    return {name: None if name in undefined else float(v) for name, v in values.items()}


def _reasons(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, str]:
    """Name the figures that are not defined, and why."""
    support, given = matrix.sum(axis=1), matrix.sum(axis=0)
    reasons: dict[str, str] = {}
    for c, name in enumerate(classes):
        if not support[c]:
            for measure in ("auc", "average_precision", "recall", "f1"):
                reasons[f"{measure}.{name}"] = f"no picture of {name}"
        if not given[c]:
            reasons[f"precision.{name}"] = f"{name} was never answered"
    absent = [name for c, name in enumerate(classes) if not support[c]]
    if absent:
        why = f"no picture of {', '.join(absent)}"
        reasons |= dict.fromkeys(("macro_f1", "auc.macro", "average_precision.macro"), why)
    if len(absent) == len(classes) - 1:
        reasons["mcc"] = "every picture is of one class"
        only = classes[int(support.argmax())]
        reasons[f"auc.{only}"] = f"every picture is of {only}"
    if NO_TUMOUR not in classes:
        reasons["tumour_miss_rate"] = f"there is no class {NO_TUMOUR}"
    elif not _tumours(matrix, classes):
        reasons["tumour_miss_rate"] = "no picture of a tumour"
    return reasons


def _tumours(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> int:
    """Count the pictures of tumours."""
    if NO_TUMOUR not in classes:
        return 0
    return int(matrix.sum() - matrix[classes.index(NO_TUMOUR)].sum())


def _missed(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> int:
    """Count the tumours that were called none."""
    if NO_TUMOUR not in classes:
        return 0
    none = classes.index(NO_TUMOUR)
    return int(matrix[:, none].sum() - matrix[none, none])


def _wilson(matrix: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, Interval | None]:
    support = matrix.sum(axis=1)
    tumours = _tumours(matrix, classes)
    return {
        "accuracy": wilson_interval(int(np.trace(matrix)), int(matrix.sum())),
        "tumour_miss_rate": wilson_interval(_missed(matrix, classes), tumours),
        **{
            f"recall.{name}": wilson_interval(int(matrix[c, c]), int(support[c]))
            for c, name in enumerate(classes)
        },
    }


def _intervals(
    figures: dict[str, float | None], drawn: dict[str, NDArray[np.float64]], units: int
) -> tuple[dict[str, Interval | None], dict[str, str]]:
    """Take the percentiles of the resamples, where they say anything."""
    found: dict[str, Interval | None] = {}
    reasons = {}
    for name in (name for name in figures if name in drawn):
        interval, share = percentiles(drawn[name])
        found[name] = None
        if figures[name] is None:
            continue  # whose reason is given
        if units < 2:
            reasons[f"intervals.{name}"] = "all pictures are of one group"
        elif interval is None:
            reasons[f"intervals.{name}"] = f"defined in only {share:.0%} of the resamples"
        else:
            found[name] = interval
    return found, reasons


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Turn ``{"auc.glioma": 1}`` into ``{"auc": {"glioma": 1}}``."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        measure, _, of = name.partition(".")
        if of:
            tree.setdefault(measure, {})[of] = value
        else:
            tree[measure] = value
    return tree
