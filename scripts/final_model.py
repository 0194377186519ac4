r"""Train, export and calibrate the network that ships, with the recipe that was chosen.

    python scripts/final_model.py --data manifest.csv --root DATA --masks MASKS \
        --table TABLE.csv --mask-column slice --weights lite0.safetensors --out final

Folds 2 to 4 train, in four stages that each begin with the weights of the one before. Fold 1
is no stage's: on it the stages were compared (`proxy.py`), and it sets how much evidence
outweighs none, the temperature, the thresholds of the prediction sets and the limit of
novelty. Fold 0 stays closed; it is opened once, by `tumorlens evaluate --fold 0` and
`tumorlens localise --fold 0`.

How much evidence outweighs none: covered tumours are taught as "no tumour", so there is more
of that in training than among real slices, and the network says it too often. One constant
on the evidence of every tumour takes that back. Without `--constant` it is found together
with a temperature by maximum likelihood: the bias of bias-corrected temperature scaling
(A. Alexandari, A. Kundaje and A. Shrikumar, "Maximum likelihood with bias-corrected
calibration is hard-to-beat at label shift adaptation", ICML 2020), the same for all tumours.

Stop it whenever you like; the same command goes on.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Final

import numpy as np
from campaign import CLOSED, MEASURED, add_data_options, outlines_of
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from tumorlens.apps.cli.meter import Meter
from tumorlens.classifier import load
from tumorlens.data.split import select
from tumorlens.evaluate.calibrate import calibrate
from tumorlens.evaluate.cases import find_cases
from tumorlens.evaluate.run import run_model
from tumorlens.explain.inner import open_float_network
from tumorlens.files import new_folder
from tumorlens.models.store import open_bundle
from tumorlens.networks.network import training_view
from tumorlens.networks.weights import save_weights
from tumorlens.progress import Progress
from tumorlens.train.export import calibration_pictures, export_run, write_bundle
from tumorlens.train.fit import train
from tumorlens.train.recipe import Recipe, replaced
from tumorlens.train.run import checkpoint_path, epochs_done, load_run

LOOKS: Final = (
    "balance=strata", "strip=0.15", "curve=0.4", "field=0.4", "blur=0.3", "noise=0.2",
    "border=0.1", "recolour=0.15", "turn=0.15",
)  # fmt: skip
FEW: Final = ("hide=0.12", "control=0.1", "paste=0.25", "swap=0.05", "decoy=0.08")
MORE: Final = ("none=0.4", "hide=0.12", "control=0.08", "paste=0.33", "swap=0.08", "decoy=0.05")

STAGES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("looks", ("size=128", "epochs=1", *LOOKS)),
    ("pasted", ("size=160", "epochs=4", *LOOKS, *FEW)),
    ("more", ("size=160", "epochs=8", *LOOKS, *MORE)),
    ("finer", ("size=224", "epochs=4", "learning_rate=0.0004", *LOOKS, *MORE)),
)
"""Each stage's name and settings."""


