"""One answer from a cold start: tumorlens, plain Keras and detect-tumor, in one run.

    python benchmarks/cold_start.py picture.jpg [--bundle BUNDLE] [--repeats 3] [--environments DIR]

Every measurement is a fresh process. The Keras side does what a Keras user does: it
loads the same network from a ``.keras`` file and predicts the same picture, resized.
The network is rebuilt from the bundle's float weights. Plain Keras Xception is what the reference
project loads. detect-tumor 0.1.1 of PyPI gets a virtual environment below `--environments`, and is
left out without. All take turns. Prints wall time and peak resident memory, medians of the repeats.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from throughput import QUIET, environment

from tumorlens.models.store import open_bundle

MAKE = """
import sys
from tumorlens.networks.network import build_network
from tumorlens.networks.weights import load_weights, read_weights
network, size, weights, out = sys.argv[1:]
model = build_network(network, size=int(size))
load_weights(model, read_weights(weights))
model.save(out)
"""

KERAS = """
import sys
import keras, numpy as np
from PIL import Image
model = keras.models.load_model(sys.argv[1])
size = model.input.shape[1]
picture = np.asarray(Image.open(sys.argv[2]).convert("RGB").resize((size, size)), "float32")
print(model.predict(picture[None] / 255, verbose=0))
"""


XCEPTION = """
import sys
import keras
keras.applications.Xception(weights=None, classes=4).save(sys.argv[1])
"""

DETECT_TUMOR = """
import sys
from detect_tumor import TumorDetector
print(TumorDetector().predict(sys.argv[1]))
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak megabytes of a command in a fresh process."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=QUIET
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed with status {status}: {' '.join(command)}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def commands(given: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """Prepare the Keras files, and give how each way answers for the picture."""
    bundle = open_bundle(given.bundle)
    card = bundle.card
    same, xception = str(folder / "model.keras"), str(folder / "xception.keras")
    weights = str(bundle.folder / "weights.safetensors")
    for code, options in (
        (MAKE, [card.network, str(card.input.size), weights, same]),
        (XCEPTION, [xception]),
    ):
        subprocess.run([sys.executable, "-c", code, *options], check=True, capture_output=True)
    tumorlens = [sys.executable, "-m", "tumorlens", "predict"]
    picture = str(given.picture)
    found = {
        "tumorlens predict": [*tumorlens, picture, "--model", str(bundle.folder)],
        "its network in Keras": [sys.executable, "-c", KERAS, same, picture],
        "plain Keras Xception": [sys.executable, "-c", KERAS, xception, picture],
    }
    python = given.environments and environment(given.environments.absolute(), "detect-tumor")
    if python:
        found["detect-tumor 0.1.1"] = [python, "-c", DETECT_TUMOR, picture]
    print(f"{card.network} at {card.input.size} px, {card.precision}, one picture, cold")
    return found


def main() -> None:
    """Measure all ways in turn and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--bundle")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--environments", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = commands(given, Path(folder))
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(given.repeats):
            for name, command in ways.items():
                taken[name].append(measure(command))
    own: tuple[float, float] | None = None
    for name, pairs in taken.items():
        seconds, megabytes = (statistics.median(values) for values in zip(*pairs, strict=True))
        own = own or (seconds, megabytes)
        beside = f"{seconds / own[0]:8.1f} x {megabytes / own[1]:8.1f} x"
        print(f"{name:<22}{seconds:8.2f} s {megabytes:8.0f} MB {beside}")


if __name__ == "__main__":
    main()
