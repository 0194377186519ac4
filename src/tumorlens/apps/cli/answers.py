"""What the commands that answer share: the model, a line for a result, the exit status."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tumorlens.apps.cli.hub_options import tell, where
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure

__all__ = ["finish", "line_of", "load_model", "model_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def model_option(command: _Command) -> _Command:
    """Give a command the option that names a model."""
    text = "Name of a model that ships, path of a bundle, or hf://org/name; see `tumorlens models`."
    return click.option("--model", metavar="NAME|PATH|hf://...", help=text)(command)


def load_model(model: str | None) -> Classifier:
    """Load the model that was named, and tell how it was found."""
    from tumorlens.classifier import load

    classifier = load(model, **where())
    tell(classifier.place.notes)
    return classifier


def line_of(result: Prediction | Failure) -> str:
    """One result as one line for people."""
    from tumorlens.sources.failure import Failure

    if isinstance(result, Failure):
        return f"unreadable          {result.error}"
    name = printable(result.path or "<memory>") + (f" [{result.slice}]" if result.slice else "")
    maybe = f"  (or {', '.join(result.prediction_set[1:])})" if result.prediction_set[1:] else ""
    if not result.assessable:
        return f"not assessable      {name}: {result.reason}"
    return f"{result.label:<12}{result.confidence:>6.1%}  {name}{maybe}"


def finish(failed: int, files: int) -> None:
    """Say what went wrong and set the exit status."""
    if failed:
        click.echo(f"{failed} of {files} files could not be read", err=True)
        raise click.exceptions.Exit(1)
