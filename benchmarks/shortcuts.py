"""What a forest learns without looking at the brain: the file, a plain resize, our preparation.

    python benchmarks/shortcuts.py DATA/Training [--groups GROUPS.csv]

A random forest sees only the numbers named in each row, under 5-fold cross-validation. With
``--groups`` (columns ``image``, ``patient``; image paths end like the files' paths) no
patient is on both sides. Needs scikit-learn, which the extra ``data`` brings.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from tumorlens.data.folder import find_examples
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices

SIZE = 224


def mean_and_border(pixels: np.ndarray) -> list[float]:
    """Mean of the picture and of a twentieth of it along each side."""
    height, width = pixels.shape
    rim = max(1, min(height, width) // 20)
    sides = (pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:])
    return [float(part.mean()) for part in (pixels, *sides)]


def measure(path: Path) -> tuple[list[float], list[float], list[float]]:
    """Give the numbers of the file, of a plain resize and of the prepared picture."""
    picture = read_slices(path)[0]
    with Image.open(path) as image:
        header = [image.width, image.height, len(image.getbands()), path.stat().st_size]
    grey = picture.pixels.astype(np.float32)
    plain = np.asarray(Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return (
        [*header, *mean_and_border(grey)],
        mean_and_border(plain),
        mean_and_border(prepare(picture, SIZE).pixels),
    )


def main() -> None:
    """Measure all pictures, train the forests, print their accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--groups", type=Path)
    arguments = parser.parse_args()
    examples = find_examples(arguments.folder)
    patients: dict[str, str] = {}
    if arguments.groups:
        with arguments.groups.open(newline="") as file:
            patients = {Path(row["image"]).name: row["patient"] for row in csv.DictReader(file)}
    groups = [patients.get(e.path.name, str(e.path)) for e in examples]
    labels = np.array([e.label for e in examples])
    rows = zip(*(measure(e.path) for e in examples), strict=True)
    names = (
        "file: size, mode, bytes, mean, border",
        "resized: mean, border",
        "prepared: mean, border",
    )
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    print(f"{'the forest sees':<40}{'4 classes':>12}{'tumour or none':>18}")
    for name, row in zip(names, rows, strict=True):
        scores = [
            cross_val_score(
                RandomForestClassifier(200, random_state=0),
                np.array(row),
                truth,
                groups=groups,
                cv=folds,
            ).mean()
            for truth in (labels, labels == "notumor")
        ]
        print(f"{name:<40}{scores[0]:>12.3f}{scores[1]:>18.3f}", flush=True)


if __name__ == "__main__":
    main()
