"""From a volume and its answer to the evidence of all its slices, for one class, on one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tumorlens.errors import UnreadableImageError
from tumorlens.explain.explainer import Explainable, Question, explain_slices
from tumorlens.explain.lattice import Lattice
from tumorlens.explain.nifti_file import affine_of
from tumorlens.explain.scan import answer_volume, read_answers
from tumorlens.explain.volume_explanation import VolumeExplanation
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume
from tumorlens.progress import Progress, silent
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["ask_of", "explain_counted", "explain_volume", "layer_of"]

_BATCH: Final = 16


def explain_volume(
    classifier: Explainable, volume: Volume, question: Question, *, progress: Progress = silent
) -> VolumeExplanation:
    """Answer for a volume and explain it.

    Each slice is read twice: the class that is explained is known when all are answered.

    Parameters
    ----------
    classifier
        The model.
    volume
        The volume.
    question
        What to explain; without a target the class of the volume, in all slices.
    progress
        Told of the slices that are explained.

    Raises
    ------
    UnreadableImageError
        When none of its slices can be read.
    ValueError, MissingExtraError
        As `tumorlens.explain.explainer.explain_slices`.
    """
    question.check(classifier)
    rows = read_answers(classifier, volume)
    answer = answer_volume(classifier, volume, rows)
    return explain_counted(classifier, volume, answer, question, progress=progress)


def explain_counted(
    classifier: Explainable,
    volume: Volume,
    answer: VolumeAnswer,
    question: Question,
    *,
    progress: Progress = silent,
) -> VolumeExplanation:
    """Explain the slices that counted for the answer of a volume."""
    asked = ask_of(question, answer)
    lattice, done = Lattice(volume), list[int]()
    if asked is not None:
        for start in range(0, len(answer.counted), _BATCH):
            pictures = list(_readable(volume, answer.counted[start : start + _BATCH]))
            for explained in explain_slices(classifier, pictures, asked):
                lattice.put(explained.picture.index, explained.evidence)
                done.append(explained.picture.index)
                progress("evidence", len(done), len(answer.counted))
    return VolumeExplanation(
        affine=affine_of(lattice.grid, volume.form),
        method=question.method,
        layer=layer_of(question, classifier),
        target=question.target if asked is None else asked.target,
        versus=question.versus,
        answer=answer,
        explained=tuple(done),
        _lattice=lattice,
        _form=volume.form,
    )


def ask_of(question: Question, answer: VolumeAnswer) -> Question | None:
    """Ask the same of every slice: for the class of the volume where none was named.

    The suspect where it is undecided.
    Where that would be explained against itself, for the most probable other one. ``None``
    when no slice counted.
    """
    if answer.shown is None:
        return None
    ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    names = [answer.shown, *(name for name, _ in ranked)]
    usual = next(name for name in names if name != question.versus)
    return replace(question, target=question.target or usual)


def layer_of(question: Question, classifier: Explainable) -> str:
    """Name the layer that a question is about, as explanations do."""
    if question.method == "occlusion":
        return "input"
    return question.layer or classifier.layers[-1]


def _readable(volume: Volume, indices: Sequence[int]) -> Iterator[Slice]:
    """Read slices; one that is gone since it was answered is left out."""
    for index in indices:
        try:
            yield volume[index]
        except UnreadableImageError:
            continue
