"""``tumorlens export``."""

from __future__ import annotations

from typing import Any

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import bundle_options
from tumorlens.apps.cli.output import tell_made

__all__ = ["export"]


@click.command()
@click.argument("run", metavar="RUN")
@bundle_options
@click.option(
    "--precision", type=click.Choice(["int8", "float32"]), default="int8", show_default=True
)
@click.option("--epoch", type=int, help="Which epoch; the last if not given.")
@click.option("--data", metavar="DIR", help="The data trained on, if it has moved.")
@click.option("--weights/--no-weights", default=True, help="Add half-precision float weights.")
@click.option("--open-test-fold", is_flag=True, help="Score the published test fold: once.")
@click.option("--limitations", default="", help="A sentence for the card: what to mind.")
def export(run: str, out: str, model_version: str, **options: Any) -> None:
    """Turn a training run into a bundle that `--model` takes."""
    from tumorlens.train.export import export_run

    bundle = export_run(run, out, version=model_version, progress=Meter(), **options)
    tell_made("exported", bundle)
