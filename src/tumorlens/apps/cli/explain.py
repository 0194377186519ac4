"""``tumorlens explain``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.answers import finish, line_of, load_model, model_option
from tumorlens.apps.cli.meter import Meter
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explainer import Question

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
@click.option("--out", metavar="DIR", help="Where to put a folder for each slice.")
def explain(
    paths: tuple[str, ...],
    model: str | None,
    method: str,
    layer: str | None,
    layers: str | None,
    list_layers: bool,
    target: str | None,
    versus: str | None,
    out: str | None,
) -> None:
    """Show where in each slice the evidence for a class lies.

    For each slice a new folder with map.npy, overlay.png and manifest.json; with
    --layers, layers.png and maps.npz. Layers other than the last one need the train
    extra. Methods: gradcam, gradcam++, hirescam, layercam, eigencam, scorecam, occlusion.
    """
    from tumorlens.explain.batch import explain_files
    from tumorlens.explain.depth import explain_depth
    from tumorlens.explain.explainer import Question
    from tumorlens.files import find_files
    from tumorlens.sources.failure import Failure

    if not list_layers and not (paths and out):
        raise click.UsageError("give PATH... and --out DIR")
    classifier = load_model(model)
    if list_layers:
        click.echo("\n".join(classifier.layers))
        return
    question = Question(method, layer, target, versus)
    _check_question(classifier, question, layers)
    files = list(find_files(paths))
    results: Iterator[Any]
    if layers is None:
        results = explain_files(classifier, files, str(out), question)
    else:
        results = explain_depth(classifier, files, str(out), question, _layer_names(layers))
    meter = Meter() if len(files) > 1 and not sys.stdout.isatty() else None
    failed = done = 0
    for result in results:
        if isinstance(result, Failure):
            failed, done = failed + 1, done + 1
            click.echo(line_of(result))
        else:
            explained, folder = result
            answer = (explained[0] if isinstance(explained, list) else explained).prediction
            done += answer.slice == 0
            click.echo(f"{line_of(answer)}  ->  {printable(folder)}")
        if meter:
            meter("files", done, len(files))
    finish(failed, len(files))


def _layer_names(layers: str | None) -> list[str] | None:
    """Read --layers; ``None`` for all of them."""
    if layers in (None, "all"):
        return None
    return list(dict.fromkeys(name.strip() for name in str(layers).split(",")))


def _check_question(classifier: Classifier, question: Question, layers: str | None) -> None:
    """Refuse what cannot be explained before any work is done."""
    import dataclasses

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
