"""Which epoch of a run to take: every checkpoint on pictures that did not train it.

As the reference project compares: a run that validated on half of its test pictures
is compared on the other half, varied like training pictures, and, so that the effect
of that can be seen, as they are. A run that held out training pictures is compared on
those: its test pictures stay closed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES, Example
from tumorlens.data.published import TEST_FOLD
from tumorlens.data.split import select
from tumorlens.errors import DataError, RunError
from tumorlens.extras import require
from tumorlens.files import write_whole
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import NETWORKS, build_network
from tumorlens.progress import Progress, silent
from tumorlens.train.augment import augment
from tumorlens.train.batches import as_tensors
from tumorlens.train.pictures import hash_files, held_out, load_pictures
from tumorlens.train.recipe import Recipe
from tumorlens.train.run import (
    checkpoint_path,
    epochs_done,
    load_checkpoint,
    preparation_of,
    read_log,
    read_note,
    read_recipe,
)
from tumorlens.trust.prediction_set import softmax

__all__ = ["Comparison", "compare_epochs"]

_CHUNK: Final = 512
"""Pictures in memory at a time, so that a set of any size can be compared on."""

_CACHE: Final = "comparison.json"

Scores = dict[str, float]
"""Accuracy, precision and recall (means over the classes), loss and MCC."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every epoch of a run beside the others.

    Parameters
    ----------
    network
        Which network.
    pictures
        What was compared on, in words, with its number of pictures.
    leaky
        Whether patients of these pictures are, or may be, in training.
    epochs
        One dictionary an epoch, from the first: ``epoch``, and by part (``training``,
        ``validation``, ``varied``, ``plain``) the scores there are.
    best
        The epochs worth keeping, by name.
    """

    network: str
    pictures: str
    leaky: bool
    epochs: tuple[dict[str, Any], ...]
    best: dict[str, int]

    def to_csv(self) -> str:
        """Give one row an epoch; columns such as ``varied_accuracy``."""
        rows = [
            {"epoch": row["epoch"]}
            | {f"{part}_{k}": f"{v:.6g}" for part in _PARTS for k, v in row.get(part, {}).items()}
            for row in self.epochs
        ]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(k for row in rows for k in row)))
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().replace("\r\n", "\n")

    def to_json(self) -> str:
        """Give everything as JSON."""
        values = {
            "network": self.network,
            "pictures": self.pictures,
            "leaky": self.leaky,
            "best": self.best,
            "epochs": list(self.epochs),
        }
        return json.dumps(values, indent=2) + "\n"


_PARTS: Final = ("training", "validation", "varied", "plain")


def compare_epochs(
    run: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    external: Sequence[Example] = (),
    progress: Progress = silent,
) -> Comparison:
    """Score the checkpoint of every finished epoch.

    What is scored already is kept in the run folder, so that a comparison can be
    interrupted, or repeated after more epochs.

    Parameters
    ----------
    run
        A run folder.
    data
        What the run was trained on, when it has moved.
    external
        Pictures of another data set to compare on instead.
    progress
        Told of pictures scored.

    Returns
    -------
    Comparison
        ``best`` names ``best-loss`` (lowest loss on the varied pictures),
        ``best-validation`` (highest validation accuracy) and ``best-comparison``, or
        ``best-external`` (highest MCC on the varied pictures). Of equals the one
        with the lower loss there, then the earlier.

    Raises
    ------
    RunError, DataError
        When there is nothing to compare, or the data is not as it should be.
    """
    folder = Path(run)
    recipe, note = read_recipe(folder), read_note(folder)
    done = epochs_done(folder)
    if not done:
        raise RunError(f"{folder} has no finished epoch to compare; train on first")
    if external:
        examples, what, leaky = list(external), "external pictures", False
    else:
        examples, what, leaky = _comparison_pictures(recipe, note, data)
    scores = _score_all(folder, recipe, done, examples, progress)
    logged = read_log(folder)
    rows = tuple({**logged[i], **scores[i]} for i in range(done))
    return Comparison(
        network=recipe.network,
        pictures=f"{len(examples)} {what}",
        leaky=leaky,
        epochs=rows,
        best=_best(rows, "best-external" if external else "best-comparison"),
    )


def _comparison_pictures(
    recipe: Recipe, note: dict[str, Any], data: str | os.PathLike[str] | None
) -> tuple[list[Example], str, bool]:
    """Name the pictures by which epochs may be compared."""
    chosen = select(
        data if data is not None else note["data"],
        test_folds=note.get("selection", {}).get("test_folds", (TEST_FOLD,)),
        allow_leaks=True,  # refused or allowed when it was trained; here it is only told
    )
    leaky = bool(note.get("leaky")) or chosen.leaky
    if recipe.validate_on == "testing":
        rest, _ = held_out(chosen.testing, recipe.validation, recipe.seed)
        what = "test pictures that did not validate"
    else:
        _, rest = held_out(chosen.training, recipe.validation, recipe.seed)
        what = "pictures held out of training, which also validated"
    if not rest:
        raise DataError("the run held no pictures out that its epochs could be compared on")
    return rest, what, leaky


def _score_all(
    run: Path, recipe: Recipe, done: int, examples: Sequence[Example], progress: Progress
) -> list[dict[str, Scores]]:
    """Score all epochs, those apart that an earlier comparison on the same pictures scored."""
    key = hashlib.sha256((hash_files(examples) + json.dumps(recipe.to_dict())).encode()).hexdigest()
    cache = run / _CACHE
    known: dict[str, Any] = _read_cache(cache, key)
    missing = [epoch for epoch in range(1, done + 1) if str(epoch) not in known]
    model = None
    for i, epoch in enumerate(missing):
        model = model or build_network(recipe.network, classes=len(CLASSES), size=recipe.size)
        load_checkpoint(model, checkpoint_path(run, epoch))

        def tell(n: int, before: int = i * len(examples), note: str = f"epoch {epoch}") -> None:
            progress("comparing", before + n, len(missing) * len(examples), note)

        labels, varied, plain = _predict(model, recipe, preparation_of(run), examples, tell)
        known[str(epoch)] = {"varied": _scores(labels, varied), "plain": _scores(labels, plain)}
        write_whole(cache, json.dumps({"key": key, "epochs": known}, indent=2) + "\n")
    return [known[str(epoch)] for epoch in range(1, done + 1)]


def _read_cache(path: Path, key: str) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text())
        return dict(held["epochs"]) if held["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # it only saves time


def _predict(
    model: Any,
    recipe: Recipe,
    preparation: str,
    examples: Sequence[Example],
    tell: Callable[[int], None],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Give labels, and probabilities of the pictures varied and as they are."""
    keras = require_keras("comparing epochs")
    low, high = NETWORKS[recipe.network].value_range
    labels: list[NDArray[np.int64]] = []
    varied: list[NDArray[np.float64]] = []
    plain: list[NDArray[np.float64]] = []
    for number, chunk in _chunks(examples):
        pictures = load_pictures(chunk, recipe.size, preparation=preparation)
        labels.append(pictures.labels)
        random = np.random.default_rng((recipe.seed, 6, number))  # the same for every epoch
        grey, _ = augment(pictures.pixels, random, recipe.augmentation)
        moved = keras.ops.repeat(grey * (high - low) + low, 3, axis=-1)
        for tensor, kept in ((moved, varied), (as_tensors(pictures.pixels, recipe.network), plain)):
            logits = model.predict(tensor, batch_size=recipe.batch, verbose=0)
            kept.append(softmax(np.asarray(logits), 1.0))
        tell(number * _CHUNK + len(chunk))
    return np.concatenate(labels), np.concatenate(varied), np.concatenate(plain)


