"""Compare the answers of Keras and ONNX Runtime on the same pictures.

python benchmarks/same_answers.py RUN BUNDLE DATA/Testing [--count 200]
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np

from tumorlens.data.folder import find_examples
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.train.batches import as_tensors
from tumorlens.train.pictures import load_pictures
from tumorlens.train.run import load_run


def main() -> None:
    """Compare the logits of a run's last epoch with those of its bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    recipe, model = load_run(arguments.run)
    examples = random.Random(0).sample(find_examples(arguments.folder), arguments.count)
    pixels = load_pictures(examples, recipe.size).pixels
    keras = model.predict(as_tensors(pixels, recipe.network), verbose=0)
    session = Session(open_bundle(arguments.bundle))
    onnx = session.logits(pixels.astype(np.float32) / np.float32(255))
    same = (keras.argmax(axis=1) == onnx.argmax(axis=1)).mean()
    print(
        f"{recipe.network}, {len(pixels)} pictures: logits differ by at most "
        f"{np.abs(keras - onnx).max():.1e}, labels equal on {same:.4f}"
    )


if __name__ == "__main__":
    main()
