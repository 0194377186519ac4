"""What the workers tell the view model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction

__all__ = [
    "Answered",
    "Computing",
    "Done",
    "Explained",
    "Found",
    "Loaded",
    "Packed",
    "Pasted",
    "Request",
    "Saved",
    "Seen",
    "Unreadable",
]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be shown.

    Parameters
    ----------
    row
        Number of the row.
    options
        Keywords for `Classifier.explain`.
    """

    row: int
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The model is there."""

    classifier: Classifier


@dataclass(frozen=True, slots=True)
class Found:
    """Files to be listed: for each the name to show, and the path."""

    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pasted:
    """Slices that no file holds."""

    name: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer for one slice of a row's file."""

    row: int
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Done:
    """All slices of a row's file are answered."""

    row: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row's file could not be read."""

    row: int
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A slice as it is.

    Parameters
    ----------
    request
        For which it was read.
    picture
        The slice.
    plain
        What to show: the slice in grey, and halves of it; see `jobs.halves`.
    """

    request: Request
    picture: Slice
    plain: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Computing:
    """How far an explanation is that takes its time.

    Parameters
    ----------
    stage
        What is being done.
    done, total
        How much of it; a `total` of 0 when nobody can say.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A slice with its explanation.

    Parameters
    ----------
    request
        What was asked for.
    explanation
        The answer.
    plain, full
        The slice without and with the overlay at full strength, and halves of them;
        see `jobs.halves`. Every strength lies between the two.
    colormap
        What it is coloured with.
    ramp
        Its colours on black, from none on the left to most on the right.
    """

    request: Request
    explanation: Explanation
    colormap: str
    plain: tuple[Image, ...]
    full: tuple[Image, ...]
    ramp: Image


@dataclass(frozen=True, slots=True)
class Saved:
    """Something is on the disk."""

    what: str
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A record that lies in a folder of ours, ready to be dragged out of the window."""

    explanation: Explanation
    where: str
