"""How every command reaches the hub: ``tumorlens --offline …``, ``tumorlens --endpoint URL …``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.untrusted import printable

__all__ = ["hub_options", "tell", "where"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def hub_options(command: _Command) -> _Command:
    """Give a group the options; `where` finds their values from any command below it."""
    offline = click.option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Take models on the hub from the cache alone.",
    )
    endpoint = click.option(
        "--endpoint",
        metavar="URL",
        expose_value=False,
        callback=_keep,
        help="Address of the hub, when it is not the usual one.",
    )
    return offline(endpoint(command))


def where() -> dict[str, Any]:
    """Give what `tumorlens.load` and its like take beside the name of a model."""
    meta = click.get_current_context().meta
    return {
        "offline": meta.get("tumorlens.offline", False),
        "endpoint": meta.get("tumorlens.endpoint"),
        "progress": Meter(),
    }


def tell(notes: tuple[str, ...]) -> None:
    """Say on standard error what the user should know of how a model was found."""
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    context.meta[f"tumorlens.{parameter.name}"] = value
