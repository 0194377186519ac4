"""What the workers say of what they have done; the view model takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.apps.session.contrast import Look, Range
    from tumorlens.apps.session.stack import Stack
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.geometry import Plane, VolumeGeometry
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction
    from tumorlens.volume_answer import VolumeAnswer

__all__ = [
    "Answered", "Computing", "Done", "Drawn", "Explained", "Found", "FoundVolume", "Loaded",
    "Noted", "Packed", "Pasted", "Redrawn", "Request", "Saved", "Seen", "SliceAnswered",
    "SliceUnreadable", "Summed", "Turned", "Unreadable",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be shown.

    Parameters
    ----------
    row
        Number of the row.
    options
        Keywords for `Classifier.explain`.
    plane, index
        Which slice, where the row is a volume.
    """

    row: int
    options: Mapping[str, Any]
    plane: Plane | None = None
    index: int = 0

    @property
    def place(self) -> tuple[int, Plane | None, int]:
        """Of which slice it is."""
        return self.row, self.plane, self.index


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The model is there."""

    classifier: Classifier


@dataclass(frozen=True, slots=True)
class Found:
    """Files to be listed: for each the name to show, and the path."""

    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class FoundVolume:
    """A volume to be listed.

    Parameters
    ----------
    name
        The name to show.
    path
        The file, or the first of a series.
    stack
        What it is.
    part
        Which of the volumes of that path, from 0.
    """

    name: str
    path: str
    stack: Stack
    part: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    """What a person should know of what was found."""

    text: str


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
class SliceAnswered:
    """The answer for one slice of a volume."""

    row: int
    plane: Plane
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class SliceUnreadable:
    """A slice of a volume could not be read; the others can."""

    row: int
    plane: Plane
    index: int
    message: str


@dataclass(frozen=True, slots=True)
class Summed:
    """The answer for a volume."""

    row: int
    plane: Plane
    answer: VolumeAnswer


@dataclass(frozen=True, slots=True)
class Turned:
    """A volume lies open in another plane."""

    row: int
    plane: Plane
    geometry: VolumeGeometry


@dataclass(frozen=True, slots=True)
class Done:
    """All slices of a row's file are answered."""

    row: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row's file could not be read, or the slice at `index` in it."""

    row: int
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pictures of a slice. Of each there are halves, too; see `tumorlens.apps.session.drawing`.

    Parameters
    ----------
    look
        How it is drawn.
    usual
        The values that are black and white where the look says nothing else.
    plain, full
        The slice without and with the overlay at full strength. Every strength lies
        between the two.
    heat
        The map itself, from which its contour is drawn.
    ramp
        The overlay's colours on black, from none on the left to most on the right.
    """

    look: Look
    usual: Range
    plain: tuple[Image, ...]
    full: tuple[Image, ...] = ()
    heat: tuple[Image, ...] = ()
    ramp: Image | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A slice as it is.

    Parameters
    ----------
    request
        For which it was read.
    picture
        The slice.
    drawn
        What to show: the slice in grey.
    """

    request: Request
    picture: Slice
    drawn: Drawn


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
    drawn
        What to show.
    """

    request: Request
    explanation: Explanation
    drawn: Drawn


@dataclass(frozen=True, slots=True, eq=False)
class Redrawn:
    """A slice that stands there already, as it looks now, and what another method says of it."""

    picture: Slice
    explanation: Explanation | None
    drawn: Drawn
    second: Explained | None


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
