"""What several commands print, and the exit status that goes with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure
    from tumorlens.volume_answer import VolumeAnswer

__all__ = [
    "find_scans",
    "finish",
    "is_forced",
    "line_of",
    "mark_several",
    "tell_each",
    "tell_made",
    "tell_notes",
    "tell_unreadable",
]

_LISTED: Final = 20  # files named
_Result = TypeVar("_Result")


def find_scans(paths: Iterable[str]) -> list[str]:
    """List the files that are meant, and say in a note what was passed over."""
    from tumorlens.files import find_files

    passed: list[str] = []
    files = list(find_files(paths, passed))
    if passed:
        more = f" and {len(passed) - 1} more" if passed[1:] else ""
        tell_notes([f"passed over what tumorlens wrote: {passed[0]}{more}"])
    return files


def tell_each(
    results: Iterable[tuple[Prediction | Failure | VolumeAnswer, str]], files: int
) -> tuple[int, int]:
    """Print a line for each slice and each volume, and show how far it is.

    Parameters
    ----------
    results
        In the order of the files; each with its line.
    files
        How many there are.

    Returns
    -------
    tuple of int
        How many files could not be read, and of how many: those in archives count each.
    """
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure

    # On a terminal the answers themselves show how far it is.
    meter = Meter() if files > 1 and not sys.stdout.isatty() else None
    failed = begun = 0
    before: str | None = None
    for result, line in results:
        failed += isinstance(result, Failure)
        if isinstance(result, Failure) or (
            isinstance(result, Prediction) and (result.slice == 0 or result.path != before)
        ):
            if meter and begun:
                meter("files", min(begun, files), files)  # those before this one are done
            begun += 1
        before = result.path
        click.echo(line)
    if meter:
        meter("files", files, files)
    return failed, max(begun, files)


def mark_several(
    results: Iterable[_Result], answer: Callable[[_Result], object]
) -> Iterator[tuple[_Result, bool]]:
    """Say of each result whether it is one of several slices of its file or volume.

    The first slice is told by what comes after it, so it is held back until that is known.

    Parameters
    ----------
    results
        In the order of the files.
    answer
        Gives the answer or failure of a result.
    """
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure
    from tumorlens.volume_answer import VolumeAnswer

    held: list[_Result] = []  # a first slice, and what could not be read after it
    for result in results:
        found = answer(result)
        if held and isinstance(found, Failure):
            held.append(result)
            continue
        several = isinstance(found, Prediction) and found.slice > 0
        if held:
            paths = (found.path, found.first) if isinstance(found, VolumeAnswer) else ()
            first = getattr(answer(held[0]), "path", None)
            yield from ((one, several or first in paths) for one in held)
        held = [result] if isinstance(found, Prediction) and not several else []
        if not held:
            yield result, several
    yield from ((one, False) for one in held)


def line_of(result: Prediction | Failure, *, several: bool = False) -> str:
    """One result as one line for people; `several` as `mark_several` says it."""
    from tumorlens.data.folder import class_name
    from tumorlens.prediction import say_percent
    from tumorlens.sources.failure import Failure

    if isinstance(result, Failure):
        return f"unreadable          {result.error}"
    name = printable(result.path or "<memory>") + (
        f" [{result.slice}]" if several or result.slice else ""
    )
    others = ", ".join(map(class_name, result.prediction_set[1:]))
    maybe = f"  (or {others})" if others else ""
    if not result.assessable and is_forced():
        label = f"{class_name(result.label)} {say_percent(result.confidence)}{maybe}"
        return f"not assessable      {name}: {result.reason}; all the same: {label}"
    if not result.assessable:
        return f"not assessable      {name}: {result.reason}"
    return f"{class_name(result.label):<12}{say_percent(result.confidence):>6}  {name}{maybe}"


def is_forced() -> bool:
    """Say whether classes of slices that are not assessable were asked for all the same."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get("tumorlens.force"))


def finish(failed: int, files: int) -> None:
    """Say what went wrong and set the exit status."""
    if failed:
        click.echo(f"{failed} of {files} files could not be read", err=True)
        raise click.exceptions.Exit(1)


def tell_notes(notes: Iterable[str]) -> None:
    """Say on standard error what the user should know."""
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)


def tell_made(done: str, bundle: Path, *notes: str) -> None:
    """Say where a bundle is, and what to do with it."""
    shown = printable(bundle)
    click.echo("\n".join([f"{done}: {shown}", *notes]))
    click.echo(f"next: tumorlens predict PATH --model {shown}")


def tell_unreadable(files: Sequence[str], rest: str = "") -> None:
    """Name files that could not be read, and end with the status that says so.

    Parameters
    ----------
    files
        Name and reason of each, as one text.
    rest
        Where all of them are listed.
    """
    for file in files[:_LISTED]:
        click.echo(f"unreadable  {printable(file)}", err=True)
    if files:
        click.echo(f"{len(files)} files could not be read{rest}", err=True)
        raise click.exceptions.Exit(1)
