"""What commands share about volumes: the plane, the units to go through, the line of a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tumorlens.apps.cli.output import tell_notes
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.explain.volume_batch import Wanted
    from tumorlens.images.slice import Slice
    from tumorlens.sources.series import Unit
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["line_of_volume", "plane_option", "slices_option", "units_of"]

_HEAD: Final = 2**16  # bytes that tell the kind, gzip included

plane_option: Callable[[Any], Any] = click.option(
    "--plane",
    type=click.Choice(["axial", "coronal", "sagittal", "all"]),
    help="How to cut volumes; axial, or as DICOM was taken, if not given.",
)


def _wanted(_: click.Context, __: click.Parameter, value: str) -> Wanted:
    """Read --slices."""
    if value in ("first", "all"):
        return value  # type: ignore[return-value]
    try:
        return [_number(text) for text in value.split(",")]
    except ValueError as error:
        raise click.BadParameter("give first, all, or numbers such as 11,12,40") from error


def _number(text: str) -> int:
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


slices_option: Callable[[Any], Any] = click.option(
    "--slices",
    metavar="first|all|N,N",
    default="first",
    show_default=True,
    callback=_wanted,
    help="Of volumes, the slices to write records of: those to look at first, all, or by number.",
)


def units_of(files: Sequence[str], plane: str | None) -> Iterator[Unit | Sequence[Slice]]:
    """Give files, series and volumes in order, and say in notes what their user should know.

    Standard input, NIfTI, MGH and ZIP are opened here, and what they hold is given: whoever would
    open standard input once more finds nothing there.
    """
    from tumorlens.images.volume import Volume
    from tumorlens.sources.failure import STANDARD_INPUT, parts_or_fail
    from tumorlens.sources.series import find_units, in_planes

    for unit in find_units(files, lambda text: tell_notes([text])):
        parts: Sequence[Any] = [unit]
        if isinstance(unit, str) and (unit == STANDARD_INPUT or _is_volume_file(unit)):
            parts = parts_or_fail(unit)
        for part in parts:
            if isinstance(part, Volume):
                tell_notes(f"{part.path}: {text}" for text in part.notes)
                yield from in_planes(part, plane)
            else:
                yield part


def _is_volume_file(path: str) -> bool:
    """Say whether a file holds NIfTI or MGH, by its content; or is a ZIP."""
    from tumorlens.images.kinds import find_kind

    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return find_kind(file.read(_HEAD)) in ("NIfTI", "ZIP")
    except (OSError, ValueError):
        return False


def say_run(run: tuple[int, int]) -> str:
    """Name neighbouring slices, as files count them."""
    first, last = run
    return f"slice {first}" if first == last else f"slices {first} to {last}"


def line_of_volume(answer: VolumeAnswer) -> str:
    """One volume as one line for people."""
    from tumorlens.data.folder import class_name
    from tumorlens.images.geometry import say_mm
    from tumorlens.prediction import say_percent

    name = f"{printable(answer.path or '<memory>')} ({answer.plane})"
    counted = f"{answer.assessable} of {answer.slices} slices assessable"
    if answer.label is None or answer.confidence is None:
        return f"not assessable      volume {name}: {counted}"
    if answer.suspect is not None and answer.run is not None:
        maybe = " or ".join(
            f"{class_name(name)} {say_percent(answer.probabilities[name])}"
            for name in answer.prediction_set
            if name != answer.label
        )
        where = say_run(answer.run)
        line = f"undecided           volume {name}: {maybe} or {class_name(answer.label)}"
        line += f", look at {where}; {counted}"
    else:
        sure = say_percent(answer.confidence)
        line = f"{class_name(answer.label):<12}{sure:>6}  volume {name}: {counted}"
    if answer.peak is not None:
        peak = answer.peak
        place = ", ".join(map(say_mm, peak.mm))
        line += f"; peak in slice {peak.slice} at {place} mm ({peak.space})"
    return f"{line}; look first at {', '.join(map(str, answer.look_first))}"
