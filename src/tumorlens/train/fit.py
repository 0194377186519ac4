"""The training loop: Keras's own, around a run folder that survives interruption.

A run folder holds::

    recipe.json          what was asked for
    run.json             what it ran on: versions, data hashes, counts
    log.csv              one row an epoch
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
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES
from tumorlens.data.published import TEST_FOLD
from tumorlens.data.split import Selection, select
from tumorlens.errors import DataError, RunError
from tumorlens.files import write_whole
from tumorlens.images.prepare import PREPARATION, to_tensor
from tumorlens.progress import Progress, silent
from tumorlens.train.augment import augment
from tumorlens.train.keras_backend import require_keras
from tumorlens.train.network import NETWORKS, build_network, feature_layer
from tumorlens.train.pictures import Pictures, load_pictures, split_off
from tumorlens.train.recipe import Recipe
from tumorlens.train.weights import load_weights, read_weights, save_weights

__all__ = ["epochs_done", "load_run", "read_note", "train"]


def train(
    recipe: Recipe,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    test_folds: Sequence[int] = (TEST_FOLD,),
    allow_leaks: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a network, or go on where an interrupted run stopped.

    Parameters
    ----------
    recipe
        How to train.
    data
        A manifest; or a folder with ``Training/<class>/…``, or of class folders. Nothing
        is known of patients in a folder: its run is called leaky.
    out
        The run folder. One that holds an unfinished run of the same recipe is
        continued from its last whole epoch.
    test_folds
        Folds of a manifest that are kept for testing.
    allow_leaks
        Whether to train although the test folds share groups or pictures with the
        rest; the run is then called leaky.
    progress
        Told of pictures read and steps done.

    Returns
    -------
    pathlib.Path
        The run folder.

    Raises
    ------
    RunError
        When `out` holds another run, or the data has changed since it began.
    DataError
        When the pictures are not where they should be, or leak into the test folds.
    """
    run = Path(out)
    _check_folder(run, recipe)
    root = Path(data)
    chosen = select(root, test_folds=test_folds, allow_leaks=allow_leaks)
    pictures = load_pictures(chosen.training, recipe.size, progress)
    _check_data(run, root, pictures)
    kept, held_out = split_off(pictures.labels, recipe.validation, recipe.seed, pictures.groups)
    if not kept.size:
        raise DataError(f"{root} holds too few pictures to hold out {recipe.validation:.0%}")
    done = epochs_done(run)
    if done < recipe.epochs:
        model = _ready_model(recipe, kept.size, run, done)
        _begin(run, recipe, root, chosen, pictures)
        _fit(model, recipe, pictures.take(kept), pictures.take(held_out), run, done, progress)
    model = build_network(recipe.network, classes=len(CLASSES), size=recipe.size)
    _load_checkpoint(model, _checkpoint(run, recipe.epochs))
    save_weights(model, run / "weights.safetensors")
    return run


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
    recipe = _read_recipe(folder)
    done = epochs_done(folder)
    wanted = done if epoch is None else epoch
    if not 1 <= wanted <= done:
        raise RunError(f"{folder} has {done} finished epochs; there is no epoch {wanted}")
    model = build_network(recipe.network, classes=len(CLASSES), size=recipe.size)
    _load_checkpoint(model, _checkpoint(folder, wanted))
    return recipe, model


def as_tensors(pixels: NDArray[np.uint8], network: str) -> NDArray[np.float32]:
    """Turn prepared uint8 pictures into the network's input, without varying them."""
    grey = pixels.astype(np.float32) / np.float32(255)
    return to_tensor(grey, channels=3, value_range=NETWORKS[network].value_range, layout="NHWC")


