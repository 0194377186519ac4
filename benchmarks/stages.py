"""CPU time of one thread, stage by stage, from a file to its row.

    python benchmarks/stages.py FOLDER [--model MODEL] [--count 160] [--repeats 3]

CPU time and not wall time, so that what else the machine does counts little; of the repeats the
least is printed, in ms a picture.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.archive.lanes import Place, answer_some
from tumorlens.archive.run import PORTION
from tumorlens.classifier import load
from tumorlens.files import find_files
from tumorlens.images.read import read_slices


def spent(
    work: Callable[[Any], Any], items: Sequence[Any], pictures: int, repeats: int
) -> tuple[float, list[Any]]:
    """Give CPU ms a picture, and what came out."""
    least, found = float("inf"), []
    for _ in range(repeats):
        began = time.thread_time()
        found = [work(item) for item in items]
        least = min(least, (time.thread_time() - began) / pictures * 1000)
    return least, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--model")
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    files = list(find_files([given.folder]))
    random.Random(0).shuffle(files)
    files = files[: given.count // PORTION * PORTION]
    classifier = load(given.model, threads=1)
    told: dict[str, float] = {}

    def stage(name: str, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        told[name], found = spent(work, items, len(files), given.repeats)
        return found

    def grouped(items: Sequence[Any]) -> list[Sequence[Any]]:
        return [items[i : i + PORTION] for i in range(0, len(items), PORTION)]

    stage("the file's bytes", lambda file: Path(file).read_bytes(), files)
    slices = stage("read", lambda file: read_slices(file)[0], files)
    prepared = stage("prepare", classifier.card.input.prepare, slices)
    ready = [np.stack([one.pixels for one in some]) for some in grouped(prepared)]
    stage("network", classifier.logits, ready)
    pairs = list(zip(grouped(slices), grouped(prepared), strict=True))
    rows = stage("network, novelty, calibrated", lambda x: classifier.predict_prepared(*x), pairs)
    answers = [answer for some in rows for answer in some]
    stage("row of JSON", lambda answer: json.dumps(answer.to_dict()), answers)
    places = grouped([Place(0, file) for file in files])
    stage("all of it", lambda some: answer_some(classifier, some, PORTION), places)
    print(f"{classifier.card.id}, {len(files)} files, CPU ms a picture of one thread")
    for name, milliseconds in told.items():
        print(f"{name:<30}{milliseconds:8.3f}")
    print(f"the network's share: {told['network'] / told['all of it']:.0%}")


if __name__ == "__main__":
    main()
