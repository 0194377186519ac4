"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.output import tell_notes

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = [
    "bundle_options",
    "bundle_out_option",
    "check_file",
    "check_free",
    "check_inside",
    "choose_source",
    "force_option",
    "hub_options",
    "json_option",
    "labelled_options",
    "load_model",
    "model_option",
    "out_option",
    "refuse_input",
    "seed_option",
    "together",
    "where",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def together(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Make one decorator of several options; `--help` lists them in this order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    context.meta[f"tumorlens.{parameter.name}"] = value


model_option: Final = click.option(
    "--model",
    metavar="NAME|PATH|hf://...",
    help="Name of a model that ships, path of a bundle, or hf://org/name; see `tumorlens models`.",
)


def check_folder(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse a folder that cannot be made before any work is done for it."""
    from tumorlens.files import check_new_folder

    check_new_folder(value)
    return value


def check_free(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse such a folder where one is named at all."""
    return None if value is None else check_folder(context, option, value)


def check_file(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse a file that cannot be written before any work is done for it."""
    from tumorlens.files import check_new_file

    if value is not None:
        check_new_file(value)
    return value


def refuse_input(out: str, files: Sequence[str]) -> None:
    """Refuse to write over a file that is to be read."""
    place = Path(out)
    if place.is_file() and any(Path(x).is_file() and place.samefile(x) for x in files):
        raise click.UsageError(
            f"{click.format_filename(out)} is one of the files to be read; name another"
        )


def check_inside(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse a folder in which nothing can be made before any work is done for it."""
    from tumorlens.files import check_new_file

    if value is not None:
        check_new_file(Path(value, "record"))
    return value


out_option: Final = click.option(
    "--out", required=True, metavar="DIR", callback=check_folder, help="The folder to make."
)

bundle_out_option: Final = click.option(
    "--out", required=True, metavar="DIR", callback=check_folder, help="The bundle to make."
)

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="As JSON: one object a line."
)

# `line_of` and the reports ask for it; see `tumorlens.apps.cli.output.is_forced`.
force_option: Final = click.option(
    "--force",
    is_flag=True,
    expose_value=False,
    callback=_keep,
    help="Show the class of a slice that is not assessable all the same, marked.",
)

seed_option: Final = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of everything drawn at random.",
)

# How every command reaches the hub: `where` finds their values from any command.
hub_options: Final = together(
    click.option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Take models on the hub from the cache alone.",
    ),
    click.option(
        "--endpoint",
        metavar="URL",
        expose_value=False,
        callback=_keep,
        help="Address of the hub, when it is not the usual one.",
    ),
)

# Of every command that makes a bundle.
bundle_options: Final = together(
    bundle_out_option,
    click.option("--name", help="What to call the model; its network's name if not given."),
    click.option("--model-version", default="1", show_default=True, help="Its version."),
    click.option("--description", default="", help="A sentence for the card: what the model is."),
)

# Of every command that asks a model about slices whose answer is known.
labelled_options: Final = together(
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


def where() -> dict[str, Any]:
    """Give what `tumorlens.load` and its like take beside the name of a model."""
    meta = click.get_current_context().meta
    return {
        "offline": meta.get("tumorlens.offline", False),
        "endpoint": meta.get("tumorlens.endpoint"),
        "progress": Meter(),
    }


def load_model(model: str | None, threads: int | None = None) -> Classifier:
    """Load the model that was named, and tell how it was found."""
    from tumorlens.classifier import load

    classifier = load(model, threads=threads, **where())
    tell_notes(classifier.place.notes)
    return classifier


def choose_source(data: str | None, external: str | None, name: str) -> str:
    """Give the one source that was named; `name` is what the other is called."""
    if (data is None) == (external is None):
        raise click.UsageError(f"name either {name} or --external DIR")
    return str(data if external is None else external)