def read_note(run: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what a run wrote down of its data and versions, its ``run.json``.

    Raises
    ------
    RunError
        When it is missing or damaged.
    """
    path = Path(run) / "run.json"
    try:
        note: dict[str, Any] = json.loads(path.read_text())
        missing = {"data", "data_sha256", "unreadable"} - note.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{path} cannot be read ({error}); start a new run") from error
    if missing:
        raise RunError(f"{path} lacks {', '.join(sorted(missing))}; start a new run")
    return note


def _check_folder(run: Path, recipe: Recipe) -> None:
    """See that a folder is free, or holds this very run."""
    if (run / "recipe.json").is_file():
        found = _read_recipe(run)
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


def _read_recipe(run: Path) -> Recipe:
    try:
        return Recipe.from_dict(json.loads((run / "recipe.json").read_text()))
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"{run} is no run folder: recipe.json cannot be read ({error})") from error


def _difference(one: Recipe, other: Recipe) -> str:
    a, b = one.to_dict(), other.to_dict()
    return ", ".join(f"{k} is {a[k]}, asked for {b[k]}" for k in a if a[k] != b[k])


def _check_data(run: Path, root: Path, pictures: Pictures) -> None:
    """Refuse to go on with other pictures than a run began with."""
    if (run / "run.json").is_file() and read_note(run)["data_sha256"] != pictures.sha256:
        raise RunError(f"the pictures in {root} changed since {run} began; start a new run")


def _begin(run: Path, recipe: Recipe, root: Path, chosen: Selection, pictures: Pictures) -> None:
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
        "unreadable": list(pictures.unreadable),
        "preparation": PREPARATION,
        "weights_sha256": _hash(recipe.weights),
        "classes": list(CLASSES),
        "backend": keras.config.backend(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tumorlens", "keras", "numpy", "pillow")},
        },
    }
    write_whole(run / "run.json", _json(note))
    write_whole(run / "recipe.json", _json(recipe.to_dict()))


def _hash(weights: str) -> str | None:
    """Hash the starting weights when they are a file."""
    if weights in ("random", "imagenet"):
        return None
    return hashlib.sha256(Path(weights).read_bytes()).hexdigest()


def epochs_done(run: str | os.PathLike[str]) -> int:
    """Count the epochs of a run whose row and checkpoint are both there."""
    run = Path(run)
    path = run / "log.csv"
    if not path.is_file():
        return 0
    with path.open(newline="") as file:
        rows = sum(1 for _ in csv.DictReader(file))
    while rows and not _checkpoint(run, rows).is_file():
        rows -= 1
    return rows


def _checkpoint(run: Path, epoch: int) -> Path:
    return run / "checkpoints" / f"epoch_{epoch:03d}.weights.h5"


def _load_checkpoint(model: Any, path: Path) -> None:
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"{path} is damaged ({error}); delete it, and the same training goes on from the "
            "epoch before"
        ) from error


def _ready_model(recipe: Recipe, pictures: int, run: Path, done: int) -> Any:
    """Build and compile the network, at the state the run stopped in."""
    keras = require_keras("training")
    keras.utils.set_random_seed(recipe.seed)
    model = build_network(
        recipe.network,
        classes=len(CLASSES),
        size=recipe.size,
        imagenet=recipe.weights == "imagenet" and not done,
        precision=recipe.precision,
    )
    if recipe.weights not in ("random", "imagenet") and not done:
        load_weights(model, read_weights(recipe.weights), head=False)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # Keras's 0.99 needs more steps than a short run has
    steps = math.ceil(pictures / recipe.batch) * recipe.epochs
    model.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(keras, recipe, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # XLA compiles for longer than it saves on a CPU; JAX knows no other way.
        jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
    )
    if done:
        model.optimizer.build(model.trainable_variables)
        _load_checkpoint(model, _checkpoint(run, done))
    return model


def _learning_rate(keras: Any, recipe: Recipe, steps: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    warm = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm), warmup_target=recipe.learning_rate, warmup_steps=warm
    )


def _fit(
    model: Any,
    recipe: Recipe,
    pictures: Pictures,
    held_out: Pictures,
    run: Path,
    done: int,
    progress: Progress,
) -> None:
    keras = require_keras("training")
    batches = _batches(keras, recipe, pictures)
    watch = None
    if len(held_out):
        watch = (as_tensors(held_out.pixels, recipe.network), held_out.labels)
    model.fit(
        batches,
        epochs=recipe.epochs,
        initial_epoch=done,
        validation_data=watch,
        validation_batch_size=recipe.batch,
        callbacks=[_recorder(keras, recipe, run, batches, progress)],
        # The batches draw their own order, which a resumed run draws again.
        shuffle=False,
        verbose=0,
    )


def _batches(keras: Any, recipe: Recipe, pictures: Pictures) -> Any:
    """Varied batches, the same for the same seed, epoch and step."""
    low, high = NETWORKS[recipe.network].value_range

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras is imported late
        epoch = 0  # set by the recorder: Keras's own calls at an epoch's end are not one an epoch

        def __len__(self) -> int:
            return math.ceil(len(pictures) / recipe.batch)

        def __getitem__(self, step: int) -> tuple[Any, NDArray[np.int64]]:
            order = np.random.default_rng((recipe.seed, 2, self.epoch)).permutation(len(pictures))
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            random = np.random.default_rng((recipe.seed, 3, self.epoch, step))
            grey = augment(pictures.pixels[chosen], random, recipe.augmentation)
            tensor = keras.ops.repeat(grey * (high - low) + low, 3, axis=-1)
            return tensor, pictures.labels[chosen]

    return Batches(workers=1, max_queue_size=4)


def _recorder(keras: Any, recipe: Recipe, run: Path, batches: Any, progress: Progress) -> Any:
    """Write each epoch down as soon as it ends: checkpoint first, then its row.

    What an epoch draws at random depends on the seed and its number alone, so that a
    resumed run draws what an unbroken one would have.
    """
    steps = len(batches)

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is imported late
        held_out: float | None = None  # accuracy after the last whole epoch

        def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            del logs
            self.epoch = batches.epoch = epoch
            _seed_dropouts(keras, self.model, (recipe.seed, 5, epoch))
            self.start = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            done = self.epoch * steps + batch + 1
            rate = (batch + 1) * recipe.batch / (time.monotonic() - self.start)
            loss = (logs or {}).get("loss", float("nan"))
            note = f"epoch {self.epoch + 1}/{recipe.epochs}  loss {loss:.4f}  {rate:.1f} pictures/s"
            note += f"  held out {self.held_out:.3f}" if self.held_out is not None else ""
            progress("training", done, recipe.epochs * steps, note)

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self.held_out = (logs or {}).get("val_accuracy")
            path = _checkpoint(run, epoch + 1)
            path.parent.mkdir(exist_ok=True)
            work = path.with_name(f"writing_{path.name}")
            self.model.save_weights(work)
            work.replace(path)
            seconds = time.monotonic() - self.start
            _append_row(run / "log.csv", epoch + 1, {**(logs or {}), "seconds": seconds})

    return Recorder()


def _seed_dropouts(keras: Any, model: Any, seed: tuple[int, ...]) -> None:
    """Begin the masks of the dropouts anew: checkpoints do not hold where they were."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            fresh = keras.random.SeedGenerator(int(random.integers(2**31)))
            layer.seed_generator.state.assign(fresh.state)


def _append_row(path: Path, epoch: int, values: Mapping[str, float]) -> None:
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


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
