"""``tumorlens deidentify``."""

from __future__ import annotations

from collections import Counter

import click

from tumorlens.apps.cli.options import out_option
from tumorlens.apps.cli.output import find_scans, finish, line_of, tell_notes
from tumorlens.untrusted import printable

__all__ = ["deidentify"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@out_option
def deidentify(paths: tuple[str, ...], out: str) -> None:
    """Copy DICOM pictures without their patient, by the standard's basic profile.

    Names, numbers, dates, descriptions and private tags go, identifiers are replaced one for
    one, files get new names. Pixels stay as they are: so does what is burned into them, and so
    does a face, which can be drawn from a scan of a head. Look at the result before you give it
    away.
    """
    from tumorlens.dicom_out.deidentify import deidentify_files
    from tumorlens.images.limits import Limits
    from tumorlens.sources.failure import Failure

    files = find_scans(paths)
    reasons: Counter[str] = Counter()
    series: set[str] = set()
    failed = repeated = 0
    with deidentify_files(files, out, limits=Limits()) as results:
        for result in results:
            if isinstance(result, Failure):
                failed += 1
                click.echo(line_of(result))
                continue
            series.add(result.series)
            repeated += result.repeated
            if result.burned_in is not None:
                reasons[result.burned_in] += 1
    click.echo(f"{len(files) - failed} files of {len(series)} series are in {printable(out)}")
    tell_notes(
        f"{count} files may show in their pixels who it is: {reason}; look at them"
        for reason, count in reasons.items()
    )
    if repeated:
        tell_notes([f"{repeated} texts that repeated a name or number were removed as well"])
    tell_notes(["pixels are as they were: faces and what is burned in stay"])
    finish(failed, len(files))
