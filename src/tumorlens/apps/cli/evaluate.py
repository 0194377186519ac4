"""``tumorlens evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import (
    choose_source,
    labelled_options,
    load_model,
    model_option,
    out_option,
    seed_option,
)
from tumorlens.apps.cli.output import tell_notes, tell_unreadable
from tumorlens.extras import require
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.evaluate.evaluation import Evaluation, Measured
    from tumorlens.evaluate.metrics import Summary
    from tumorlens.evaluate.volumes import VolumeScores

__all__ = ["evaluate"]

_SHOWN = ("accuracy", "macro_f1", "mcc", "auc.macro", "ece", "brier", "tumour_miss_rate")


@click.command()
@click.argument("data", required=False, metavar="[DATA]")
@out_option
@model_option
@labelled_options
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Resamples for the intervals.",
)
@seed_option
def evaluate(
    *,
    data: str | None,
    out: str,
    model: str | None,
    external: str | None,
    class_map: str | None,
    **options: Any,
) -> None:
    """Measure a model on labelled pictures and volumes.

    DATA is a manifest, or a folder with Training and Testing or with class folders in it.
    A series, a NIfTI file and a file of several frames in a folder is a volume: it has
    one label and one answer, as predict gives it, and a table of its own.
    DIR will hold report.html, metrics.json, predictions.csv and the figures. Exit status
    1: some files could not be read; the rest was measured.
    """
    source = choose_source(data, external, "DATA")
    from tumorlens.data.folder import read_class_map
    from tumorlens.evaluate.evaluation import evaluate_all
    from tumorlens.files import new_folder
    from tumorlens.report.evaluation import write_measured

    require("matplotlib", "the report", "evaluate")
    classifier = load_model(model)
    with new_folder(out) as folder:
        found = evaluate_all(
            source,
            model=classifier,
            external=external is not None,
            class_map=None if class_map is None else read_class_map(class_map),
            progress=Meter(),
            **options,
        )
        write_measured(found, folder, progress=Meter())
    tell_notes(found.notes)
    click.echo(_summary(found))
    click.echo(f"written: {click.format_filename(out)}")
    unreadable = [f"{name}: {reason}" for name, reason in found.answers.unreadable]
    tell_unreadable(unreadable, "; metrics.json lists them")


def _summary(found: Measured) -> str:
    """Give the figures as lines for people: pictures, then volumes, then whether it leaks."""
    lines = [] if found.pictures is None else _of_pictures(found.pictures)
    if found.volumes is not None:
        lines += _of_volumes(found, found.volumes)
    leaky = {True: "LEAKY", False: "unseen patients", None: "not known whether it leaks"}
    lines.append(f"{leaky[found.leak.leaky]}: {printable(found.leak.reason)}")
    return "\n".join(lines)


def _of_pictures(found: Evaluation) -> list[str]:
    summary = found.summary
    lines = [f"{found.card.id} on {summary.n:,} pictures of {printable(found.data.name)}"]
    lines += [_line(summary, name) for name in _SHOWN]
    sets, accepted = found.prediction_sets, found.accepted
    kind = "" if sets["calibrated"] else ", not calibrated"
    lines.append(
        f"{'prediction sets':<18}coverage {sets['coverage']:.4f} of {sets['level']:g}, "
        f"mean size {sets['mean_size']:.2f}{kind}"
    )
    ends = accepted["interval"]
    shown = f"  ({ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
    lines.append(f"{'assessable':<18}{accepted['share']:.4f}{shown}")
    if summary.resamples and not found.grouped:
        lines.append("no groups are known: the intervals are too narrow")
    return lines


def _of_volumes(found: Measured, volumes: VolumeScores) -> list[str]:
    from tumorlens.evaluate.volumes import FIGURES

    n, summary = len(volumes.scans), volumes.summary
    lines = [f"{found.card.id} on {n:,} volumes of {printable(found.data.name)}"]
    if summary is not None:
        lines += [_line(summary, name) for name in FIGURES]
    if volumes.answered < n:
        lines.append(f"{'accuracy of all':<18}{volumes.right / n:.4f}, no answer counted as wrong")
    lines.append(f"{'not assessable':<18}{n - volumes.answered:,} of {n:,}")
    lines.append(f"{'undecided':<18}{volumes.undecided:,} of {n:,}, counted as no tumour")
    return lines


def _line(summary: Summary, name: str) -> str:
    value, interval = summary.figures[name], summary.intervals.get(name)
    text = "not defined" if value is None else f"{value:.4f}"
    if interval is not None:
        text += f"  ({interval[0]:.4f} to {interval[1]:.4f})"
    return f"{name.replace('_', ' ').replace('.', ' '):<18}{text}"
