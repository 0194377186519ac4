"""A volume in the list: what is known of its slices, in each plane, and which is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tumorlens.images.volume import Volume, in_space

if TYPE_CHECKING:
    from tumorlens.images.geometry import Plane, VolumeGeometry
    from tumorlens.prediction import Prediction
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["Cut", "Stack", "stack_of"]


@dataclass(slots=True, eq=False)
class Cut:
    """A volume in one plane.

    Parameters
    ----------
    geometry
        Where its slices lie.
    answers
        Those that are there, by slice.
    unreadable
        What is wrong with slices that cannot be read.
    summary
        The answer for all of it, once every slice was looked at.
    """

    geometry: VolumeGeometry
    answers: dict[int, Prediction] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)
    summary: VolumeAnswer | None = None

    def __len__(self) -> int:
        return self.geometry.shape[0]

    @property
    def looked_at(self) -> int:
        """How many slices have been looked at, readable or not."""
        return len(self.answers) + len(self.unreadable)


@dataclass(slots=True, eq=False)
class Stack:
    """A volume that is one row of the list.

    Parameters
    ----------
    source
        The file to open it from, again and again; or the series, which holds no pixels.
    own
        The plane in which it is answered, as ``tumorlens predict`` does.
    cuts
        It in the planes that were looked at so far.
    plane, index
        Which slice is looked at.
    space
        What its millimetres are counted in: ``"LPS"`` or ``"RAS"``.
    notes
        What its user should know of it.
    """

    source: str | Volume
    own: Plane
    cuts: dict[Plane, Cut]
    plane: Plane
    index: int
    space: str
    notes: tuple[str, ...] = ()

    @property
    def cut(self) -> Cut:
        """It in the plane that is looked at."""
        return self.cuts[self.plane]

    @property
    def summary(self) -> VolumeAnswer | None:
        """The answer for all of it, once it is there."""
        return self.cuts[self.own].summary

    @property
    def prediction(self) -> Prediction | None:
        """The answer for the slice that is looked at."""
        return self.cut.answers.get(self.index)

    @property
    def error(self) -> str | None:
        """What is wrong with the slice that is looked at."""
        return self.cut.unreadable.get(self.index)

    def go_to(self, index: int) -> bool:
        """Look at a slice, the last one where there is none; say whether it is another."""
        before, self.index = self.index, min(max(index, 0), len(self.cut) - 1)
        return self.index != before

    def turn(self, plane: Plane, geometry: VolumeGeometry) -> None:
        """Look at another plane: at the slice in the middle, or at the first to look at."""
        self.cuts.setdefault(plane, Cut(geometry))
        self.plane = plane
        summary = self.cut.summary
        first = summary.look_first[:1] if summary else ()
        self.index = first[0] if first else len(self.cut) // 2

    def forget(self) -> None:
        """Know no answers any more: they are another model's."""
        for cut in self.cuts.values():
            cut.answers.clear()
            cut.unreadable.clear()
            cut.summary = None

    def position(self, index: int) -> float:
        """Say where a slice lies across its plane, in mm, as `space` counts."""
        _, rows, columns = self.cut.geometry.shape
        middle = self.cut.geometry.point(index, (rows - 1) / 2, (columns - 1) / 2)
        axis = {"sagittal": 0, "coronal": 1, "axial": 2}[self.plane]
        return in_space(middle, self.space)[axis]


def stack_of(source: str | Volume, volume: Volume) -> Stack:
    """Describe a volume that was just opened; nothing of its pixels is kept."""
    plane = volume.geometry.plane
    cut = Cut(volume.geometry)
    return Stack(source, plane, {plane: cut}, plane, len(cut) // 2, volume.space, volume.notes)
