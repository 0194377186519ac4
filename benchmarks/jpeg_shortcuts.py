"""What a JPEG decoder could leave out, and what that would do to answers.

    python benchmarks/jpeg_shortcuts.py FOLDER [--model MODEL] [--count 300]

Two shortcuts of libjpeg, each beside decoding all of the picture: leaving the colour out (the
answer then is of its luma), and decoding at half the size, by dropping DCT coefficients. Of each
are printed CPU time a picture, how many pictures change by a grey value, and how far probabilities
move. Files of the closed test fold are passed over where the published manifest knows them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.classifier import Classifier, load
from tumorlens.data.published import TEST_FOLD, published
from tumorlens.files import find_files
from tumorlens.images.grey import grey_pixels
from tumorlens.images.slice import Slice


def decoded(data: bytes, mode: str | None, divisor: int) -> Slice:
    """Decode a JPEG, with or without a shortcut."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        if mode or divisor > 1:
            picture.draft(mode, (picture.width // divisor, picture.height // divisor))
        return Slice(grey_pixels(picture), (0.0, 255.0))


def answers(classifier: Classifier, slices: list[Slice]) -> np.ndarray:
    """Give the probabilities of slices, a row each."""
    rows = classifier.predict_batch(slices)
    return np.array([list(row.probabilities.values()) for row in rows])


def tell(
    name: str, classifier: Classifier, contents: list[bytes], way: Callable[[bytes], Slice]
) -> None:
    """Measure one shortcut beside the whole way, and print a line."""
    slices, spent = {}, {}
    for which, decode in (("whole", lambda data: decoded(data, None, 1)), ("short", way)):
        began = time.thread_time()
        slices[which] = [decode(data) for data in contents]
        spent[which] = (time.thread_time() - began) / len(contents) * 1000
    pairs = list(zip(slices["whole"], slices["short"], strict=True))
    same = sum(a.pixels.shape == b.pixels.shape for a, b in pairs) == len(pairs)
    changed = [(a.pixels != b.pixels).any() for a, b in pairs] if same else [True] * len(pairs)
    before, after = (answers(classifier, slices[which]) for which in ("whole", "short"))
    moved = np.abs(before - after).max(axis=1)
    labels = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
    print(
        f"{name}: {len(pairs)} pictures, CPU {spent['whole']:.2f} -> {spent['short']:.2f} ms, "
        f"{sum(changed)} change, probabilities move by {moved.mean():.4f} in the mean, "
        f"{np.quantile(moved, 0.95):.4f} at 95 %, {moved.max():.4f} at most, {labels} other labels"
    )


def main() -> None:
    """Choose files and measure both shortcuts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--model")
    parser.add_argument("--count", type=int, default=300)
    arguments = parser.parse_args()
    files = list(find_files([arguments.folder]))
    random.Random(0).shuffle(files)
    colour: list[bytes] = []
    large: list[bytes] = []
    for file in files:
        data = Path(file).read_bytes()
        known = published().get(hashlib.sha256(data).hexdigest())
        if (known is not None and known.fold == TEST_FOLD) or not data.startswith(b"\xff\xd8"):
            continue
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            if picture.mode == "RGB" and len(colour) < arguments.count:
                colour.append(data)
            if min(picture.size) >= 512 and len(large) < arguments.count:
                large.append(data)
    classifier = load(arguments.model, threads=1)
    classifier.predict(decoded(colour[0], None, 1))  # warm
    tell("without colour", classifier, colour, lambda data: decoded(data, "L", 1))
    tell("at half the size", classifier, large, lambda data: decoded(data, None, 2))


if __name__ == "__main__":
    main()
