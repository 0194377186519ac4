"""``tumorlens data download`` and ``tumorlens data check``."""

from __future__ import annotations

import json

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import json_option

__all__ = ["check", "download"]

_MANIFEST = "A CSV with sha256 and label to compare with, instead of the published one."


@click.command()
@click.option("--out", required=True, metavar="DIR", help="The folder to make.")
@click.option(
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="Which version on Kaggle; the published one if not given.",
)
@click.option("--manifest", metavar="CSV", help=_MANIFEST)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds without a byte after which to give up.",
)
@json_option
def download(
    *, out: str, version: int | None, manifest: str | None, timeout: float, as_json: bool
) -> None:
    """Download the public data set from Kaggle and check every file.

    A download that broke off goes on where it stopped. Exit status 0: every
    published file is there; 1: some are not.
    """
    from tumorlens.data.check import read_expected
    from tumorlens.data.download import VERSION
    from tumorlens.data.download import download as fetch

    result = fetch(
        out,
        version=VERSION if version is None else version,
        expected=None if manifest is None else read_expected(manifest),
        timeout=timeout,
        progress=Meter(),
    )
    click.echo(json.dumps(result.to_dict()) if as_json else result.to_text())
    if not result.comparison.complete:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--manifest", metavar="CSV", help=_MANIFEST)
@json_option
def check(*, folder: str, manifest: str | None, as_json: bool) -> None:
    """Compare a folder with the published data set, file by file.

    Files are known by their content, whatever they are called. Exit status 0: every
    published file is there; 1: some are not.
    """
    from tumorlens.data.check import check_folder, read_expected

    expected = None if manifest is None else read_expected(manifest)
    result = check_folder(folder, expected, progress=Meter())
    click.echo(json.dumps(result.to_dict()) if as_json else result.to_text())
    if not result.complete:
        raise click.exceptions.Exit(1)
