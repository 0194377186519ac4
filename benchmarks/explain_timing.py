"""What an explanation costs: tumorlens beside plain Keras, in one run.

    python benchmarks/explain_timing.py FOLDER [--bundle BUNDLE] [--layer NAME] [--pictures 100]

Per picture, medians, the rows taken in turn: a prediction alone; Grad-CAM and Grad-CAM++
at the last layer (ONNX Runtime); Grad-CAM at an inner layer (Keras, compiled); and
Grad-CAM by an eager gradient tape at the last layer, as a Keras user writes it, with the
same float network built once beforehand. Every row prepares the picture and ends with a
map in the picture's own size; reading files is not counted.

Then all pictures in batches, read from disk, predicted and explained, and the memory
before and after. The eager row needs the TensorFlow backend.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tumorlens
from tumorlens.files import find_files
from tumorlens.images.prepare import to_tensor
from tumorlens.images.slice import Slice
from tumorlens.models.bundle import WEIGHTS_NAME
from tumorlens.models.store import open_bundle
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import build_network
from tumorlens.networks.weights import load_weights, read_weights


def eager_gradcam(bundle: str | None) -> Callable[[Slice], Any]:
    """Grad-CAM as it stands in tutorials: a model with two outputs and a gradient tape."""
    keras = require_keras("the comparison", backend="tensorflow")
    import tensorflow as tf  # noqa: PLC0415

    opened = open_bundle(bundle)
    card = opened.card
    model = build_network(card.network, classes=len(card.classes), size=card.input.size)
    load_weights(model, read_weights(opened.folder / WEIGHTS_NAME))
    both = keras.Model(model.input, [model.get_layer(card.features.name).output, model.output])

    def explain(picture: Slice) -> Any:
        pixels = card.input.prepare(picture).pixels[None]
        tensor = to_tensor(pixels, channels=3, value_range=card.input.value_range, layout="NHWC")
        with tf.GradientTape() as tape:
            features, logits = both(tensor, training=False)
            score = logits[:, tf.argmax(logits[0])]
        weights = tf.reduce_mean(tape.gradient(score, features), axis=(0, 1, 2))
        heat = tf.nn.relu(features[0] @ weights[..., tf.newaxis])[..., 0].numpy()
        size = picture.width, picture.height
        return np.asarray(Image.fromarray(heat / max(heat.max(), 1e-9)).resize(size))

    return explain


def in_turn(
    rows: dict[str, Callable[[Slice], Any]], pictures: list[Slice], repeats: int
) -> dict[str, float]:
    """Median milliseconds of each row over all pictures, after one that does not count."""
    for run in rows.values():
        run(pictures[0])
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(repeats):
        for picture in pictures:
            for name, run in rows.items():
                start = time.perf_counter()
                run(picture)
                taken[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in taken.items()}


def seconds(results: Iterable[Any]) -> float:
    """How long it takes to go through results and keep none."""
    start = time.perf_counter()
    for _ in results:
        pass
    return time.perf_counter() - start


def megabytes() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle")
    parser.add_argument("--layer", help="an inner layer; the one halfway if not given")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--single", type=int, default=10, help="pictures taken one by one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    found = list(find_files([str(arguments.folder)]))
    files = found[:: max(1, len(found) // arguments.pictures)][: arguments.pictures]
    classifier = tumorlens.load(arguments.bundle, threads=arguments.threads)
    layer = arguments.layer or classifier.layers[len(classifier.layers) // 2]

    # The batches first, before Keras takes its memory.
    seconds(classifier.explain_batch(files))
    before = megabytes()
    pairs = [
        (seconds(classifier.predict_batch(files)), seconds(classifier.explain_batch(files)))
        for _ in range(arguments.repeats)
    ]
    after = megabytes()

    pictures = [tumorlens.read_slices(path)[0] for path in files[: arguments.single]]
    rows: dict[str, Callable[[Slice], Any]] = {
        "prediction alone": classifier.predict,
        "Grad-CAM, last layer": classifier.explain,
        "Grad-CAM++, last layer": lambda x: classifier.explain(x, method="gradcam++"),
        f"Grad-CAM, {layer}": lambda x: classifier.explain(x, layer=layer),
        "Grad-CAM, eager tape": eager_gradcam(arguments.bundle),
    }
    medians = in_turn(rows, pictures, arguments.repeats)
    card = classifier.card
    eager = medians["Grad-CAM, eager tape"]
    print(f"{card.id} ({card.network}, {card.precision}), one picture, {len(pictures)} of them")
    for name, value in medians.items():
        print(f"{name:<32}{value:9.1f} ms{eager / value:9.1f} x cheaper than the eager tape")
    predicted, explained = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{len(files)} pictures in batches, from disk to answer, median of {arguments.repeats}")
    print(f"{'predicted':<32}{predicted:9.2f} s")
    print(f"{'explained at the last layer':<32}{explained:9.2f} s{explained / predicted:9.2f} x")
    times = 2 * arguments.repeats + 1
    print(f"peak memory after one pass {before:.0f} MB, after {times} passes {after:.0f} MB")


if __name__ == "__main__":
    main()
