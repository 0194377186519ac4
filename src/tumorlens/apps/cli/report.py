"""``tumorlens report``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import check_file, load_model, model_option
from tumorlens.apps.cli.output import find_scans, finish, tell_notes
from tumorlens.apps.cli.volumes import plane_option, units_of
from tumorlens.errors import OutputError

if TYPE_CHECKING:
    from tumorlens.images.slice import Slice
    from tumorlens.progress import Progress
    from tumorlens.sources.series import Unit

__all__ = ["report"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    required=True,
    metavar="FILE.html|FILE.pdf",
    callback=check_file,
    help="The report to write; its ending says which.",
)
@model_option
@plane_option
@click.option("--method", default="gradcam", show_default=True, help="How to explain.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Pictures and volumes to show; the report says how many files are left out.",
)
@click.option("--overwrite", is_flag=True, help="Replace a report that is there already.")
def report(
    paths: tuple[str, ...],
    out: str,
    model: str | None,
    plane: str | None,
    method: str,
    most: int,
    overwrite: bool,
) -> None:
    """Write what the model says of pictures and volumes as one page, or as a PDF.

    Each slice with its map, the answer and how far to trust it, where the evidence lies, and the
    limits of the model in plain words. Of a DICOM series, NIfTI or MGH volume: the answer for all
    of it, and the slices to look at first. Files that cannot be read are named in the report.

    It holds names of files as they were given, and nothing else from them but the slices shown.
    """
    from tumorlens.explain.explainer import Question
    from tumorlens.report.case import form_of, write_case

    form_of(out)  # before any work is done
    if os.path.lexists(out) and not overwrite:
        raise OutputError(f"{out} exists; name another file, or --overwrite it")
    files = find_scans(paths)
    classifier = load_model(model)
    question = Question(method)
    try:
        question.check(classifier)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    options: dict[str, Any] = {"question": question, "most": most, "progress": _passes(Meter())}
    units = _counted(units_of(files, plane), len(files))
    made = write_case(units, out, classifier=classifier, **options)
    click.echo(f"written: {click.format_filename(out)}")
    if made.left_out:
        tell_notes(
            [f"the report shows the first {made.shown}; {made.left_out} more were not looked at"]
        )
    finish(made.unread, len(files))


def _counted(
    units: Iterator[Unit | Sequence[Slice]], files: int
) -> Iterator[Unit | Sequence[Slice]]:
    """Show how many files are done while they are gone through."""
    meter, done = Meter(), 0
    for unit in units:
        yield unit
        done += max(1, len(getattr(unit, "paths", ())))
        if files > 1:
            meter("files", min(done, files), files)


def _passes(meter: Meter) -> Progress:
    """Show the passes of slow methods; what is not counted to an end is counted in files."""

    def tell(stage: str, done: int, total: int, note: str = "") -> None:
        if total:
            meter(stage, done, total, note)

    return tell
