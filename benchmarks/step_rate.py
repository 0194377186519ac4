"""Is the network ever kept waiting? Training steps fed in three ways, in one run.

    python benchmarks/step_rate.py DATA/Training --network xception --size 299 --batch 16

``ready`` feeds the same ready-made tensors again and again: the network's own speed.
``tumorlens`` feeds pictures held in memory, each batch varied anew. ``generator`` is
what a plain Keras script does: `ImageDataGenerator.flow_from_directory` with the
reference project's ranges, which decodes and moves every picture with SciPy.
The three take turns, so that a busy moment of the machine hits all of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.data.folder import CLASSES, find_examples
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import NETWORKS, build_network
from tumorlens.train.batches import varied_batches
from tumorlens.train.pictures import load_pictures
from tumorlens.train.recipe import RECIPES, Recipe


def main() -> None:
    """Time the three and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="folder of class folders")
    parser.add_argument("--network", default="xception", choices=sorted(NETWORKS))
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8, help="steps a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=400, help="how many to hold in memory")
    parser.add_argument("--backend", default=None)
    given = parser.parse_args()

    keras = require_keras("the benchmark", backend=given.backend)
    recipe = Recipe(network=given.network, size=given.size, batch=given.batch)
    feeds = {
        "ready": _ready(recipe),
        "tumorlens": _ours(recipe, given.folder, given.pictures),
        "generator": _generator(recipe, given.folder),
    }
    model = build_network(recipe.network, classes=len(CLASSES), size=recipe.size)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
    )
    for feed in feeds.values():  # compiled once, every pipeline warm
        model.fit(feed(2), epochs=1, verbose=0)
    rates: dict[str, list[float]] = {name: [] for name in feeds}
    for _ in range(given.turns):
        for name, feed in feeds.items():
            batches = feed(given.steps)
            start = time.perf_counter()
            model.fit(batches, epochs=1, verbose=0, shuffle=False)
            rates[name].append(given.steps * given.batch / (time.perf_counter() - start))
    print(
        f"{recipe.network}, {recipe.size} px, batch {recipe.batch}, {keras.config.backend()}: "
        f"median of {given.turns} turns of {given.steps} steps"
    )
    for name, found in rates.items():
        ratio = statistics.median(
            one / base for one, base in zip(found, rates["ready"], strict=True)
        )
        print(f"{name:>10}  {statistics.median(found):6.1f} pictures/s  {ratio:.3f} of ready")


Feed = Callable[[int], Any]


def _ready(recipe: Recipe) -> Feed:
    keras = require_keras("the benchmark")
    tensor = keras.ops.convert_to_tensor(
        np.random.default_rng(0).random((recipe.batch, recipe.size, recipe.size, 3), np.float32)
    )
    labels = np.arange(recipe.batch) % len(CLASSES)
    return lambda steps: _dataset(lambda _: (tensor, labels), steps)


def _ours(recipe: Recipe, folder: str, count: int) -> Feed:
    examples = find_examples(folder)
    chosen = [examples[i] for i in np.random.default_rng(0).permutation(len(examples))[:count]]
    pictures = load_pictures(chosen, recipe.size)
    batches = varied_batches(recipe, pictures, build_network(recipe.network, size=recipe.size))
    return lambda steps: _dataset(lambda step: batches[step % (len(batches) - 1)], steps)


def _generator(recipe: Recipe, folder: str) -> Feed:
    # Where Keras 3 keeps what it calls legacy and most scripts still use.
    from keras.src.legacy.preprocessing.image import ImageDataGenerator  # noqa: PLC0415

    moves = RECIPES["reference"].augmentation
    flow = ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=moves.rotation,
        width_shift_range=moves.shift,
        height_shift_range=moves.shift,
        shear_range=moves.shear,
        zoom_range=moves.zoom,
        horizontal_flip=moves.flip,
        brightness_range=moves.brightness,
        fill_mode="nearest",
    ).flow_from_directory(
        str(Path(folder)),
        target_size=(recipe.size, recipe.size),
        batch_size=recipe.batch,
        class_mode="sparse",
        seed=0,
    )
    return lambda steps: _dataset(lambda step: flow[step % (len(flow) - 1)], steps)


def _dataset(make: Callable[[int], Any], steps: int) -> Any:
    """Serve batches the way training does: one worker, a short queue."""
    keras = require_keras("the benchmark")

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return steps

        def __getitem__(self, step: int) -> Any:
            return make(step)

        def __iter__(self) -> Iterator[Any]:
            return (self[i] for i in range(steps))

    return Batches(workers=1, max_queue_size=4)


if __name__ == "__main__":
    main()
