"""One evaluation: a model, the pictures it was asked about, and how good the answers are."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from tumorlens.classifier import Classifier, load
from tumorlens.evaluate.cases import LabelledSet, find_cases
from tumorlens.evaluate.intervals import wilson_interval
from tumorlens.evaluate.leak import Leak, judge_leak
from tumorlens.evaluate.metrics import Summary, require_metrics, summarise
from tumorlens.evaluate.parts import Part, break_down
from tumorlens.evaluate.run import Answers, run_model
from tumorlens.evaluate.scans import Scan
from tumorlens.evaluate.sets import describe_acceptance, describe_sets
from tumorlens.evaluate.volumes import VolumeScores, score_volumes
from tumorlens.models.card import Card
from tumorlens.progress import Progress, silent
from tumorlens.versions import versions_of

__all__ = ["UNKNOWN", "Evaluation", "Measured", "evaluate", "evaluate_all"]

UNKNOWN: Final = "unknown"
"""What a source is called that is not known."""

_PACKAGES: Final = ("tumorlens", "numpy", "onnxruntime", "pillow", "scikit-learn", "scipy")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The whole result.

    Parameters
    ----------
    card
        Of the model.
    data
        The pictures asked about.
    answers
        What the model said.
    summary
        How good that is.
    leak
        Whether it is too good to be true.
    seed
        Of the bootstrap.
    accepted
        Which share of the pictures the model calls assessable, with its interval.
    prediction_sets
        How often prediction sets hold the truth and how large they are.
    """

    card: Card
    data: LabelledSet
    answers: Answers
    summary: Summary
    leak: Leak
    seed: int
    accepted: Mapping[str, Any]
    prediction_sets: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        card: Card,
        data: LabelledSet,
        answers: Answers,
        summary: Summary,
        leak: Leak,
        seed: int,
    ) -> Self:
        """Add to a summary what the model accepted and what its sets held, on the same draws."""
        draws: dict[str, Any] = {
            "groups": answers.groups,
            "bootstrap": summary.resamples,
            "seed": seed,
        }
        sets = describe_sets(
            answers.labels, answers.sets, answers.predicted, classes=answers.classes, **draws
        )
        return cls(
            card,
            data,
            answers,
            summary,
            leak,
            seed,
            accepted=describe_acceptance(answers.assessable, **draws),
            prediction_sets={
                "level": card.set_level,
                "calibrated": bool(card.set_thresholds),
                **sets,
            },
        )

    @property
    def grouped(self) -> int:
        """How many of the pictures have a known group."""
        return sum(1 for group in self.answers.groups if group)

    @property
    def relabelled(self) -> int:
        """How many of the pictures count with another label than their folder's."""
        given = {case.name: case.label for case in self.data.cases}
        if self.data.chosen:
            given = {entry.path: entry.label for entry in self.data.chosen}
        counted = (self.answers.classes[c] for c in self.answers.labels)
        pairs = zip(self.answers.names, counted, strict=True)
        return sum(given[name] != label for name, label in pairs)

    def by_source(self) -> dict[str, Part]:
        """Count right and wrong answers for each source."""
        return self._parts([source or UNKNOWN for source in self.answers.sources])

    def by_group(self) -> dict[str, Part]:
        """Count right and wrong answers for each known group."""
        parts = self._parts(self.answers.groups)
        parts.pop("", None)
        return parts

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the rows, for JSON."""
        answers = self.answers
        found = self.summary.to_dict()
        doubtful = int((~answers.assessable).sum())
        groups = {
            name: {"n": part.n, "accuracy": part.accuracy} for name, part in self.by_group().items()
        }
        if not groups:
            found["undefined"]["by_group"] = "no groups are known"
        return {
            **found,
            "seed": self.seed,
            "not_assessable": {"n": doubtful, "share": doubtful / self.summary.n},
            "accepted": dict(self.accepted),
            "prediction_sets": dict(self.prediction_sets),
            "by_source": {name: _described(part) for name, part in self.by_source().items()},
            "by_group": groups or None,
            "model": _model(self.card),
            "data": {
                "name": self.data.name,
                **self.data.origin,
                "files_sha256": answers.sha256,
                "pictures": self.summary.n,
                "groups": len(groups),
                "without_group": self.summary.n - self.grouped,
                "of_published_set": sum(answers.public.values()),
                "relabelled": self.relabelled,
                "leaky": self.leak.leaky,
                "leaky_reason": self.leak.reason,
            },
            "unreadable": [{"path": name, "reason": why} for name, why in answers.unreadable],
            "versions": _versions(),
        }

    def _parts(self, keys: Sequence[str]) -> dict[str, Part]:
        answers = self.answers
        return break_down(answers.labels, answers.predicted, keys, classes=answers.classes)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that a set holds: single pictures, volumes, or both, each in a table of its own.

    Parameters
    ----------
    card
        Of the model.
    data
        What was asked about.
    answers
        For the single pictures, of which there may be none; what could not be read.
    leak
        Whether the figures are too good to be true.
    seed
        Of the bootstrap.
    pictures, volumes
        The figures of either, ``None`` where the set holds none.
    notes
        What was left out, and what else is to know of single files.
    """

    card: Card
    data: LabelledSet
    answers: Answers
    leak: Leak
    seed: int
    pictures: Evaluation | None
    volumes: VolumeScores | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the rows, for JSON."""
        if self.pictures is not None:
            found = self.pictures.to_dict()
        else:
            found = {
                "seed": self.seed,
                "model": _model(self.card),
                "data": {
                    "name": self.data.name,
                    **self.data.origin,
                    "files_sha256": self.answers.sha256,
                    "pictures": 0,
                    "leaky": self.leak.leaky,
                    "leaky_reason": self.leak.reason,
                },
                "unreadable": [{"path": x, "reason": why} for x, why in self.answers.unreadable],
                "versions": _versions(),
            }
        if self.notes:
            found["notes"] = list(self.notes)
        return found if self.volumes is None else {**found, "volumes": self.volumes.to_dict()}


def evaluate(
    data: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | Classifier | None = None,
    folds: Sequence[int] = (),
    split: str | None = None,
    external: bool = False,
    class_map: Mapping[str, str] | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Ask a model about labelled pictures and measure its answers.

    Parameters
    ----------
    data, folds, split, external, class_map
        The pictures; see `tumorlens.evaluate.cases.find_cases`. Volumes among them count as
        files that cannot be read; `evaluate_all` measures them too.
    model
        As `tumorlens.load` takes it, or what it gave.
    bootstrap, seed
        See `tumorlens.evaluate.metrics.summarise`.
    progress
        Told of pictures classified and resamples drawn.

    Raises
    ------
    DataError, ModelError
        When the data or the model is not as it should be.
    MissingExtraError
        When scikit-learn or SciPy is not installed.
    """
    require_metrics()
    cases = find_cases(data, folds=folds, split=split, external=external, class_map=class_map)
    classifier = model if isinstance(model, Classifier) else load(model)
    answers = run_model(classifier, cases, progress=progress)
    leak = judge_leak(classifier.card, cases, answers.public)
    return _of_pictures(classifier.card, cases, answers, leak, bootstrap, seed, progress)