def main() -> None:
    """Train, add the constant, export in both precisions, calibrate both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_options(parser)
    parser.add_argument("--weights", type=Path, help="starting weights of the first stage")
    parser.add_argument("--run", type=Path, help="a trained run; nothing is trained then")
    parser.add_argument("--bundle", help="a bundle, whose float weights are quantised anew")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="efficientnet-lite0-evidence", help="of the bundles")
    parser.add_argument("--version", default="1", help="of the bundles")
    parser.add_argument("--network", default="efficientnet-lite0-fpn")
    parser.add_argument("--constant", type=float, help="on the evidence of every tumour")
    parser.add_argument("--precision", nargs="+", default=["float32", "int8"])
    parser.add_argument("--description", default="")
    parser.add_argument("--limitations", default="")
    given = parser.parse_args()
    if sum(x is not None for x in (given.run, given.weights, given.bundle)) != 1:
        parser.error("give --weights to train, or --run, or --bundle")
    given.out.mkdir(parents=True, exist_ok=True)
    meter = Meter()
    if given.bundle is not None:
        bare = given.out / "int8-bare"
        if not bare.is_dir():
            quantised(given, bare, meter)
        finish(bare, given.out / "int8", given, meter)
        return
    run = given.run or trained(given, meter)
    balanced = given.out / "run-balanced"
    if not balanced.is_dir():
        constant = given.constant
        if constant is None:
            plain = given.out / "plain"
            if not plain.is_dir():
                export_run(run, plain, name=given.name, precision="float32", progress=meter)
            constant = outweighing(plain, given.data)
        print(f"adding {constant:.3f} to the evidence of every tumour")
        add_evidence(run, balanced, constant)
    for precision in given.precision:
        bare = given.out / f"{precision}-bare"
        if not bare.is_dir():
            export_run(
                balanced, bare, name=given.name, precision=precision, data=given.data,
                description=given.description, progress=meter,
            )  # fmt: skip
        finish(bare, given.out / precision, given, meter)


def finish(bare: Path, done: Path, given: argparse.Namespace, progress: Progress) -> None:
    """Calibrate a bundle on the measured fold, under the looks and with CT to refuse."""
    if not done.is_dir():
        calibrate(
            bare, given.data, done, folds=(MEASURED,), looks=True, version=given.version,
            limitations=given.limitations or None, refuse=("CT",), progress=progress,
        )  # fmt: skip
    print(f"wrote {done}")


def quantised(given: argparse.Namespace, out: Path, progress: Progress) -> None:
    """Make an int8 bundle of another one's float weights, with what its card says of them."""
    bundle = open_bundle(given.bundle)
    card = bundle.card
    model = open_float_network(bundle.folder, card).model
    examples = select(given.data, test_folds=(CLOSED, MEASURED)).training
    recipe, preparation = Recipe.from_dict(card.training["recipe"]), card.input.preparation
    pictures = calibration_pictures(examples, recipe, preparation, progress)
    with new_folder(out) as folder:
        write_bundle(
            model, card.network, folder, calibration=pictures, weights=True,
            preparation=preparation, name=given.name, version=given.version,
            classes=card.classes, training=card.training,
            description=given.description or card.description,
            limitations=given.limitations or card.limitations,
        )  # fmt: skip


def trained(given: argparse.Namespace, progress: Progress) -> Path:
    """Run the stages that are not done yet."""
    outlines = outlines_of(given, given.data)
    weights, run = given.weights, given.out
    for name, settings in STAGES:
        run = given.out / name
        recipe = Recipe(network=given.network, batch=32, validation=0.0, weights=str(weights))
        train(
            replaced(recipe, settings),
            given.data,
            run,
            test_folds=(CLOSED, MEASURED),
            outlines=outlines,
            progress=progress,
        )
        weights = run / "weights.safetensors"
    return run


def outweighing(bundle: Path, data: str) -> float:
    """Find the constant that makes the measured fold's labels most probable."""
    found = run_model(load(bundle), find_cases(data, folds=(MEASURED,)))
    tumours = np.array([name != "notumor" for name in found.classes])

    def loss(parameters: NDArray[np.float64]) -> float:
        constant, slope = parameters
        logits = (found.logits + constant * tumours) * np.exp(slope)
        return float(np.mean(logsumexp(logits, axis=1) - logits[range(len(logits)), found.labels]))

    return float(minimize(loss, np.zeros(2)).x[0])


def add_evidence(run: Path, out: Path, constant: float) -> None:
    """Copy a run, with a constant on the evidence of every tumour in its last epoch."""
    with new_folder(out) as folder:
        shutil.copytree(run, folder, dirs_exist_ok=True)
        model = load_run(folder)[1]
        layer = model.get_layer("evidence")
        layer.bias.assign(layer.bias + constant)
        training_view(model).save_weights(checkpoint_path(folder, epochs_done(folder)))
        save_weights(model, folder / "weights.safetensors")


if __name__ == "__main__":
    main()
