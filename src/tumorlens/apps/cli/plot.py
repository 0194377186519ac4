"""``tumorlens data plot``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import out_option, seed_option

__all__ = ["plot"]


@click.command()
@click.argument("source", metavar="DIR|MANIFEST")
@out_option
@seed_option
def plot(*, source: str, out: str, seed: int) -> None:
    """Draw a data set: examples, classes, sizes and folds.

    PNG files, and one page, index.html, that shows them all.
    """
    from tumorlens.report.data_set import plot_data

    files = plot_data(source, out, seed=seed, progress=Meter())
    for path in files:
        click.echo(click.format_filename(path))
