"""``tumorlens import-keras``."""

from __future__ import annotations

import sys
from typing import Any

import click

from tumorlens.apps.cli.options import bundle_options
from tumorlens.apps.cli.output import tell_made

__all__ = ["import_keras"]


@click.command("import-keras")
@click.argument("file", metavar="FILE")
@bundle_options
@click.option("--network", default="xception", show_default=True, help="Which network it is.")
@click.option(
    "--classes",
    metavar="A,B,...",
    help="Labels in the order of the outputs; asked for on a terminal if not given.",
)
@click.option(
    "--size", type=int, help="Side of the input in pixels, if the file says none, or above 512."
)
@click.option("--licence", default="unknown", show_default=True, help="Its author's, for the card.")
def import_keras(
    *, file: str, out: str, classes: str | None, model_version: str, **options: Any
) -> None:
    """Make a bundle of a Keras checkpoint from elsewhere, without running it.

    FILE is a .keras, .weights.h5 or .h5 file of one of our networks, such as the
    reference project's. Only its weights are read, into a network built here.
    """
    from tumorlens.checkpoint.import_keras import import_checkpoint

    labels = [label.strip() for label in (classes or _ask()).split(",")]
    bundle, difference = import_checkpoint(
        file, out, classes=labels, version=model_version, **options
    )
    tell_made(
        "imported",
        bundle,
        f"same probabilities as in Keras on drawn pictures, to {difference:.1g}",
        "It was trained on pictures prepared in another way: measure it before you trust it",
    )


def _ask() -> str:
    """Have the usual order confirmed; no file says it."""
    from tumorlens.data.folder import CLASSES

    usual = ",".join(CLASSES)
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"no file says the order of the classes; give it, such as --classes {usual} (the "
            "alphabetical order of folders, as Keras's generators take it)"
        )
    click.confirm(f"Are the outputs, in this order, {usual}?", abort=True, err=True)
    return usual
