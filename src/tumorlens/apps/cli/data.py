"""``tumorlens data …``: know a data set before anything is trained on it."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import check_file, json_option, out_option, seed_option
from tumorlens.apps.cli.output import tell_notes, tell_unreadable

if TYPE_CHECKING:
    from tumorlens.data.audit import Audit
    from tumorlens.data.manifest import Manifest

__all__ = ["data"]

# Commands that live in modules of their own, imported when they are asked for.
_ELSEWHERE: Final = {
    "check": "tumorlens.apps.cli.download",
    "download": "tumorlens.apps.cli.download",
    "plot": "tumorlens.apps.cli.plot",
}


class _Group(click.Group):
    """A group some of whose commands are found on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            command = getattr(importlib.import_module(_ELSEWHERE[cmd_name]), cmd_name)
            return command if isinstance(command, click.Command) else None
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Group)
def data() -> None:
    """Know a data set: what it holds, what is wrong with it, how to split it."""


@data.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--out", required=True, metavar="CSV", callback=check_file, help="The manifest to write."
)
@click.option(
    "--groups",
    type=click.Choice(["auto", "published", "none"]),
    default="auto",
    show_default=True,
    help="auto: published groups, and look-alikes for other pictures.",
)
@click.option("--overwrite", is_flag=True, help="Write over a manifest that is there already.")
def manifest(*, folder: str, out: str, groups: str, overwrite: bool) -> None:
    """Write down every picture of a folder: hashes, label, size, group, fold.

    DIR holds Training and Testing with class folders in them, or class folders.
    Exit status 1: some files cannot be read; they are listed beside the manifest.
    """
    _keep_what_is_there(out, overwrite=overwrite)
    from tumorlens.data.manifest import make_manifest, write_manifest
    from tumorlens.data.several import note_dicom, note_several

    made = write_manifest(make_manifest(folder, groups=groups, progress=Meter()), out)
    _describe(made)
    click.echo(f"written: {click.format_filename(out)}")
    tell_notes(note_several(bad.reason for bad in made.unreadable))
    tell_notes(note_dicom(entry.format for entry in made.entries))
    tell_unreadable([f"{bad.path}: {bad.reason}" for bad in made.unreadable])


@data.command()
@click.argument("manifest", metavar="MANIFEST")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True)
@seed_option
@click.option("--keep", is_flag=True, help="Groups that have a fold stay in it.")
@click.option("--out", metavar="CSV", callback=check_file, help="Where to write; see --overwrite.")
@click.option("--overwrite", is_flag=True, help="Write over what is there.")
def split(
    *, manifest: str, folds: int, seed: int, keep: bool, out: str | None, overwrite: bool
) -> None:
    """Deal the pictures of a manifest into folds: stratified, whole groups only."""
    if out is None and not overwrite:
        raise click.UsageError("say where to: --out CSV, or --overwrite for the manifest itself")
    if out is not None:
        _keep_what_is_there(out, overwrite=overwrite)
    from tumorlens.data.folder import class_name
    from tumorlens.data.folds import imbalance
    from tumorlens.data.manifest import read_manifest, write_manifest
    from tumorlens.data.split import split_manifest

    before = read_manifest(manifest)
    target = manifest if out is None else out
    made = write_manifest(split_manifest(before, folds=folds, seed=seed, keep=keep), target)
    _describe(made)
    spread = imbalance(made.labels, [e.fold for e in made.entries if e.fold is not None])
    worst = max(spread, key=lambda label: spread[label])
    more = f"{spread[worst]:.1%} more in one fold than in another"
    click.echo(f"most uneven class: {class_name(worst)}, {more}")
    click.echo(f"written: {click.format_filename(target)}")


@data.command()
@click.argument("source", metavar="DIR|MANIFEST")
@out_option
@seed_option
@json_option
def audit(*, source: str, out: str, seed: int, as_json: bool) -> None:
    """Look for copies, leaks, wrong labels, shortcuts and odd files.

    DIR will hold index.html, a page with the pictures side by side, and audit.json.
    Exit status 1: some files cannot be read.
    """
    from tumorlens.data.audit import audit_data
    from tumorlens.data.several import note_several
    from tumorlens.report.audit import write_audit

    found = audit_data(source, seed=seed, progress=Meter())
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    page = write_audit(found, root, out)
    click.echo(json.dumps(found.totals()) if as_json else _summary(found))
    click.echo(f"written: {click.format_filename(page)}", err=as_json)
    tell_notes(note_several(found.unreadable.values()))
    tell_unreadable([f"{name}: {reason}" for name, reason in found.unreadable.items()])


def _keep_what_is_there(out: str, *, overwrite: bool) -> None:
    """Refuse a file that somebody may have worked on: groups are written by hand, too."""
    if Path(out).exists() and not overwrite:
        shown = click.format_filename(out)
        raise click.UsageError(f"{shown} is there already: name another, or give --overwrite")


def _describe(made: Manifest) -> None:
    """Print how many pictures of each class each fold holds."""
    from tumorlens.data.folder import class_name

    labels = sorted(set(made.labels))
    folds = sorted({entry.fold for entry in made.entries}, key=lambda f: -1 if f is None else f)
    click.echo(f"{len(made.entries)} pictures, {len({e.group for e in made.entries})} groups")
    titles = ("fold", *map(class_name, labels), "groups")
    click.echo("".join(f"{text:>12}" for text in titles))
    for fold in folds:
        here = [entry for entry in made.entries if entry.fold == fold]
        counts = Counter(entry.corrected_label for entry in here)
        row = ["none" if fold is None else fold, *(counts[label] for label in labels)]
        click.echo("".join(f"{cell:>12}" for cell in (*row, len({e.group for e in here}))))
    for reason, count in made.excluded.items():
        click.echo(f"of these, {count} neither train nor count: {reason}")


def _summary(found: Audit) -> str:
    from tumorlens.data.folder import class_name

    lines = [f"{name.replace('_', ' '):<28}{count:>8}" for name, count in found.totals().items()]
    for label, twins in found.twins.items():
        lines.append(
            f"{class_name(label):<12} test pictures with a twin in training: {twins.exact} exact, "
            f"{twins.near} of {twins.pictures} near or exact ({twins.near / twins.pictures:.1%})"
        )
    if found.across_folds is not None:
        lines.append(f"copies across folds: {found.across_folds[0]}")
        lines.append(f"look-alikes across folds: {found.across_folds[1]}")
    if found.shortcuts is not None:
        tumour = found.shortcuts.tumour
        both = "" if tumour is None else f", {tumour:.3f} for tumour or none"
        lines.append(f"shortcuts alone: {found.shortcuts.classes:.3f} for the classes{both}")
    seconds = ", ".join(f"{stage} {time:.0f}" for stage, time in found.seconds.items())
    lines.append(f"seconds: {seconds}")
    return "\n".join(lines)
