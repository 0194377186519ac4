"""``tumorlens train``."""

from __future__ import annotations

from typing import Any

import click

from tumorlens.apps.cli.meter import Meter

__all__ = ["train"]


@click.command()
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
