"""Has the model seen these pictures, or these patients, before? What its card tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tumorlens.data.published import VERSION
from tumorlens.data.split import check_leaks
from tumorlens.evaluate.cases import LabelledSet
from tumorlens.models.card import Card

__all__ = ["Leak", "judge_leak"]


@dataclass(frozen=True, slots=True)
class Leak:
    """Whether the figures are too good.

    Parameters
    ----------
    leaky
        True when pictures, or others of their groups, may have been in training; False
        when they were not; ``None`` when that is not known.
    reason
        A sentence.
    """

    leaky: bool | None
    reason: str


def judge_leak(card: Card, data: LabelledSet, public: Mapping[int, int]) -> Leak:
    """Judge from a model's card and the data's manifest.

    Near-duplicates that share neither group nor pixels are not looked for:
    `tumorlens data audit` does that.

    Parameters
    ----------
    card
        Of the model.
    data
        What it is evaluated on.
    public
        How many of the pictures are files of the published set, by published fold.
    """
    if _calibrated_on(card.metrics.get("calibration"), data):
        return Leak(
            leaky=True,
            reason="The model was calibrated on pictures of this set: its calibration error, its "
            "prediction sets and the share it can assess look better than they are.",
        )
    kept, manifest_sha256 = _selection(card.training)
    pictures = sum(public.values())
    # Of a leaky model only somebody else's pictures can be new.
    if card.training.get("leaky") and (not data.external or pictures):
        elsewhere = " If the set is from elsewhere, name it with --external."
        return Leak(
            leaky=True,
            reason="The model's card says that it was trained without keeping patients apart: "
            "pictures or patients of this set may have been in its training."
            + ("" if pictures or data.external else elsewhere),
        )
    if data.manifest is not None and kept is not None and manifest_sha256 == data.manifest.sha256:
        train = [e for e in data.manifest.counted if e.fold is not None and e.fold not in kept]
        shared = check_leaks(train, data.chosen, allow_leaks=True)
        if shared:
            return Leak(leaky=True, reason=f"Shared with the model's training: {shared}.")
        return Leak(
            leaky=False,
            reason="The model was trained on other folds of this manifest; no group and no "
            "picture of this set was among them.",
        )
    apart = _published_folds_kept(card)
    if pictures and apart and _published_version(card) != VERSION:
        return Leak(
            leaky=True,
            reason="The model kept folds of the first version of the published ones. There, copies "
            'of one "notumor" picture lay in several folds: it may have seen relatives of these, '
            "and no patient of the tumours.",
        )
    return _judge_published(kept, apart, len(data.cases), public)


def _judge_published(
    kept: tuple[int, ...] | None, apart: set[int], pictures: int, public: Mapping[int, int]
) -> Leak:
    """Judge by the published folds that the pictures are known to be of."""
    known = sum(public.values())
    if known and known == pictures and set(public) <= apart:
        return Leak(
            leaky=False,
            reason="All of the pictures are of published folds of which no picture and no "
            "patient was in the model's training or calibration.",
        )
    alone = apart | set(kept or ())
    seen = sum(count for fold, count in public.items() if fold not in alone)
    if seen and kept is not None:
        return Leak(
            leaky=True,
            reason=f"{seen:,} of the pictures are of published folds that the model did not "
            "keep for testing: it may have been trained on them.",
        )
    also = f"; {known:,} of the pictures are of the published set" if known else ""
    return Leak(
        leaky=None,
        reason="It is not known whether the model has seen these pictures or patients in "
        f"training{also}.",
    )


def _calibrated_on(calibration: Any, data: LabelledSet) -> bool:
    """Say whether the temperature and thresholds were fitted on some of the set's folds."""
    chosen = calibration.get("data") if isinstance(calibration, dict) else None
    if not isinstance(chosen, dict) or data.manifest is None:
        return False
    if chosen.get("manifest_sha256") != data.manifest.sha256:
        return False
    theirs, ours = chosen.get("folds"), data.origin.get("folds")
    return not theirs or not ours or bool(set(theirs) & set(ours))


def _selection(training: Mapping[str, Any]) -> tuple[tuple[int, ...] | None, str | None]:
    """Give the folds kept for testing, and the manifest, as `tumorlens train` notes them."""
    selection = training.get("selection")
    if not isinstance(selection, dict):  # a card from elsewhere may hold anything
        return None, None
    folds = selection.get("test_folds")
    return tuple(folds) if isinstance(folds, list) else None, selection.get("manifest_sha256")


def _published_version(card: Card) -> int:
    """Say which published folds a model was trained by; the first did not number themselves."""
    selection = card.training.get("selection")
    version = selection.get("published_version") if isinstance(selection, dict) else None
    return version if isinstance(version, int) else 1


def _published_folds_kept(card: Card) -> set[int]:
    """Give the published folds that nothing of the model was fitted on, where its card knows."""
    selection = card.training.get("selection")
    folds = selection.get("published_folds_kept") if isinstance(selection, dict) else None
    if not isinstance(folds, list):
        return set()
    kept = {fold for fold in folds if isinstance(fold, int)}
    calibration = card.metrics.get("calibration")
    if calibration is None:
        return kept
    data = calibration.get("data") if isinstance(calibration, dict) else None
    used = data.get("published_folds") if isinstance(data, dict) else None
    return kept.difference(used) if isinstance(used, list) else set()
