"""Calibrating a bundle: what ships is asked about slices it was not trained on.

Out of that come a temperature, thresholds for prediction sets and a limit for the novelty
score, in a new bundle with the same network. What the card says of them is cross-fitted:
each slice is judged by what was fitted on the other groups, since whatever was fitted on a
slice flatters it.

With looks, the novelty score knows the same slices as other hospitals would show them, and
its limit is far enough for each look: a skull taken off is no other organ.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.manifest import Entry
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import LabelledSet, find_cases
from tumorlens.evaluate.keeper import Keeper
from tumorlens.evaluate.leak import Leak, judge_leak
from tumorlens.evaluate.looks import LOOKS
from tumorlens.evaluate.metrics import reliability, require_metrics
from tumorlens.evaluate.others import find_excluded, fit_others
from tumorlens.evaluate.run import Answers, run_model
from tumorlens.evaluate.sets import describe_sets
from tumorlens.extras import require
from tumorlens.files import new_folder
from tumorlens.models.bundle import Bundle, read_listed
from tumorlens.models.card import CARD_NAME, Card, NoveltyLimit
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.progress import Progress, silent
from tumorlens.trust.conformal import ClassThreshold, class_thresholds, sets_above
from tumorlens.trust.novelty import NOVELTY_NAME, Novelty, fit_novelty
from tumorlens.trust.prediction_set import softmax
from tumorlens.trust.temperature import COLDEST, WARMEST, fit_temperature
from tumorlens.trust.weighting import group_weights, own_groups

__all__ = ["LOOKED", "Calibration", "calibrate", "fit_calibration", "write_calibrated"]

LOOKED: Final = 0.97
"""Share of unseen valid slices that shall be assessable under each look."""

_FOLDS: Final = 5  # for what is said of the calibration
_FEWEST_GROUPS: Final = 10
_SUFFIX: Final = "-calibrated"
_OLD_SUFFIX: Final = re.compile(r"-calibrated(-[0-9a-f]{8})?$")
_LIMIT_SHARE: Final = 0.01  # a temperature this near to a limit of its search is no minimum
_MOST_EMPTY: Final = 0.5  # share of sets that may hold every class


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What was fitted, and how well it does.

    Parameters
    ----------
    temperature
        See `tumorlens.trust.temperature`.
    level
        How often sets shall hold the truth.
    thresholds
        In class order; see `tumorlens.trust.conformal`.
    novelty, limit, accept
        The score, the largest that is accepted, and the share of unseen valid slices that
        it was chosen to accept.
    report
        For the card: numbers of slices and groups, and, cross-fitted, what to expect.
    """

    temperature: float
    level: float
    thresholds: tuple[ClassThreshold, ...]
    novelty: Novelty
    limit: float
    accept: float
    report: dict[str, Any]


