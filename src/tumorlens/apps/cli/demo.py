"""``tumorlens demo``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.answers import load_model, model_option

__all__ = ["demo"]


@click.command()
@click.option("--out", default="tumorlens-demo", show_default=True, metavar="DIR", help="Where to.")
@model_option
def demo(out: str, model: str | None) -> None:
    """Classify and explain a real MR slice, offline.

    The slice is a healthy head that comes inside Matplotlib's package.
    """
    from tumorlens.apps.demo import run_demo

    click.echo(run_demo(load_model(model), out))
