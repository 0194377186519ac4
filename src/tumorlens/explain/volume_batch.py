"""Explaining files and volumes: records of slices, and for a volume its evidence as a whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tumorlens.errors import MissingExtraError, UnreadableImageError
from tumorlens.explain.batch import (
    Chosen,
    Records,
    Saved,
    Work,
    find_same,
    folder_name,
    is_whole,
    name_question,
    volume_name,
)
from tumorlens.explain.explainer import Explainable, Question
from tumorlens.explain.lattice import off_by
from tumorlens.explain.nifti_file import require_nifti
from tumorlens.explain.scan import answer_volume, read_answers
from tumorlens.explain.volume_evidence import ask_of, explain_counted, layer_of
from tumorlens.explain.volume_explanation import (
    EVIDENCE_NAME,
    VolumeExplanation,
    volume_manifest,
)
from tumorlens.files import free_folder, replaced_folder
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume
from tumorlens.prediction import Prediction
from tumorlens.progress import Progress, silent
from tumorlens.sources.failure import Failure
from tumorlens.sources.series import Unit
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["SavedVolume", "Wanted", "explain_units"]

_EVEN: Final = 1.0  # mm that a slice may lie from its place in an even grid, and nothing is said

Wanted: TypeAlias = "Literal['first', 'all'] | Sequence[int]"
"""Which slices of a volume: those to look at first, all that can be read, or some by number."""

Save: TypeAlias = Callable[[Iterable[Work], Question], Iterator[Saved | Failure]]
"""Explains slices and saves their records."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedVolume:
    """A volume that was answered, and the folder of its evidence.

    Parameters
    ----------
    answer
        The answer for the volume.
    volume
        The volume.
    predictions
        The answers for its slices, those that could be read.
    folder
        Where the evidence is; ``None`` when none was to be written, or no slice counted.
    kept
        True when the same record was there before, so that nothing was written.
    explanation
        Its evidence, where the task asks for it.
    """

    answer: VolumeAnswer
    volume: Volume
    predictions: tuple[Prediction, ...]
    folder: Path | None = None
    kept: bool = False
    explanation: VolumeExplanation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class VolumeTask:
    """What is to be made of each volume.

    Parameters
    ----------
    question
        What to explain; without a target the class of each volume, in all of its slices.
    save
        Explains slices and saves their records.
    slices
        Of which slices.
    out
        Folder for the evidence; ``None`` writes none.
    give
        Whether the evidence is given too.
    before, overwrite
        As `tumorlens.explain.batch.save_records` takes them.
    progress
        Told of the slices that are answered and explained.
    note
        Told what could not be done as asked.
    """

    question: Question
    save: Save
    slices: Wanted = "first"
    out: str | os.PathLike[str] | None = None
    give: bool = False
    before: Records = ()
    overwrite: bool = False
    progress: Progress = silent
    note: Callable[[str], None] = lambda _: None


def explain_units(
    classifier: Explainable, units: Iterable[Unit | Sequence[Slice]], task: VolumeTask
) -> Iterator[Saved | Failure | SavedVolume]:
    """Explain files slice by slice, and volumes as volumes.

    Parameters
    ----------
    classifier
        The model.
    units
        Files and volumes, as `tumorlens.sources.series.find_units` gives them.
    task
        What to make of them.

    Yields
    ------
    Saved, Failure or SavedVolume
        One for each slice that is explained, for each file or slice that cannot be read, and
        after its slices for each volume of two slices or more.
    """
    for whole, group in itertools.groupby(units, key=_is_whole):
        if not whole:
            yield from task.save(map(_plain, group), task.question)
            continue
        for unit in group:
            if isinstance(unit, Volume):
                yield from _explain_volume(classifier, unit, task)


def _is_whole(unit: Unit | Sequence[Slice]) -> bool:
    return isinstance(unit, Volume) and len(unit) > 1


def _plain(unit: Unit | Sequence[Slice]) -> Work:
    return Chosen(unit, (0,)) if isinstance(unit, Volume) else unit


def _explain_volume(
    classifier: Explainable, volume: Volume, task: VolumeTask
) -> Iterator[Saved | Failure | SavedVolume]:
    failures: list[Failure] = []
    rows = read_answers(classifier, volume, failures, progress=task.progress)
    yield from failures
    if not rows:
        return
    answer = answer_volume(classifier, volume, rows)
    asked = ask_of(task.question, answer)
    predictions = tuple(prediction for prediction, _ in rows)
    yield from _missing(task.slices, volume)
    chosen = _choose(task, answer, [p.slice for p in predictions])
    yield from task.save([Chosen(volume, chosen)], asked or task.question)
    saved = SavedVolume(answer, volume, predictions)
    if asked is not None and (task.out is not None or task.give):
        saved = _with_evidence(classifier, saved, replace(task, question=asked))
    yield saved


def _choose(task: VolumeTask, answer: VolumeAnswer, readable: Sequence[int]) -> Sequence[int]:
    """Say which slices have records."""
    if task.slices == "first":
        return sorted(answer.look_first)
    if task.slices == "all":
        return readable
    return [i for i in readable if i in task.slices]


def _missing(wanted: Wanted, volume: Volume) -> Iterator[Failure]:
    """Say which slices were asked for by number and are not there."""
    missing = [] if isinstance(wanted, str) else sorted(i for i in set(wanted) if i >= len(volume))
    if missing:
        source = f"{volume.path or '<memory>'} ({volume.geometry.plane})"
        found = f"no slice {', '.join(map(str, missing))}"
        hint = f"it has slices 0 to {len(volume) - 1}"
        yield Failure(volume.path or "<memory>", UnreadableImageError(source, found, hint))


def _with_evidence(classifier: Explainable, saved: SavedVolume, task: VolumeTask) -> SavedVolume:
    """Explain a volume and save its evidence, unless it is there already."""
    answer, question, out = saved.answer, task.question, task.out
    if out is not None and (away := off_by(saved.volume)) > _EVEN:
        task.note(
            f"{volume_name(saved.volume)}: the slices are not evenly spaced and those of "
            f"{EVIDENCE_NAME} are: a slice lies up to {away:.0f} mm from its place"
        )
    layer = layer_of(question, classifier)
    new = volume_manifest(answer, question.method, layer, question.target, question.versus)
    old = None if out is None else find_same(new, task.before, answer=not task.overwrite)
    kept = old is not None and is_whole(old) and not task.overwrite
    if out is not None and not kept and not _can_write(saved.volume, task):
        out = None
    if task.give or (out is not None and not kept):
        made = explain_counted(classifier, saved.volume, answer, question, progress=task.progress)
        saved = replace(saved, explanation=made if task.give else None)
    if out is None or kept:
        return replace(saved, folder=old, kept=kept)
    if old is not None:
        with replaced_folder(old) as folder:
            made.save(folder)
        return replace(saved, folder=old)
    suffix = f"-{answer.plane}{name_question(question)}"
    with free_folder(out, folder_name(volume_name(saved.volume), suffix)) as folder:
        made.save(folder)
    return replace(saved, folder=folder)


def _can_write(volume: Volume, task: VolumeTask) -> bool:
    """Say whether NIfTI can be written, before the work; else note what is missing."""
    try:
        require_nifti()
    except MissingExtraError as error:
        task.note(f"{volume_name(volume)}: {error}")
        return False
    return True
