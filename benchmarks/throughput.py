"""Files to answers a second: tumorlens, its network alone, and plain Keras Xception, interleaved.

    python benchmarks/throughput.py [FOLDER] [--count 200] [--rounds 3] [--json FILE]

Without a folder it draws heads of 512 pixels and saves them as JPEG. Every round measures each way
once, one after the other, so that what else the machine does falls on all. Printed are the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.archive.cores import usable_cores
from tumorlens.archive.run import answer_archive
from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.files import find_files
from tumorlens.images.read import read_slices
from tumorlens.networks.keras_backend import require_keras


def draw(folder: Path, count: int) -> list[str]:
    """Draw heads into a folder."""
    for i in range(count):
        picture = Image.fromarray(draw_phantom(CLASSES[i % 4], i).pixels).resize((512, 512))
        picture.save(folder / f"{i:05d}.jpg", quality=90)
    return [str(path) for path in sorted(folder.iterdir())]


def in_lanes(work: Callable[[str], object], items: list[str]) -> None:
    """Do something for each file, in as many threads as there are cores."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(work, items))


def archive(classifier: Classifier, files: list[str]) -> None:
    """Turn files into a table, as `tumorlens predict --out`."""
    with tempfile.TemporaryDirectory() as folder:
        answer_archive(classifier, files, Path(folder, "out.csv"), lanes=usable_cores())


def network(classifier: Classifier, tensors: list[np.ndarray], files: list[str]) -> None:
    """Run the network alone, on tensors that are ready, in the same lanes."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(classifier.logits, [tensors[i % len(tensors)] for i in range(len(files))]))


def keras_way(model: object, files: list[str]) -> None:
    """Read, resize and predict one picture after the other, as the reference project does."""
    for file in files[: max(1, len(files) // 10)]:  # it is slow
        picture = Image.open(file).convert("RGB").resize((299, 299))
        model.predict(np.asarray(picture, "float32")[None] / 255, verbose=0)  # type: ignore[attr-defined]


def main() -> None:
    """Measure all ways and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as drawn:
        given = (
            find_files([arguments.folder])
            if arguments.folder
            else draw(Path(drawn), arguments.count)
        )
        files = list(given)[: arguments.count]
        classifier = load(threads=1)
        prepare = classifier.card.input.prepare
        ready = [prepare(read_slices(file)[0]).pixels[None] for file in files[:32]]
        xception = require_keras("the benchmark").applications.Xception(weights=None, classes=4)
        slices = {file: read_slices(file)[0] for file in files[:64]}
        ways: dict[str, tuple[Callable[[], object], int]] = {
            "files to answers": (partial(archive, classifier, files), len(files)),
            "network alone": (partial(network, classifier, ready, files), len(files)),
            "reading alone": (partial(in_lanes, read_slices, files), len(files)),
            "preparing alone": (
                partial(in_lanes, lambda file: prepare(slices[file]), list(slices)),
                len(slices),
            ),
            "plain Keras Xception": (partial(keras_way, xception, files), max(1, len(files) // 10)),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, (way, count) in ways.items():
                began = time.perf_counter()
                way()
                rates[name].append(count / (time.perf_counter() - began))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{classifier.card.id}, {len(files)} files, {usable_cores()} cores, files a second")
    for name, rate in medians.items():
        print(f"{name:<22}{rate:9.1f}   {' '.join(f'{x:.1f}' for x in rates[name])}")
    whole = medians["files to answers"]
    print(f"of the network's own rate: {whole / medians['network alone']:.0%}")
    print(f"beside plain Keras: {whole / medians['plain Keras Xception']:.1f} x")
    if arguments.json:
        told = {"model": classifier.card.id, "files": len(files), "cores": usable_cores()}
        arguments.json.write_text(json.dumps({**told, "rates": rates}, indent=1) + "\n")


if __name__ == "__main__":
    main()
