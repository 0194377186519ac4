"""The command line: ``tumorlens COMMAND``, as ``tumorlens --help`` lists them.

Results go to standard output, everything else to standard error. Exit status 0: all
went well; 1: some input failed, the rest was done; 2: wrong usage, or nothing could
be done. Heavy modules are imported by the commands that need them, so that
``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tumorlens.apps.bundle_options import bundle_options, tell_made
from tumorlens.apps.calibrate_command import calibrate as calibrate_command
from tumorlens.apps.compare_command import compare as compare_command
from tumorlens.apps.data_commands import data as data_commands
from tumorlens.apps.ending import orderly_end
from tumorlens.apps.evaluate_command import evaluate as evaluate_command
from tumorlens.apps.gui_command import gui
from tumorlens.apps.hub_options import hub_options, tell, where
from tumorlens.apps.import_command import import_keras as import_command
from tumorlens.apps.localise_command import localise
from tumorlens.apps.meter import Meter
from tumorlens.apps.models_command import models as models_command
from tumorlens.apps.push_command import push as push_command
from tumorlens.apps.verify_command import verify as verify_command
from tumorlens.errors import TumorLensError
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explainer import Question
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure

__all__ = ["cli", "main"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def main() -> None:
    """Run the command line; errors become one sentence and an exit status."""
    try:
        with orderly_end():
            # Not standalone, so that our errors get our exit status; click returns its own.
            sys.exit(cli(standalone_mode=False) or 0)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo("\n".join(map(printable, said.getvalue().splitlines())), err=True)
        sys.exit(error.exit_code)
    except TumorLensError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped", err=True)
        sys.exit(130)
    except OSError as error:  # a disk that fills up, a folder that goes away
        click.echo(f"error: {printable(error)}", err=True)
        with contextlib.suppress(OSError):
            sys.stdout.close()  # or Python tries once more to write what is left, and says so
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tumorlens")
@hub_options
def cli() -> None:
    """Classify MRI slices of the head: glioma, meningioma, pituitary tumour, no tumour.

    Research use only: not a medical device.
    """


def _model_option(command: _Command) -> _Command:
    text = "Name of a model that ships, path of a bundle, or hf://org/name; see `tumorlens models`."
    return click.option("--model", metavar="NAME|PATH|hf://...", help=text)(command)


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a slice, a line each.")
def predict(paths: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Classify pictures and folders of pictures.

    Folders are walked. A file that cannot be read is reported, the others go on.
    """
    from tumorlens.sources.failure import Failure
    from tumorlens.sources.find import find_files
    from tumorlens.sources.stream import predict_files

    classifier = _load(model)
    files = list(find_files(paths))
    # On a terminal the answers themselves show how far it is.
    meter = Meter() if len(files) > 1 and not sys.stdout.isatty() else None
    failed = done = 0
    for result in predict_files(classifier, files):
        failed += isinstance(result, Failure)
        done += isinstance(result, Failure) or result.slice == 0
        click.echo(json.dumps(result.to_dict()) if as_json else _line(result))
        if meter:
            meter("files", done, len(files))
    _finish(failed, len(files))


@cli.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@_model_option
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
    from tumorlens.sources.failure import Failure
    from tumorlens.sources.find import find_files

    if not list_layers and not (paths and out):
        raise click.UsageError("give PATH... and --out DIR")
    classifier = _load(model)
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
            click.echo(_line(result))
        else:
            explained, folder = result
            answer = (explained[0] if isinstance(explained, list) else explained).prediction
            done += answer.slice == 0
            click.echo(f"{_line(answer)}  ->  {printable(folder)}")
        if meter:
            meter("files", done, len(files))
    _finish(failed, len(files))


@cli.command()
@_model_option
@click.option("--json", "as_json", is_flag=True, help="The whole card as JSON.")
def info(model: str | None, as_json: bool) -> None:
    """Say what a model is, how it scored and how far to trust it."""
    from tumorlens.apps.describe import describe
    from tumorlens.models.store import open_bundle

    bundle = open_bundle(model, **where())
    tell(bundle.place.notes)
    card = bundle.card
    click.echo(card.to_json().rstrip() if as_json else describe(card))


@cli.command()
@click.option("--out", default="tumorlens-demo", show_default=True, metavar="DIR", help="Where to.")
@_model_option
def demo(out: str, model: str | None) -> None:
    """Classify and explain a real MR slice, offline.

    The slice is a healthy head that comes inside Matplotlib's package.
    """
    from tumorlens.apps.demo import run_demo

    click.echo(run_demo(_load(model), out))


cli.add_command(calibrate_command)
cli.add_command(data_commands)
cli.add_command(compare_command)
cli.add_command(evaluate_command)
cli.add_command(gui)
cli.add_command(localise)
cli.add_command(import_command)
cli.add_command(models_command)
cli.add_command(push_command)
cli.add_command(verify_command)


