"""``tumorlens predict``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.archive import archive_options, predict_archive
from tumorlens.apps.cli.options import (
    check_file,
    force_option,
    json_option,
    load_model,
    model_option,
    refuse_input,
)
from tumorlens.apps.cli.output import find_scans, finish, line_of, mark_several, tell_each
from tumorlens.apps.cli.volumes import line_of_volume, plane_option, units_of

if TYPE_CHECKING:
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["predict"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@model_option
@json_option
@plane_option
@force_option
@click.option(
    "--csv", metavar="FILE", callback=check_file, help="Write a table too, when all is done."
)
@archive_options
def predict(
    paths: tuple[str, ...],
    model: str | None,
    as_json: bool,
    plane: str | None,
    csv: str | None,
    out: str | None,
    **archive: Any,
) -> None:
    """Classify pictures and folders of pictures.

    Folders are walked; - is a file on standard input. A file that cannot be read is reported, the
    others go on. With --out the answers go into that file alone; when the work is stopped, the
    same command goes on with it.

    The DICOM files of a series are one volume, in the order of their positions, and so is a
    NIfTI or MGH file: after its slices comes the answer for all of it. With --out the files of a
    series must lie in one folder, and the folder be given.
    """
    if out is not None and plane is not None:
        raise click.UsageError("--plane does not go with --out")
    if out is None and archive.get("explain") is not None:
        raise click.UsageError("--explain goes with --out; `tumorlens explain` writes maps alone")
    if out is not None:
        predict_archive(paths, model, out, plain=not (as_json or csv), **archive)
        return
    from tumorlens.archive.answer_table import answer_table
    from tumorlens.explain.scan import predict_scans
    from tumorlens.volume_answer import VolumeAnswer

    files = find_scans(paths)
    if csv is not None:
        refuse_input(csv, files)
    classifier = load_model(model)
    with ExitStack() as stack:
        add = None
        if csv is not None:
            add = stack.enter_context(answer_table(csv, classifier.card.classes))
        found = predict_scans(classifier, units_of(files, plane))

        def answers() -> Iterator[tuple[Prediction | Failure | VolumeAnswer, str]]:
            for result, several in mark_several(found, lambda result: result):
                if add is not None:
                    add(result)
                if isinstance(result, VolumeAnswer):
                    line = line_of_volume(result)
                    yield result, json.dumps(result.to_dict()) if as_json else line
                    continue
                line = line_of(result, several=several)
                yield result, json.dumps(result.to_dict()) if as_json else line

        failed, files_read = tell_each(answers(), len(files))
    finish(failed, files_read)
