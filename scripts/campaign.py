r"""Choose how to train: one change at a time, measured on patients that no try has seen.

    python scripts/campaign.py --data manifest.csv --root DATA --masks MASKS \
        --table TABLE.csv --mask-column slice --weights start.safetensors --out campaign --hours 2.5

Folds 2 to 4 train, fold 1 measures, fold 0 stays closed. Every try is the one before
with one thing changed. What is done is kept: stop it whenever you like, or let the
time run out, and the same command goes on. The table comes last.

Each try is measured by what the model must be: right on unseen patients (accuracy, worst
recall, tumours missed), for the right reason (share of the tumour slices whose peak of
evidence lies in the outline), and on the tumour alone (share of right answers that stay
when the tumour, or a patch elsewhere, is painted over, by a way of painting that no
network trains on).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any, Final

from tumorlens.apps.cli.meter import Meter
from tumorlens.classifier import load
from tumorlens.data.folder import CLASSES
from tumorlens.data.outlines import find_masked
from tumorlens.evaluate.evaluation import evaluate
from tumorlens.evaluate.localise import localise
from tumorlens.evaluate.localise_summary import summarise
from tumorlens.files import write_whole
from tumorlens.train.export import export_run
from tumorlens.train.fit import train
from tumorlens.train.recipe import Recipe, replaced

CLOSED: Final = 0
MEASURED: Final = 1

STEPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("plain", ()),
    ("evidence", ("network=mobilenetv2-fpn",)),
    ("hidden", ("hide=0.15", "control=0.15")),
    ("looks", ("strip=0.15", "curve=0.4", "field=0.4", "blur=0.3", "noise=0.2", "border=0.1")),
    ("groups", ("balance=groups",)),
    ("heavier", ("weight=3",)),
)
"""Each try's name, and what it changes of the one before."""


class OutOfTimeError(Exception):
    """The hours are over; what is done is kept."""


def main() -> None:
    """Train and measure every try, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_options(parser)
    parser.add_argument("--weights", required=True, help="starting weights of MobileNetV2")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--hours", type=float, default=2.5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--outlined", type=int, default=200, help="outlined slices to measure on")
    parser.add_argument("--only", nargs="*", default=[], help="names of tries to run")
    given = parser.parse_args()
    deadline = time.monotonic() + 3600 * given.hours
    try:
        for name, recipe in tries(given):
            if not given.only or name in given.only:
                one_try(name, recipe, given, deadline)
    except OutOfTimeError:
        print("\nthe time is over; the same command goes on from here")
    print(table(given.out))


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Ask for the slices and their outlines."""
    parser.add_argument("--data", required=True, help="manifest with the published folds")
    parser.add_argument("--root", required=True, help="folder the mask table's pictures are in")
    parser.add_argument("--masks", required=True, help="folder of masks")
    parser.add_argument("--table", required=True, help="which picture has which mask")
    parser.add_argument("--mask-column", default="mask")


def outlines_of(given: argparse.Namespace, data: str | Path) -> list[Any]:
    """Find the outlined slices of a manifest."""
    return find_masked(
        given.root, given.masks, given.table, mask_column=given.mask_column, manifest=data
    )


def tries(given: argparse.Namespace) -> list[tuple[str, Recipe]]:
    """Recipes by name, each with one more change."""
    recipe = Recipe(
        network="mobilenetv2",
        size=given.size,
        epochs=given.epochs,
        batch=given.batch,
        validation=0.0,
        weights=given.weights,
    )
    found = []
    for name, changes in STEPS:
        recipe = replaced(recipe, changes)
        found.append((name, recipe))
    return found


def one_try(name: str, recipe: Recipe, given: argparse.Namespace, deadline: float) -> None:
    """Train, export and measure, unless that is done."""
    result = given.out / f"{name}.json"
    if result.is_file():
        return
    print(f"\n{name}: {dataclasses.asdict(recipe)}")
    meter = Meter()

    def watch(stage: str, done: int, total: int, note: str = "") -> None:
        if time.monotonic() > deadline:
            raise OutOfTimeError
        meter(stage, done, total, note)

    outlines = outlines_of(given, given.data)
    start = time.monotonic()
    run = train(
        recipe,
        given.data,
        given.out / name,
        test_folds=(CLOSED, MEASURED),
        outlines=outlines,
        progress=watch,
    )
    seconds = time.monotonic() - start
    bundle = given.out / f"{name}-bundle"
    if not bundle.is_dir():
        export_run(run, bundle, precision="float32", name=name, progress=watch)
    found = measure(bundle, outlines, given, watch)
    write_whole(result, json.dumps({"try": name, "seconds": seconds, **found}, indent=2) + "\n")


def measure(
    bundle: Path, outlines: list[Any], given: argparse.Namespace, watch: Any
) -> dict[str, Any]:
    """Measure a model on the fold for that."""
    answers = evaluate(
        given.data, model=bundle, folds=(MEASURED,), bootstrap=500, progress=watch
    ).summary
    unseen = [outline for outline in outlines if outline.fold == MEASURED]
    chosen = unseen[:: max(1, len(unseen) // given.outlined)]
    places = summarise(localise(load(bundle), chosen, ("gradcam",), curves=False, progress=watch))
    hidden = places["hidden"]["all"]
    return {
        "accuracy": answers.figures["accuracy"],
        "interval": answers.intervals["accuracy"],
        "recall": {name: answers.figures[f"recall.{name}"] for name in CLASSES},
        "missed": answers.figures["tumour_miss_rate"],
        "ece": answers.figures["ece"],
        "pointing": places["methods"]["gradcam"]["all"]["pointing"],
        "stays_hidden": hidden.get("tumour", {}).get("stayed"),
        "stays_control": hidden.get("control", {}).get("stayed"),
        "outlined": places["n"],
    }


def table(out: Path) -> str:
    """Give what is done as a table in Markdown."""
    titles = ["try", "accuracy", "interval", "worst recall", "missed", "pointing"]
    titles += ["hidden stays", "control stays", "minutes"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, _ in STEPS:
        path = out / f"{name}.json"
        if not path.is_file():
            continue
        row = json.loads(path.read_text())
        low, high = row["interval"]
        worst = min(row["recall"], key=row["recall"].get)
        cells = [
            name,
            f"{row['accuracy']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{worst} {row['recall'][worst]:.3f}",
            *(
                "" if row[key] is None else f"{row[key]:.3f}"
                for key in ("missed", "pointing", "stays_hidden", "stays_control")
            ),
            f"{row['seconds'] / 60:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