def calibrate(
    model: str | os.PathLike[str] | None,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    folds: Sequence[int] = (),
    split: str | None = None,
    external: bool = False,
    class_map: Mapping[str, str] | None = None,
    level: float = 0.95,
    accept: float = 0.99,
    looks: bool = False,
    refuse: Sequence[str] = (),
    seen: bool = False,
    version: str | None = None,
    limitations: str | None = None,
    progress: Progress = silent,
    **where: Any,
) -> tuple[Card, Answers]:
    """Calibrate a bundle on slices that it was not trained on, and write the new one.

    Parameters
    ----------
    model
        The bundle, as `tumorlens.load` takes it; int8 or float, it stays what it is.
    data, folds, split, external, class_map
        The slices; see `tumorlens.evaluate.cases.find_cases`.
    out
        The bundle to make; it appears whole or not at all.
    level
        How often a prediction set shall hold the truth.
    accept
        Share of unseen valid slices that shall be assessable.
    looks
        Whether slices are shown under eight looks too, of each of which `LOOKED` shall be
        assessable; see `tumorlens.evaluate.looks`. It takes nine times as long.
    refuse
        Reasons for which the manifest excludes pictures, such as ``"CT"``: what looks like
        those is not assessable; see `tumorlens.evaluate.others`.
    seen
        Whether to go on when the model was trained on these pictures or patients. Its
        card then says so.
    version
        Of the new bundle. When ``None`` the old one's with ``-calibrated-`` and eight
        digits of a hash of what was fitted: it answers differently from every other
        calibration, so it is another model.
    limitations
        What the new card says of the model's limits; what the old one says when ``None``.
    progress
        Told of each file.
    **where
        ``offline`` and ``endpoint``; see `tumorlens.load`.

    Returns
    -------
    tuple
        The new card, and the answers it rests on.

    Raises
    ------
    DataError
        When the model was trained on these pictures or patients, or they are too few, or
        nothing of use can be fitted on them.
    ModelError, OutputError
        When the bundle or the place is not as it should be.
    MissingExtraError
        When the ``evaluate`` extra is not installed.
    """
    require_metrics()
    cases = find_cases(data, folds=folds, split=split, external=external, class_map=class_map)
    bundle = open_bundle(model, progress=progress, **where)
    bare = _uncalibrated(bundle.card)
    excluded = {reason: find_excluded(cases, bare, reason) for reason in refuse}
    _refuse_seen(judge_leak(bare, cases, {}), seen=seen)
    with new_folder(out) as folder:
        session = Session(dataclasses.replace(bundle, card=bare))
        keeper = Keeper(session, LOOKS if looks else {})
        answers = run_model(keeper, cases, progress=progress)
        leak = judge_leak(bare, cases, answers.public)
        _refuse_seen(leak, seen=seen)
        paths = [str(cases.root / name) for name in answers.names]
        vectors, looked = keeper.views(paths)
        found = fit_calibration(answers, vectors, looked, level=level, accept=accept)
        found.report.update(_origin(cases, answers, leak))
        for reason, entries in excluded.items():
            _learn(found, reason, entries, cases, keeper, answers, progress)
        card = write_calibrated(bundle, found, folder, version=version, limitations=limitations)
    return card, answers


def fit_calibration(
    answers: Answers,
    vectors: NDArray[np.float32],
    looked: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
    *,
    level: float,
    accept: float,
) -> Calibration:
    """Fit everything on a model's answers, and judge it by cross-fitting.

    Parameters
    ----------
    answers
        The logits count; a slice that is not assessable to the eye is left out.
    vectors
        ``(n, channels)``: pooled features of the same slices.
    looked
        The same under each look, by its name.
    level, accept
        See `calibrate`.

    Raises
    ------
    DataError
        When there are too few groups, the temperature has no minimum within its limits, or
        most sets hold every class.
    """
    good = np.flatnonzero(answers.assessable)
    groups = [answers.groups[i] for i in good]
    if len(set(own_groups(groups))) < _FEWEST_GROUPS:
        raise DataError(
            f"{len(set(own_groups(groups)))} groups are too few to calibrate on; give slices of "
            f"at least {_FEWEST_GROUPS} patients, better of 19 and more of each class"
        )
    logits, labels = answers.logits[good], answers.labels[good]
    # A slice is of one group in every look: none is judged by a plane that knows it.
    views = np.concatenate([rows[good] for rows in (vectors, *looked.values())])
    novelty, flat = fit_novelty(views, groups * (1 + len(looked)))
    scores = flat.reshape(1 + len(looked), len(good))
    held_out = _cross_fit(logits, labels, groups, scores, level=level, accept=accept)
    temperature, thresholds = _fit(logits, labels, groups, level)
    mistakes = int((logits.argmax(axis=1) != labels).sum())
    _refuse_hopeless(temperature, mistakes, held_out.sets)
    report = _report(answers, good, thresholds, held_out)
    if looked:
        shares = held_out.accepted[1:].sum(axis=1) / len(answers.labels)
        report["accepted_under"] = dict(zip(looked, shares.tolist(), strict=True))
    limit = _limit(scores, accept)
    return Calibration(temperature, level, tuple(thresholds), novelty, limit, accept, report)


