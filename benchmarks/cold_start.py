"""One answer from a cold start: tumorlens beside plain Keras, in one run.

    python benchmarks/cold_start.py picture.jpg --bundle BUNDLE [--repeats 3]

Every measurement is a fresh process. The Keras side does what a Keras user does: it
loads the same network from a ``.keras`` file and predicts the same picture, resized.
The network is rebuilt from the bundle's float weights. Prints wall time and peak
resident memory, medians of the repeats.
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


def measure(command: list[str], repeats: int) -> tuple[float, float]:
    """Median wall seconds and peak megabytes of a command in fresh processes."""
    seconds, megabytes = [], []
    for _ in range(repeats):
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"failed with status {status}: {' '.join(command)}")
        seconds.append(time.monotonic() - start)
        megabytes.append(usage.ru_maxrss / 1024)
    return statistics.median(seconds), statistics.median(megabytes)


def main() -> None:
    """Measure both sides and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    card = bundle.card
    with tempfile.TemporaryDirectory() as folder:
        keras_file = str(Path(folder) / "model.keras")
        weights = str(bundle.folder / "weights.safetensors")
        subprocess.run(
            [sys.executable, "-c", MAKE, card.network, str(card.input.size), weights, keras_file],
            check=True,
            capture_output=True,
        )
        tool = str(Path(sys.executable).with_name("tumorlens"))
        picture = str(arguments.picture)
        rows = {
            "tumorlens predict": [tool, "predict", picture, "--model", str(bundle.folder)],
            "plain Keras": [sys.executable, "-c", KERAS, keras_file, picture],
        }
        results = {name: measure(row, arguments.repeats) for name, row in rows.items()}
    print(f"{card.network} at {card.input.size} px, {card.precision}, one picture, cold")
    for name, (seconds, megabytes) in results.items():
        print(f"{name:<20}{seconds:8.2f} s {megabytes:8.0f} MB")
    (s, m), (ks, km) = results.values()
    print(f"{'ratio':<20}{ks / s:8.1f} x {km / m:8.1f} x")


if __name__ == "__main__":
    main()