@cli.command()
@click.option(
    "--data",
    required=True,
    metavar="DIR|MANIFEST",
    help="Folder with Training/<class>/..., or a manifest.",
)
@click.option("--out", required=True, metavar="RUN", help="The run folder.")
@click.option(
    "--test-fold",
    "test_folds",
    type=click.IntRange(min=0),
    multiple=True,
    default=(0,),
    show_default=True,
    help="Fold of the manifest to keep for testing; may be repeated.",
)
@click.option("--allow-leaks", is_flag=True, help="Train even on what the test folds hold too.")
@click.option("--masks", metavar="DIR", help="Outlines of tumours: a folder of masks.")
@click.option("--mask-table", metavar="CSV", help="Which picture has which mask.")
@click.option("--mask-column", default="mask", show_default=True, help="Its column of masks.")
@click.option("--mask-root", metavar="DIR", help="What its pictures are named from; else --data.")
@click.option("--recipe", default="light", show_default=True, help="light or reference.")
@click.option("--network", help="Overrides the recipe's; so do the options below.")
@click.option("--weights", help="random, imagenet (downloaded by Keras) or a safetensors file.")
@click.option("--size", type=int, help="Side of the input in pixels.")
@click.option("--epochs", type=int, help="Passes over the training pictures.")
@click.option("--batch", type=int, help="Pictures a step.")
@click.option("--learning-rate", type=float, help="Adam's step size.")
@click.option("--schedule", help="constant or cosine.")
@click.option("--validation", type=float, help="Share of each class held out to watch the run.")
@click.option("--validate-on", help="Hold out of the training or of the testing pictures.")
@click.option("--precision", help="Keras dtype policy: float32 or mixed_bfloat16.")
@click.option("--seed", type=int, help="Of everything drawn at random.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any figure of the recipe, such as rotation=15, flip=no, brightness=0.9:1.1, hide=0.2.",
)
@click.option(
    "--backend", type=click.Choice(["tensorflow", "jax", "torch"]), help="What Keras runs on."
)
def train(
    data: str,
    out: str,
    recipe: str,
    backend: str | None,
    test_folds: tuple[int, ...],
    allow_leaks: bool,
    settings: tuple[str, ...],
    masks: str | None,
    mask_table: str | None,
    mask_column: str,
    mask_root: str | None,
    **overrides: Any,
) -> None:
    """Train a network on a folder of pictures by class, or on a manifest.

    Stop it whenever you like: the same command goes on from the last whole epoch.
    """
    import dataclasses

    from tumorlens.data.outlines import find_masked
    from tumorlens.networks.keras_backend import require_keras
    from tumorlens.train.fit import train as run_training
    from tumorlens.train.recipe import RECIPES, replaced
    from tumorlens.train.run import epochs_done

    if recipe not in RECIPES:
        raise click.BadParameter(f"there are {', '.join(RECIPES)}", param_hint="--recipe")
    given = {name: value for name, value in overrides.items() if value is not None}
    chosen = replaced(dataclasses.replace(RECIPES[recipe], **given), settings)
    if (masks is None) != (mask_table is None):
        raise click.UsageError("--masks and --mask-table go together")
    outlines: list[Any] = []
    if masks and mask_table:
        root = mask_root or data
        outlines = find_masked(root, masks, mask_table, mask_column=mask_column)
    require_keras("training", backend=backend)
    if begun := epochs_done(out):
        click.echo(f"going on after epoch {begun} of {chosen.epochs}", err=True)
    else:
        click.echo(f"training {chosen.network} from {chosen.weights} weights", err=True)
    try:
        run = run_training(
            chosen,
            data,
            out,
            test_folds=test_folds,
            allow_leaks=allow_leaks,
            outlines=outlines,
            progress=Meter(),
        )
    except KeyboardInterrupt:
        done = epochs_done(out)
        click.echo(f"\n{done} whole epochs are kept; the same command goes on from there", err=True)
        raise
    click.echo(f"trained {chosen.network} for {chosen.epochs} epochs: {click.format_filename(run)}")
    click.echo(f"next: tumorlens export {click.format_filename(run)} --out BUNDLE")


@cli.command()
@click.argument("run", metavar="RUN")
@bundle_options
@click.option(
    "--precision", type=click.Choice(["int8", "float32"]), default="int8", show_default=True
)
@click.option("--epoch", type=int, help="Which epoch; the last if not given.")
@click.option("--data", metavar="DIR", help="The data trained on, if it has moved.")
@click.option("--weights/--no-weights", default=True, help="Add half-precision float weights.")
@click.option("--open-test-fold", is_flag=True, help="Score the published test fold: once.")
@click.option("--limitations", default="", help="A sentence for the card: what to mind.")
def export(
    run: str,
    out: str,
    precision: str,
    epoch: int | None,
    name: str | None,
    model_version: str,
    data: str | None,
    weights: bool,
    description: str,
    limitations: str,
    open_test_fold: bool,
) -> None:
    """Turn a training run into a bundle that `--model` takes."""
    from tumorlens.train.export import export_run

    bundle = export_run(
        run,
        out,
        name=name,
        version=model_version,
        precision=precision,
        epoch=epoch,
        data=data,
        weights=weights,
        description=description,
        limitations=limitations,
        open_test_fold=open_test_fold,
        progress=Meter(),
    )
    tell_made("exported", bundle)


def _load(model: str | None) -> Classifier:
    from tumorlens.classifier import load

    classifier = load(model, **where())
    tell(classifier.place.notes)
    return classifier


def _line(result: Prediction | Failure) -> str:
    """One result as one line for people."""
    from tumorlens.sources.failure import Failure

    if isinstance(result, Failure):
        return f"unreadable          {result.error}"
    name = printable(result.path or "<memory>") + (f" [{result.slice}]" if result.slice else "")
    maybe = f"  (or {', '.join(result.prediction_set[1:])})" if result.prediction_set[1:] else ""
    if not result.assessable:
        return f"not assessable      {name}: {result.reason}"
    return f"{result.label:<12}{result.confidence:>6.1%}  {name}{maybe}"


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


def _finish(failed: int, files: int) -> None:
    """Say what went wrong and set the exit status."""
    if failed:
        click.echo(f"{failed} of {files} files could not be read", err=True)
        raise click.exceptions.Exit(1)