def write_calibrated(
    bundle: Bundle,
    found: Calibration,
    folder: Path,
    *,
    version: str | None = None,
    limitations: str | None = None,
) -> Card:
    """Write a bundle anew with what was fitted; its other files stay as they are.

    Parameters
    ----------
    bundle
        What was calibrated.
    found
        The calibration.
    folder
        Where to; it exists.
    version, limitations
        See `calibrate`.
    """
    old = bundle.card
    files = {name: row for name, row in old.files.items() if name != NOVELTY_NAME}
    for name in files:
        (folder / name).write_bytes(read_listed(bundle.folder, old, name))
    content = found.novelty.to_bytes()
    (folder / NOVELTY_NAME).write_bytes(content)
    files[NOVELTY_NAME] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    card = dataclasses.replace(
        old,
        files=files,
        temperature=found.temperature,
        set_level=found.level,
        set_thresholds=tuple(x.lowest for x in found.thresholds),
        novelty=NoveltyLimit(NOVELTY_NAME, found.limit, found.accept, tuple(found.novelty.others)),
        metrics={**old.metrics, "calibration": found.report},
        limitations=old.limitations if limitations is None else limitations,
    )
    card = dataclasses.replace(card, version=version or _version(card))
    (folder / CARD_NAME).write_text(card.to_json(), encoding="utf-8")
    return card


def _learn(
    found: Calibration,
    reason: str,
    entries: Sequence[Entry],
    cases: LabelledSet,
    keeper: Keeper,
    answers: Answers,
    progress: Progress,
) -> None:
    """Add to a calibration what tells the pictures that the manifest excludes from slices."""
    paths = [str(cases.root / entry.path) for entry in entries]
    for _ in keeper.predict_batch(paths, on_error="skip", progress=progress):
        pass
    read = [i for i, path in enumerate(paths) if path in keeper.vectors]
    both = [
        {"as they are": vectors, **looked}
        for vectors, looked in (
            keeper.views([str(cases.root / name) for name in answers.names]),
            keeper.views([paths[i] for i in read]),
        )
    ]
    groups = [entries[i].group for i in read]
    weights, report = fit_others(both[0], answers.groups, both[1], groups)
    found.novelty.others[reason] = weights
    found.report.setdefault("others", {})[reason] = report


@dataclass(frozen=True, slots=True, eq=False)
class _HeldOut:
    """What each slice gets from a calibration that has not seen its group."""

    probabilities: NDArray[np.float64]
    sets: NDArray[np.bool_]
    accepted: NDArray[np.bool_]  # (1 + looks, n)


def _uncalibrated(card: Card) -> Card:
    """Give the card without what is fitted anew, and without what it says of that."""
    metrics = {name: value for name, value in card.metrics.items() if name != "calibration"}
    return dataclasses.replace(
        card, temperature=1.0, set_thresholds=(), novelty=None, metrics=metrics
    )


def _version(card: Card) -> str:
    """Name a calibration after what was fitted, so that no two of them have one name."""
    fitted = card.temperature, card.set_level, card.set_thresholds, card.novelty
    digest = hashlib.sha256(f"{fitted} {card.files[NOVELTY_NAME]}".encode()).hexdigest()
    return f"{_OLD_SUFFIX.sub('', card.version)}{_SUFFIX}-{digest[:8]}"


def _refuse_hopeless(temperature: float, mistakes: int, sets: NDArray[np.bool_]) -> None:
    """Refuse what is no calibration: a search without a minimum, sets that say nothing."""
    more = "calibrate on more slices, of more patients, or choose another model"
    at_limit = any(abs(np.log(temperature / limit)) < _LIMIT_SHARE for limit in (COLDEST, WARMEST))
    if at_limit or not mistakes:
        raise DataError(
            f"the model cannot be calibrated on these pictures: it makes {mistakes} mistakes on "
            f"{len(sets)} slices, and its temperature has no minimum from {COLDEST:g} to "
            f"{WARMEST:g}; {more}"
        )
    empty = float(sets.all(axis=1).mean())
    if empty > _MOST_EMPTY:
        raise DataError(
            f"the model cannot be calibrated on these pictures: {empty:.0%} of the prediction "
            f"sets would hold every class and say nothing; {more}"
        )


def _refuse_seen(leak: Leak, *, seen: bool) -> None:
    if leak.leaky and not seen:
        raise DataError(
            f"the model cannot be calibrated on these pictures: {leak.reason} Name folds that it "
            "kept for testing, or say --seen: the card will then tell it"
        )


