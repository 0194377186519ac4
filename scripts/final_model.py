r"""Train, export and calibrate the network that ships, with the recipe that was chosen.

    python scripts/final_model.py --data manifest.csv --root DATA --masks MASKS \
        --table TABLE.csv --mask-column slice --out final \
        --member campaign/groups/weights.safetensors 11 0 \
        --member campaign/evidence/weights.safetensors 6 2 --join campaign/evidence

Each member is the same recipe from other starting weights and another seed, for so many
epochs; `--join` adds a run that is there. Joined, they answer from the mean of their evidence.

Half of the patients of fold 1, by which `campaign.py` chose the recipe, train together
with folds 2 to 4. The other half are no network's: they set how much evidence outweighs
none, the temperature, the thresholds of the prediction sets and the limit of novelty.
Fold 0 stays closed; it is opened once, by `tumorlens evaluate --fold 0` and `tumorlens
localise --fold 0`.

How much evidence outweighs none: painted-over tumours are taught as "no tumour", so there
is more of that in training than among real slices, and the network says it too often. One
constant on the evidence of every tumour, found together with a temperature by maximum
likelihood, takes that back: the bias of bias-corrected temperature scaling (A. Alexandari,
A. Kundaje and A. Shrikumar, "Maximum likelihood with bias-corrected calibration is
hard-to-beat at label shift adaptation", ICML 2020), the same for all tumours.

Stop it whenever you like; the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from campaign import CLOSED, MEASURED, STEPS, add_data_options, outlines_of, tries
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from tumorlens.apps.cli.meter import Meter
from tumorlens.classifier import load
from tumorlens.data.manifest import Manifest, read_manifest, write_manifest
from tumorlens.data.split import split_manifest
from tumorlens.evaluate.calibrate import calibrate
from tumorlens.evaluate.cases import find_cases
from tumorlens.evaluate.run import run_model
from tumorlens.files import new_folder
from tumorlens.networks.members import join_members
from tumorlens.networks.network import build_network, training_view
from tumorlens.networks.weights import save_weights
from tumorlens.progress import Progress
from tumorlens.train.export import export_run
from tumorlens.train.fit import train
from tumorlens.train.recipe import replaced
from tumorlens.train.run import checkpoint_path, epochs_done, load_run, read_note

CALIBRATES: Final = 5
"""The fold that half of the measured one becomes."""

JOINED: Final = {1: "mobilenetv2-fpn", 3: "mobilenetv2-fpn-x3"}
"""The network of so many members."""


def main() -> None:
    """Part the fold, train, export in both precisions, calibrate both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_options(parser)
    parser.add_argument(
        "--member", required=True, nargs=3, action="append", metavar=("WEIGHTS", "EPOCHS", "SEED")
    )
    parser.add_argument("--join", type=Path, action="append", default=[], metavar="RUN")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--name", default="mobilenetv2-evidence", help="of the bundles")
    parser.add_argument("--version", default="2", help="of the bundles")
    parser.add_argument("--like", default="groups", choices=[name for name, _ in STEPS])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--set", nargs="*", default=[], help="more of the recipe: NAME=VALUE")
    parser.add_argument("--description", default="")
    parser.add_argument("--limitations", default="")
    given = parser.parse_args()
    if len(given.member) + len(given.join) not in JOINED:
        parser.error(f"give {' or '.join(map(str, JOINED))} members in all")
    data = given.out / "folds.csv"
    if not data.is_file():
        given.out.mkdir(parents=True, exist_ok=True)
        write_manifest(halved(read_manifest(given.data)), data)
    meter = Meter()
    run = trained(given, data, meter)
    plain = given.out / "plain"
    if not plain.is_dir():
        export_run(run, plain, name=given.name, precision="float32", progress=meter)
    balanced = given.out / "run-balanced"
    if not balanced.is_dir():
        constant = outweighing(plain, data)
        print(f"adding {constant:.3f} to the evidence of every tumour")
        add_evidence(run, balanced, constant)
    for precision in ("float32", "int8"):
        bare, done = given.out / f"{precision}-bare", given.out / precision
        if not bare.is_dir():
            export_run(
                balanced, bare, name=given.name, precision=precision,
                description=given.description, progress=meter,
            )  # fmt: skip
        if not done.is_dir():
            calibrate(
                bare, data, done, folds=(CALIBRATES,), version=given.version,
                limitations=given.limitations or None, progress=meter,
            )  # fmt: skip
        print(f"wrote {done}")


def trained(given: argparse.Namespace, data: Path, progress: Progress) -> Path:
    """Train every member, and join them where there are several."""
    outlines = outlines_of(given, data)
    runs = []
    for weights, epochs, seed in given.member:
        start = argparse.Namespace(**{**vars(given), "weights": weights, "epochs": int(epochs)})
        run = train(
            replaced(dict(tries(start))[given.like], [*given.set, f"seed={seed}"]),
            data,
            given.out / f"member-{seed}",
            test_folds=(CLOSED, CALIBRATES),
            outlines=outlines,
            progress=progress,
        )
        runs.append(run)
    runs += given.join
    if len(runs) == 1:
        return runs[0]
    joined = given.out / "run-joined"
    if not joined.is_dir():
        join_runs(runs, joined, JOINED[len(runs)])
    return joined


def join_runs(runs: Sequence[Path], out: Path, network: str) -> None:
    """Write the joint network of several runs as if it were the first one's last epoch."""
    loaded = [load_run(run) for run in runs]
    recipe = dataclasses.replace(loaded[0][0], network=network)
    members, models = [], []
    for run, (own, model) in zip(runs, loaded, strict=True):
        told = {"seed": own.seed, "epochs": own.epochs, "size": own.size, "balance": own.balance}
        told |= {"hide": own.outlines.hide, "control": own.outlines.control}
        members.append({**told, "weights_sha256": read_note(run)["weights_sha256"]})
        # Convolutions take any size.
        models.append(build_network(own.network, size=recipe.size))
        models[-1].set_weights(model.get_weights())
    model = join_members(models, network)
    with new_folder(out) as folder:
        shutil.copy(runs[0] / "log.csv", folder)
        note = {**read_note(runs[0]), "members": members}
        (folder / "run.json").write_text(json.dumps(note, indent=2) + "\n")
        (folder / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=2) + "\n")
        path = checkpoint_path(folder, recipe.epochs)
        path.parent.mkdir()
        training_view(model).save_weights(path)
        save_weights(model, folder / "weights.safetensors")


def outweighing(bundle: Path, data: Path) -> float:
    """Find the constant that makes the calibrating fold's labels most probable."""
    classifier = load(bundle)
    found = run_model(classifier, find_cases(data, folds=(CALIBRATES,)))
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


def halved(manifest: Manifest) -> Manifest:
    """Give half of the measured fold's groups of every class a fold of their own."""
    entries = [entry for entry in manifest.entries if entry.fold == MEASURED]
    halves = split_manifest(Manifest(tuple(entries), manifest.root), folds=2)
    off = {entry.path for entry in halves.entries if entry.fold == 1}
    folds = [CALIBRATES if e.path in off else e.fold for e in manifest.entries]
    parted = [
        dataclasses.replace(entry, fold=fold)
        for entry, fold in zip(manifest.entries, folds, strict=True)
    ]
    return dataclasses.replace(manifest, entries=tuple(parted))


if __name__ == "__main__":
    main()
