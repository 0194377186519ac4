"""The demonstration: a real MR slice, found in an installed package, answered and explained."""

from __future__ import annotations

import gzip
import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorlens.errors import MissingExtraError
from tumorlens.explain.batch import free_folder
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = ["demo_slice", "run_demo"]

_SIDE = 256


def demo_slice() -> Slice:
    """Read the MR slice that Matplotlib carries among its sample data.

    Matplotlib itself is not imported.

    Returns
    -------
    Slice
        A healthy head, 256 × 256, from 16 bits.

    Raises
    ------
    MissingExtraError
        When Matplotlib, or its sample data, is not installed.
    """
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise MissingExtraError("the demonstration", "demo")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "s1045.ima.gz"
    if not path.is_file():
        raise MissingExtraError("the demonstration", "demo")
    with gzip.open(path) as file:
        pixels = np.frombuffer(file.read(), dtype="<u2").reshape(_SIDE, _SIDE)
    return replace(read_slices(pixels)[0], path=str(path))


def run_demo(classifier: Classifier, out: str | os.PathLike[str]) -> str:
    """Classify and explain the slice, save the record, say what came out and what is next.

    Raises
    ------
    OutputError
        When the record cannot be written.
    """
    picture = demo_slice()
    explanation = classifier.explain(picture)
    folder = explanation.save(free_folder(Path(out), "s1045"))
    answer = explanation.prediction
    rows = [f"  {name:<12}{value:7.1%}" for name, value in answer.probabilities.items()]
    return "\n".join(
        [
            f"A real MR slice of a healthy head: {picture.path}",
            f"{answer.model} says: {answer.label}, {answer.confidence:.1%}",
            *rows,
            f"What the answer rests on: {folder / 'overlay.png'}",
            "",
            "Next, with pictures of your own:",
            "  tumorlens predict PATH... --json      classify files and folders",
            "  tumorlens explain PATH... --out DIR   see why",
            "  tumorlens info                        how far to trust the model",
            "Research use only: not a medical device.",
        ]
    )
