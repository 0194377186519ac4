"""``tumorlens data plot``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.meter import Meter

__all__ = ["plot"]


@click.command()
@click.argument("source", metavar="DIR|MANIFEST")
@click.option("--out", required=True, metavar="DIR", help="The folder to make.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the examples."
)
def plot(*, source: str, out: str, seed: int) -> None:
    """Draw a data set: examples, classes, sizes and folds.

    PNG files, and one page, index.html, that shows them all.
    """
    from tumorlens.report.data_set import plot_data

    files = plot_data(source, out, seed=seed, progress=Meter())
    for path in files:
        click.echo(click.format_filename(path))
