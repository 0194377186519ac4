"""The run folder: what a training writes down, so that it survives interruption.

It holds::

    recipe.json          what was asked for
    run.json             what it ran on: versions, data hashes, counts
    log.csv              one row an epoch
    tensorboard/         the same as event files, where TensorBoard is installed
    checkpoints/         epoch_001.weights.h5 … with the optimiser's state
    weights.safetensors  the float weights, written when the last epoch is done
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from tumorlens.data.folder import CLASSES
from tumorlens.data.split import Selection
from tumorlens.errors import OutputError, RunError
from tumorlens.files import write_whole
from tumorlens.images.prepare import PREPARATION
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import build_network, feature_layer, training_view
from tumorlens.networks.weights import read_weights
from tumorlens.train.pictures import Pictures
from tumorlens.train.recipe import Recipe
from tumorlens.versions import versions_of

__all__ = [
    "append_row",
    "begin_run",
    "check_data",
    "check_folder",
    "checkpoint_path",
    "epochs_done",
    "load_checkpoint",
    "load_run",
    "lost",
    "preparation_of",
    "read_log",
    "read_note",
    "read_recipe",
    "room_for",
    "save_checkpoint",
]

_ENTRY: Final = 4096  # bytes that HDF5 adds for each array, at most
_SPARE: Final = 2**16  # and for the file, the log and TensorBoard's


def load_run(run: str | os.PathLike[str], epoch: int | None = None) -> tuple[Recipe, Any]:
    """Load the recipe and the network of a run.

    Parameters
    ----------
    run
        A run folder.
    epoch
        Which epoch's weights, from 1; the last whole one when ``None``.

    Returns
    -------
    tuple
        The `Recipe` and the `keras.Model`, in float32.

    Raises
    ------
    RunError
        When the folder is no run, or the epoch was never finished.
    """
    folder = Path(run)
    recipe = read_recipe(folder)
    done = epochs_done(folder)
    wanted = done if epoch is None else epoch
    if not 1 <= wanted <= done:
        raise RunError(f"{folder} has {done} finished epochs; there is no epoch {wanted}")
    model = build_network(recipe.network, classes=len(CLASSES), size=recipe.size)
    load_checkpoint(model, checkpoint_path(folder, wanted))
    return recipe, model


def epochs_done(run: str | os.PathLike[str]) -> int:
    """Count the epochs of a run whose row and checkpoint are both there."""
    run = Path(run)
    path = run / "log.csv"
    if not path.is_file():
        return 0
    with path.open(newline="") as file:
        rows = sum(1 for _ in csv.DictReader(file))
    while rows and not checkpoint_path(run, rows).is_file():
        rows -= 1
    return rows


def read_log(run: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read what each epoch of a run scored while training.

    Returns
    -------
    list of dict
        One an epoch, from the first: ``epoch``, and under ``training`` and, where
        pictures were held out, ``validation`` a dictionary of scores by name, such as
        ``loss`` and ``accuracy``. Empty when no epoch was finished.
    """
    path = Path(run) / "log.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs: list[dict[str, Any]] = []
    for row in rows:
        values = {k: float(v) for k, v in row.items() if k not in ("epoch", "seconds") and v}
        parts: dict[str, dict[str, float]] = {"training": {}, "validation": {}}
        for name, value in values.items():
            part = "validation" if name.startswith("val_") else "training"
            parts[part][name.removeprefix("val_")] = value
        held = {part: scores for part, scores in parts.items() if scores}
        epochs.append({"epoch": int(row["epoch"]), **held})
    return epochs