def _chunks(examples: Sequence[Example]) -> Iterator[tuple[int, Sequence[Example]]]:
    for number, start in enumerate(range(0, len(examples), _CHUNK)):
        yield number, examples[start : start + _CHUNK]


def _scores(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Scores:
    metrics: Any = require("sklearn.metrics", "comparing epochs", "data")  # seconds
    guesses = probabilities.argmax(axis=1)
    known = list(range(len(CLASSES)))
    precision, recall, _, _ = metrics.precision_recall_fscore_support(
        labels, guesses, labels=known, average="macro", zero_division=0.0
    )
    return {
        "accuracy": float((guesses == labels).mean()),
        "precision": float(precision),
        "recall": float(recall),
        "loss": float(metrics.log_loss(labels, probabilities, labels=known)),
        "mcc": float(metrics.matthews_corrcoef(labels, guesses)),
    }


def _best(rows: Sequence[dict[str, Any]], last: str) -> dict[str, int]:
    """Name the epochs worth keeping; `min` takes the earlier of equals."""
    best = {"best-loss": min(rows, key=lambda row: row["varied"]["loss"])}
    if all("validation" in row for row in rows):
        best["best-validation"] = min(
            rows, key=lambda row: (-row["validation"]["accuracy"], row["validation"]["loss"])
        )
    best[last] = min(rows, key=lambda row: (-row["varied"]["mcc"], row["varied"]["loss"]))
    return {name: int(row["epoch"]) for name, row in best.items()}