def evaluate_all(
    data: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | Classifier | None = None,
    folds: Sequence[int] = (),
    split: str | None = None,
    external: bool = False,
    class_map: Mapping[str, str] | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> Measured:
    """Ask a model about labelled pictures and volumes and measure its answers.

    A series, a NIfTI or MGH file and a file of several frames or pages in a folder is a volume:
    its label is of the whole, and so is its answer.

    Parameters
    ----------
    data, model, folds, split, external, class_map, bootstrap, seed, progress
        See `evaluate`.

    Raises
    ------
    DataError, ModelError, MissingExtraError
        As `evaluate`.
    """
    require_metrics()
    cases = find_cases(data, folds=folds, split=split, external=external, class_map=class_map)
    classifier = model if isinstance(model, Classifier) else load(model)
    scans: list[Scan] = []
    notes: list[str] = []
    answers = run_model(classifier, cases, scans=scans, note=notes.append, progress=progress)
    card = classifier.card
    leak = judge_leak(card, cases, answers.public)
    pictures = volumes = None
    if answers.names:
        pictures = _of_pictures(card, cases, answers, leak, bootstrap, seed, progress)
    if scans:
        draws: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed, "progress": progress}
        volumes = score_volumes(scans, card.classes, **draws)
    return Measured(card, cases, answers, leak, seed, pictures, volumes, tuple(notes))


def _of_pictures(
    card: Card,
    cases: LabelledSet,
    answers: Answers,
    leak: Leak,
    bootstrap: int,
    seed: int,
    progress: Progress,
) -> Evaluation:
    summary = summarise(
        answers.labels,
        answers.probabilities,
        classes=answers.classes,
        groups=answers.groups,
        bootstrap=bootstrap,
        seed=seed,
        progress=progress,
    )
    return Evaluation.of(card, cases, answers, summary, leak, seed)


def _model(card: Card) -> dict[str, Any]:
    """Describe a model for JSON."""
    return {
        "id": card.id,
        "network": card.network,
        "precision": card.precision,
        "files": card.files,
        "leaky": card.training.get("leaky"),
        "trained_on_sha256": card.training.get("data_sha256"),
        "limitations": card.limitations,
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **versions_of(_PACKAGES)}


def _described(part: Part) -> dict[str, Any]:
    """Give a part of the pictures for JSON."""
    missed = part.missed / part.tumours if part.tumours else None
    return {
        "n": part.n,
        "accuracy": part.accuracy,
        "wilson": wilson_interval(part.right, part.n),
        "tumours": part.tumours,
        "tumour_miss_rate": missed,
    }