def _fit(
    logits: NDArray[np.float32], labels: NDArray[np.int64], groups: Sequence[str], level: float
) -> tuple[float, list[ClassThreshold]]:
    temperature = fit_temperature(logits, labels, group_weights(groups))
    return temperature, class_thresholds(softmax(logits, temperature), labels, groups, level)


def _cross_fit(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: Sequence[str],
    scores: NDArray[np.float64],
    *,
    level: float,
    accept: float,
) -> _HeldOut:
    """Calibrate on the other groups, fold by fold."""
    probabilities = np.empty(logits.shape)
    sets = np.empty(logits.shape, dtype=np.bool_)
    accepted = np.empty(scores.shape, dtype=np.bool_)
    for others, these in _folds(labels, groups):
        temperature, thresholds = _fit(
            logits[others], labels[others], [groups[i] for i in others], level
        )
        probabilities[these] = softmax(logits[these], temperature)
        sets[these] = sets_above(probabilities[these], [x.lowest for x in thresholds])
        accepted[:, these] = scores[:, these] <= _limit(scores[:, others], accept)
    return _HeldOut(probabilities, sets, accepted)


def _folds(labels: NDArray[np.int64], groups: Sequence[str]) -> Iterator[Any]:
    """Split into folds of whole groups, as far as can be with every class in each."""
    selection = require("sklearn.model_selection", "calibrating a model", "evaluate")
    with warnings.catch_warnings():  # of classes with fewer slices than folds: it is no matter
        warnings.simplefilter("ignore", UserWarning)
        splits = min(_FOLDS, int(np.bincount(labels).max()))
        yield from selection.StratifiedGroupKFold(splits).split(labels, labels, own_groups(groups))


def _limit(scores: NDArray[np.float64], accept: float) -> float:
    """Find the score that accepts enough slices as they are, and enough under each look."""
    plain, *looked = scores
    return max(_quantile(plain, accept), *(_quantile(row, LOOKED) for row in looked), 0.0)


def _quantile(scores: NDArray[np.float64], accept: float) -> float:
    """Find the score that a share of slices stays at or below, with split-conformal's margin."""
    rank = int(np.ceil(accept * (len(scores) + 1)))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _report(
    answers: Answers,
    good: NDArray[np.int64],
    thresholds: Sequence[ClassThreshold],
    held_out: _HeldOut,
) -> dict[str, Any]:
    labels, logits = answers.labels[good], answers.logits[good]
    predicted = held_out.probabilities.argmax(axis=1)
    sets = describe_sets(labels, held_out.sets, predicted, classes=answers.classes)
    per_class = {
        name: {**dataclasses.asdict(row), **sets["per_class"][name]}
        for name, row in zip(answers.classes, thresholds, strict=True)
    }
    true = np.arange(len(labels)), labels
    before = softmax(logits, 1.0)
    return {
        "n": len(answers.labels),
        "groups": len(set(own_groups(answers.groups))),
        "without_group": sum(not group for group in answers.groups),
        "refused_by_eye": int((~answers.assessable).sum()),
        "cross_fitted": _FOLDS,
        "ece_before": reliability(labels, before).ece,
        "ece_after": reliability(labels, held_out.probabilities).ece,
        "nll_before": float(-np.log(np.maximum(before[true], 1e-300)).mean()),
        "nll_after": float(-np.log(np.maximum(held_out.probabilities[true], 1e-300)).mean()),
        "coverage": sets["coverage"],
        "mean_size": sets["mean_size"],
        "one_class": sets["one_class"],
        "per_class": per_class,
        "accepted": float(held_out.accepted[0].sum() / len(answers.labels)),
    }


def _origin(cases: LabelledSet, answers: Answers, leak: Leak) -> dict[str, Any]:
    """Say which slices it was, without the paths of somebody's disk."""
    # Where one picture is of unknown origin, nothing is known of the folds it may be of.
    known = sum(answers.public.values()) == len(cases.cases)
    return {
        "data": {
            "name": cases.name,
            **cases.origin,
            "files_sha256": answers.sha256,
            "published_folds": sorted(answers.public) if known else None,
        },
        "unreadable": len(answers.unreadable),
        "leaky": leak.leaky,
        "leaky_reason": leak.reason,
    }
