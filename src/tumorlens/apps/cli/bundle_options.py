"""What every command that makes a bundle asks, and what it says when it is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tumorlens.untrusted import printable

__all__ = ["bundle_options", "tell_made"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--out", required=True, metavar="DIR", help="The bundle to make."),
    click.option("--name", help="What to call the model; its network's name if not given."),
    click.option("--model-version", default="1", show_default=True, help="Its version."),
    click.option("--description", default="", help="A sentence for the card: what the model is."),
)


def bundle_options(command: _Command) -> _Command:
    """Give a command the options for where the bundle goes and what its card says."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def tell_made(done: str, bundle: Path, *notes: str) -> None:
    """Say where the bundle is, and what to do with it."""
    shown = printable(bundle)
    click.echo("\n".join([f"{done}: {shown}", *notes]))
    click.echo(f"next: tumorlens predict PATH --model {shown}")
