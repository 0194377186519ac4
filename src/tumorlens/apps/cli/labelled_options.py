"""Options shared by the commands that ask a model about slices whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from tumorlens.untrusted import printable

__all__ = ["choose_source", "labelled_options", "tell_unreadable"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LISTED: Final = 20  # files named

_OPTIONS: Final = (
    click.option(
        "--fold",
        "folds",
        type=click.IntRange(min=0),
        multiple=True,
        help="Fold of the manifest; may be repeated. All pictures if not given.",
    ),
    click.option(
        "--split",
        type=click.Choice(["Training", "Testing", "Validation"], case_sensitive=False),
        help="Only this official split.",
    ),
    click.option("--external", metavar="DIR", help="Somebody else's data set, in place of yours."),
    click.option(
        "--class-map",
        metavar="JSON|NAME=CLASS,...",
        help="What its folders hold; NAME=- leaves a folder out.",
    ),
)


def labelled_options(command: _Command) -> _Command:
    """Add the options that say which labelled slices are meant."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choose_source(data: str | None, external: str | None, name: str) -> str:
    """Give the one source that was named; `name` is what the other is called."""
    if (data is None) == (external is None):
        raise click.UsageError(f"name either {name} or --external DIR")
    return str(data if external is None else external)


def tell_unreadable(files: Sequence[tuple[str, str]], rest: str = "") -> None:
    """Name files that could not be read, and end with the status that says so.

    Parameters
    ----------
    files
        Name and reason of each.
    rest
        Where all of them are listed.
    """
    for name, reason in files[:_LISTED]:
        click.echo(f"unreadable  {printable(name)}: {printable(reason)}", err=True)
    if files:
        click.echo(f"{len(files)} files could not be read{rest}", err=True)
        raise click.exceptions.Exit(1)
