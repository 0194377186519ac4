"""``tumorlens predict``."""

from __future__ import annotations

import json
import sys

import click

from tumorlens.apps.cli.answers import finish, line_of, load_model, model_option
from tumorlens.apps.cli.meter import Meter

__all__ = ["predict"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a slice, a line each.")
def predict(paths: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Classify pictures and folders of pictures.

    Folders are walked. A file that cannot be read is reported, the others go on.
    """
    from tumorlens.files import find_files
    from tumorlens.sources.failure import Failure
    from tumorlens.sources.stream import predict_files

    classifier = load_model(model)
    files = list(find_files(paths))
    # On a terminal the answers themselves show how far it is.
    meter = Meter() if len(files) > 1 and not sys.stdout.isatty() else None
    failed = done = 0
    for result in predict_files(classifier, files):
        failed += isinstance(result, Failure)
        done += isinstance(result, Failure) or result.slice == 0
        click.echo(json.dumps(result.to_dict()) if as_json else line_of(result))
        if meter:
            meter("files", done, len(files))
    finish(failed, len(files))
