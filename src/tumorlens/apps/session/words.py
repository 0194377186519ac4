"""What a face says in words: answers, captions, summaries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tumorlens.apps.session.rows import Row, State
from tumorlens.data.folder import class_name
from tumorlens.explain.cam import METHODS

if TYPE_CHECKING:
    from tumorlens.apps.session.stack import Stack
    from tumorlens.explain.explanation import Explanation
    from tumorlens.prediction import Prediction
    from tumorlens.volume_answer import VolumeAnswer

__all__ = [
    "NO_ANSWER",
    "answer_in_short",
    "answer_text",
    "any_tumour",
    "caption",
    "count_files",
    "is_assessable",
    "kind_of_answer",
    "say_flat",
    "say_place",
    "say_summary",
    "shown_class",
    "shown_confidence",
    "slice_name",
    "summarise",
    "suspect_of",
    "time_left",
]

NO_ANSWER: Final = "not classified"
"""What has no answer, or none yet."""

_STATES: Final = {
    State.WAITING: "…",
    State.STOPPED: NO_ANSWER,
    State.UNREADABLE: "unreadable",
}
_FEW: Final = 2  # classes that have room in a list
_HEALTHY: Final = "notumor"
_AXES: Final = {"sagittal": "x", "coronal": "y", "axial": "z"}


def answer_text(row: Row) -> str:
    """Say in two or three words what came out for a row."""
    answer = row.answer
    if answer is None:
        return _how_far(row)
    if not is_assessable(answer):
        return "not assessable"
    suspect = suspect_of(answer)
    if suspect is not None:
        return f"undecided: {class_name(suspect)} {answer.probabilities[suspect] * 100:.1f} %"
    return " or ".join(class_name(name) for name in answer.prediction_set)


def kind_of_answer(row: Row) -> str:
    """Sort a row under one word: the class it is shown as, or why there is none."""
    answer = row.answer
    if answer is not None:
        return class_name(str(shown_class(answer))) if is_assessable(answer) else "not assessable"
    return "unreadable" if row.state is State.UNREADABLE else NO_ANSWER


def is_assessable(answer: Prediction | VolumeAnswer) -> bool:
    """Say whether an answer means anything: of a volume, whether any slice of it counted."""
    return bool(answer.assessable) and answer.label is not None


def suspect_of(answer: Prediction | VolumeAnswer) -> str | None:
    """Give the tumour that is suspected where a volume is undecided."""
    found: str | None = getattr(answer, "suspect", None)
    return found


def shown_class(answer: Prediction | VolumeAnswer) -> str | None:
    """Give the class whose mark and colour an answer has: of an undecided volume the suspect."""
    return suspect_of(answer) or answer.label


def shown_confidence(answer: Prediction | VolumeAnswer) -> float | None:
    """Give how probable the class is that an answer is shown as."""
    suspect = suspect_of(answer)
    return answer.confidence if suspect is None else answer.probabilities[suspect]


def any_tumour(answer: Prediction) -> float:
    """Give how probable a tumour of any class is; the answer's own where all classes are one."""
    healthy = answer.probabilities.get(_HEALTHY)
    if healthy is None:
        return max(answer.probabilities.values(), default=0.0)
    return 1 - healthy


def _how_far(row: Row) -> str:
    """Say of what has no answer yet why; of a volume, how many slices were looked at."""
    cut = row.stack.cuts[row.stack.own] if row.stack else None
    if row.state is State.WAITING and cut is not None and cut.looked_at:
        return f"{cut.looked_at} of {len(cut)} slices …"
    return _STATES[row.state]


def answer_in_short(row: Row) -> str:
    """Say it so that it has room in a list."""
    answer = row.answer
    if answer is None or not is_assessable(answer) or suspect_of(answer) is not None:
        return answer_text(row)
    if len(answer.prediction_set) <= _FEW:
        return answer_text(row)
    return f"undecided, {len(answer.prediction_set)} of {len(answer.probabilities)}"


def caption(explanation: Explanation) -> str:
    """Say in a line what a map shows: method, class and layer."""
    method = METHODS[explanation.method]
    about = f"for {class_name(explanation.target)}" if method.of_class else "of no class"
    if explanation.versus is not None and method.of_class:
        about += f" rather than {class_name(explanation.versus)}"
    text = f"{method.title} {about}, layer {explanation.layer}"
    if explanation.float_label not in (None, explanation.prediction.label):
        text += f" (its float network says {class_name(str(explanation.float_label))})"
    return text


def say_flat(explanation: Explanation) -> str:
    """Say why a map is empty; nothing when it is not."""
    why = explanation.why_flat()
    return f"the map is empty: {why}" if why else ""


def slice_name(row: Row) -> str:
    """Name the slice that is looked at, as the list names slices of a file of several."""
    return row.name if row.stack is None else f"{row.name} [{row.index}]"


def say_place(stack: Stack) -> str:
    """Say which slice of a volume is looked at, as people count and as files do, and where."""
    here = stack.index
    where = f"{_AXES[stack.plane]} {stack.position(here):.1f} mm ({stack.space})"
    return f"slice {here + 1} of {len(stack.cut)} ({here} in files)\n{where}"


def say_summary(answer: VolumeAnswer) -> str:
    """Say in a line what a volume's answer in a plane rests on."""
    names = " or ".join(class_name(name) for name in answer.prediction_set)
    text = f"{answer.plane}: {names or 'not assessable'}"
    text += f"; {answer.assessable} of {answer.slices} slices assessable"
    if answer.without_brain:
        text += f", {answer.without_brain} without brain"
    if answer.run is None:
        return text
    first, last = (number + 1 for number in answer.run)
    if answer.suspect is not None:
        where = f"slice {first}" if first == last else f"slices {first} to {last}"
        return f"{text}; undecided, look at {where}"
    return text + (
        f"; slice {first} shows it" if first == last else f"; slices {first} to {last} agree"
    )


def summarise(rows: Iterable[Row]) -> str:
    """Say in a line what came out for all rows."""
    every = list(rows)
    answers = [answer for row in every for answer in _answers(row)]
    doubtful = sum(not answer.assessable for answer in answers)
    files = sum(row.state is State.UNREADABLE for row in every)
    slices = sum(len(row.stack.cuts[row.stack.own].unreadable) for row in every if row.stack)
    text = f"{_count_slices(len(answers))} classified"
    text += f", {doubtful} of them not assessable" if doubtful else ""
    lost = [count_files(files)] * bool(files) + [f"{_count_slices(slices)} of volumes"] * bool(
        slices
    )
    return text + (f", {' and '.join(lost)} could not be read" if lost else "")


def _answers(row: Row) -> list[Prediction]:
    if row.stack is not None:
        return list(row.stack.cuts[row.stack.own].answers.values())
    return [] if row.prediction is None else [row.prediction]


def _count_slices(count: int) -> str:
    return f"{count} slice" if count == 1 else f"{count} slices"


def count_files(count: int) -> str:
    """Write a number of files."""
    return f"{count} file" if count == 1 else f"{count} files"


def time_left(seconds: float | None) -> str:
    """Write the time left as people say it."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s left"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f"{minutes} min left"
