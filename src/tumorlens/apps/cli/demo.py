"""``tumorlens demo``."""

from __future__ import annotations

from pathlib import Path

import click

from tumorlens.apps.cli.options import load_model, model_option

__all__ = ["demo"]


@click.command()
@click.option("--out", default="tumorlens-demo", show_default=True, metavar="DIR", help="Where to.")
@click.option(
    "--data", metavar="DIR", help="The public data set: show one unseen slice of each class."
)
@model_option
def demo(out: str, data: str | None, model: str | None) -> None:
    """Show what the program does, offline: a healthy head, and the same with a drawn tumour.

    The slice comes inside Matplotlib's package. The tumour in it is drawn by the program.
    """
    from tumorlens.apps.demo import check_demo_folder, run_demo

    check_demo_folder(Path(out))
    click.echo(run_demo(load_model(model), out, data=data))
