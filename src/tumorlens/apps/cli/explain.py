"""``tumorlens explain``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import (
    check_free,
    check_inside,
    force_option,
    load_model,
    model_option,
)
from tumorlens.apps.cli.output import (
    find_scans,
    finish,
    line_of,
    mark_several,
    tell_each,
    tell_notes,
)
from tumorlens.apps.cli.volumes import line_of_volume, plane_option, slices_option, units_of
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.batch import Saved, Work
    from tumorlens.explain.explainer import Question
    from tumorlens.explain.volume_batch import SavedVolume, Wanted
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["explain"]


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@model_option
@click.option("--method", default="gradcam", show_default=True, help="How to explain.")
@click.option("--layer", help="Which layer; the network's last one if not given.")
@click.option("--layers", metavar="all|A,B", help="Several layers on one sheet.")
@click.option("--list-layers", is_flag=True, help="Name the layers and stop.")
@click.option("--target", metavar="CLASS", help="Which class; the most probable one if not given.")
@click.option("--versus", metavar="CLASS", help="Why the target rather than this class.")
@plane_option
@slices_option
@click.option(
    "--out", metavar="DIR", callback=check_inside, help="Where to put a folder for each slice."
)
@click.option(
    "--dicom-out", metavar="DIR", callback=check_free, help="Results as DICOM, for DICOM scans."
)
@force_option
@click.option("--overwrite", is_flag=True, help="Make records anew that are there already.")
def explain(
    paths: tuple[str, ...],
    model: str | None,
    method: str,
    layer: str | None,
    layers: str | None,
    list_layers: bool,
    target: str | None,
    versus: str | None,
    plane: str | None,
    slices: Wanted,
    out: str | None,
    dicom_out: str | None,
    overwrite: bool,
) -> None:
    """Show where in each slice the evidence for a class lies.

    For each slice a folder, named after its file and the method, with map.npy, overlay.png
    and manifest.json; with --layers, layers.png and maps.npz. A record that is there
    already is kept as it is. Layers other than the last one need the train extra.

    The DICOM files of a series are one volume, and so is a NIfTI or MGH file: one class is
    explained in all of it, the evidence goes as evidence.nii.gz into a folder of its own, and
    there are records of the slices to look at first.

    --dicom-out makes a new folder with a structured report and secondary captures of the
    overlays, in the study of the scan: they hold the patient's name as the scan does.

    Methods: gradcam, gradcam++, hirescam, layercam, eigencam, scorecam, occlusion.
    """
    from tumorlens.explain.batch import find_records
    from tumorlens.explain.explainer import Question
    from tumorlens.explain.volume_batch import explain_units

    if not list_layers and not (paths and (out or dicom_out)):
        raise click.UsageError("give PATH... and --out DIR, or --dicom-out DIR")
    if layers is not None and (out is None or dicom_out is not None) and not list_layers:
        raise click.UsageError("--layers goes with --out, and not with --dicom-out")
    # First, so that records which other processes add from now on are not taken for old ones.
    before = find_records(str(out))
    files = find_scans(paths)
    classifier = load_model(model)
    if list_layers:
        click.echo("\n".join(classifier.layers))
        return
    classes = classifier.card.classes
    question = Question(method, layer, _class_of(target, classes), _class_of(versus, classes))
    _check_question(classifier, question, layers)
    options = {"before": before, "overwrite": overwrite}
    task = _task(
        classifier, question, layers, out, slices=slices, give=dicom_out is not None, **options
    )
    results = explain_units(classifier, units_of(files, plane), task)
    with ExitStack() as stack:
        if dicom_out is not None:
            from tumorlens.apps.cli.dicom_results import put_into_studies

            results = stack.enter_context(put_into_studies(results, dicom_out, classifier.card))
        failed, files_read = tell_each(_told(results), len(files))
    finish(failed, files_read)


def _task(
    classifier: Classifier,
    question: Question,
    layers: str | None,
    out: str | None,
    *,
    slices: Wanted,
    give: bool,
    **options: Any,
) -> Any:
    """Say what is to be made of slices and volumes."""
    from tumorlens.explain.batch import explain_files
    from tumorlens.explain.depth import explain_depth
    from tumorlens.explain.volume_batch import VolumeTask

    meter, names = Meter(), _layer_names(layers)

    def save(works: Iterable[Work], asked: Question) -> Iterator[Saved | Failure]:
        if layers is None:
            return explain_files(classifier, works, out, asked, progress=meter, **options)
        return explain_depth(classifier, works, str(out), asked, names, progress=meter, **options)

    evidence = out if layers is None else None
    return VolumeTask(
        question,
        save,
        slices,
        evidence,
        give,
        progress=meter,
        note=lambda x: tell_notes([x]),
        **options,
    )


def _told(
    results: Iterator[Saved | Failure | SavedVolume],
) -> Iterator[tuple[Prediction | Failure | VolumeAnswer, str]]:
    """Give each result with its line, and say in the end what was kept."""
    from tumorlens.explain.volume_batch import SavedVolume
    from tumorlens.sources.failure import Failure

    kept = 0
    for result, several in mark_several(results, _answer_of):
        if isinstance(result, Failure):
            yield result, line_of(result)
            continue
        kept += result.kept
        place = "" if result.folder is None else f"  ->  {printable(result.folder)}"
        if isinstance(result, SavedVolume):
            yield result.answer, f"{line_of_volume(result.answer)}{place}"
            continue
        yield result.prediction, f"{line_of(result.prediction, several=several)}{place}"
    if kept:
        were = "1 record was" if kept == 1 else f"{kept} records were"
        tell_notes([f"{were} there already; --overwrite makes such records anew"])


def _answer_of(
    result: Saved | Failure | SavedVolume,
) -> Prediction | Failure | VolumeAnswer:
    """Give what a result says."""
    from tumorlens.explain.volume_batch import SavedVolume
    from tumorlens.sources.failure import Failure

    if isinstance(result, SavedVolume):
        return result.answer
    return result if isinstance(result, Failure) else result.prediction


def _class_of(name: str | None, classes: Sequence[str]) -> str | None:
    """Find the class that a person means: `Glioma`, `no tumour`."""
    from tumorlens.data.folder import class_name, class_named

    if name is None or name in classes:
        return name
    alike = [one for one in classes if one.lower() == name.strip().lower()]
    meant = alike[0] if alike else class_named(name)
    if meant not in classes:
        known = ", ".join(map(class_name, classes))
        raise click.UsageError(f"there is no class {printable(name)!r}; there are {known}")
    return meant


def _layer_names(layers: str | None) -> list[str] | None:
    """Read --layers; ``None`` for all of them."""
    if layers in (None, "all"):
        return None
    return list(dict.fromkeys(name.strip() for name in str(layers).split(",")))


def _check_question(classifier: Classifier, question: Question, layers: str | None) -> None:
    """Refuse what cannot be explained before any work is done."""
    names = _layer_names(layers) or []
    if layers is not None and (question.layer is not None or question.method == "occlusion"):
        raise click.UsageError("--layers goes neither with --layer nor with occlusion")
    if question.layer is not None and question.method == "occlusion":
        raise click.UsageError("occlusion hides parts of the picture itself: leave --layer out")
    try:
        for name in [question.layer, *names]:
            dataclasses.replace(question, layer=name).check(classifier)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