def read_note(run: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what a run wrote down of its data and versions, its ``run.json``.

    Raises
    ------
    RunError
        When it is missing or damaged.
    """
    path = Path(run) / "run.json"
    try:
        note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = {"data", "data_sha256", "unreadable"} - note.keys()
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} cannot be read ({error}); start a new run") from error
    if missing:
        raise RunError(f"{path} lacks {', '.join(sorted(missing))}; start a new run")
    return note


def preparation_of(run: Path) -> str:
    """Name the preparation of a run's pictures: what it began with, or what new runs take."""
    return str(read_note(run)["preparation"]) if (run / "run.json").is_file() else PREPARATION


def check_folder(run: Path, recipe: Recipe) -> None:
    """See that a folder is free, or holds this very run."""
    if (run / "recipe.json").is_file():
        found = read_recipe(run)
        if found != recipe:
            raise RunError(
                f"{run} holds a run of another recipe ({_difference(found, recipe)}); "
                "name another folder, or repeat the command that began it"
            )
        return
    if run.is_dir() and any(run.iterdir()):
        raise RunError(f"{run} exists, is not empty and holds no run; name another folder")
    feature_layer(recipe.network)  # a misspelt name too
    if recipe.weights not in ("random", "imagenet"):
        read_weights(recipe.weights)  # a wrong file is better known before hours of reading


def check_data(run: Path, root: Path, pictures: Pictures) -> None:
    """Refuse to go on with other pictures than a run began with."""
    if (run / "run.json").is_file() and read_note(run)["data_sha256"] != pictures.sha256:
        raise RunError(f"the pictures in {root} changed since {run} began; start a new run")


def begin_run(run: Path, recipe: Recipe, root: Path, chosen: Selection, pictures: Pictures) -> None:
    """Write down what is asked for and what the run sees, once all of it has proved good."""
    if (run / "recipe.json").is_file():
        return
    keras = require_keras("training")
    note = {
        "data": str(root),
        "data_sha256": pictures.sha256,
        "leaky": chosen.leaky,
        "selection": chosen.origin,
        "pictures": len(pictures),
        "outlined": int(pictures.outlined.sum()),
        "unreadable": list(pictures.unreadable),
        "preparation": PREPARATION,
        "weights_sha256": _hash(recipe.weights),
        "classes": list(CLASSES),
        "backend": keras.config.backend(),
        "versions": {
            "python": platform.python_version(),
            **versions_of(("tumorlens", "keras", "numpy", "pillow")),
        },
    }
    write_whole(run / "run.json", _json(note))
    write_whole(run / "recipe.json", _json(recipe.to_dict()))


def checkpoint_path(run: Path, epoch: int) -> Path:
    """Name the file of an epoch's weights and optimiser, epochs counted from 1."""
    return run / "checkpoints" / f"epoch_{epoch:03d}.weights.h5"


def load_checkpoint(model: Any, path: Path) -> None:
    """Put a checkpoint into a network.

    Raises
    ------
    RunError
        When the file is missing or damaged.
    """
    try:
        training_view(model).load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"{path} is damaged ({error}); delete it, and the same training goes on from the "
            "epoch before"
        ) from error


def save_checkpoint(model: Any, path: Path) -> None:
    """Write a network's weights and optimiser; the file appears whole or not at all.

    Raises
    ------
    RunError
        When a weight is no number, so that the epoch before stays the last one.
    OutputError
        When there is no room for the file.
    """
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise lost(path.parent.parent, "a weight of the network")
    with room_for(path, model) as work:
        model.save_weights(work)
        work.replace(path)


@contextmanager
def room_for(path: Path, model: Any) -> Iterator[Path]:
    """Fill a file as large as a checkpoint, so that a full disk is known before HDF5 meets it.

    The library cannot be told of an error while it closes a file: it ends the process.

    Yields
    ------
    pathlib.Path
        The file, beside `path`; gone behind the block unless it has been moved.

    Raises
    ------
    OutputError
        When there is no room.
    """
    work = path.with_name(f"writing_{path.name}")
    variables = [*model.variables, *model.optimizer.variables]
    count = sum(math.prod(variable.shape) for variable in variables)
    left = 4 * count + _ENTRY * len(variables) + _SPARE
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        with work.open("wb") as file:
            while left > 0:
                left -= file.write(bytes(min(left, 2**20)))
        yield work
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); make room, and the same "
            "command goes on from the last whole epoch"
        ) from error
    finally:
        with suppress(OSError):
            work.unlink(missing_ok=True)


def lost(run: Path, what: str) -> RunError:
    """Say that a training has run away, and what is left of it."""
    done = epochs_done(run)
    kept = f"epoch {done} is the last good one and is kept" if done else "no epoch was good"
    return RunError(
        f"{what} is no number in epoch {done + 1}, so training stopped; {kept}; begin a new run "
        "with a lower --learning-rate"
    )


def append_row(path: Path, epoch: int, values: Mapping[str, float]) -> None:
    """Write the log anew with one more row, dropping rows of epochs done again."""
    rows: list[dict[str, str]] = []
    if path.is_file():
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < epoch]
    rows.append({"epoch": str(epoch), **{k: f"{v:.6g}" for k, v in values.items()}})
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[-1].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def read_recipe(run: Path) -> Recipe:
    """Read what a run was asked for, its ``recipe.json``.

    Raises
    ------
    RunError
        When the folder is no run.
    """
    try:
        values = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004, TRY301
        return Recipe.from_dict(values)
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{run} is no run folder: recipe.json cannot be read ({error})") from error


def _difference(one: Recipe, other: Recipe) -> str:
    a, b = one.to_dict(), other.to_dict()
    return ", ".join(f"{k} is {a[k]}, asked for {b[k]}" for k in a if a[k] != b[k])


def _hash(weights: str) -> str | None:
    """Hash the starting weights when they are a file."""
    if weights in ("random", "imagenet"):
        return None
    return hashlib.sha256(Path(weights).read_bytes()).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
