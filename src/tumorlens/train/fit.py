"""The training loop: Keras's own, around a run folder that survives interruption."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.data.folder import CLASSES, Example
from tumorlens.data.outlines import MaskedPicture
from tumorlens.data.published import TEST_FOLD
from tumorlens.data.split import Selection, select
from tumorlens.errors import DataError
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import build_network, training_view
from tumorlens.networks.weights import load_weights, read_weights, save_weights
from tumorlens.progress import Progress, silent
from tumorlens.train.batches import as_targets, as_tensors, varied_batches
from tumorlens.train.events import EventLog
from tumorlens.train.evidence import evidence_loss
from tumorlens.train.pictures import Pictures, held_out, load_pictures, split_off
from tumorlens.train.recipe import Recipe
from tumorlens.train.run import (
    append_row,
    begin_run,
    check_data,
    check_folder,
    checkpoint_path,
    epochs_done,
    load_checkpoint,
    lost,
    preparation_of,
    room_for,
    save_checkpoint,
)

__all__ = ["train"]


def train(
    recipe: Recipe,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    test_folds: Sequence[int] = (TEST_FOLD,),
    allow_leaks: bool = False,
    outlines: Sequence[MaskedPicture] = (),
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
    outlines
        Masks of tumours, as `tumorlens.data.outlines.find_masked` finds them; the
        recipe says what is made of them.
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
    check_folder(run, recipe)
    root = Path(data)
    chosen = select(root, test_folds=test_folds, allow_leaks=allow_leaks)
    watched_examples = _testing_to_watch(recipe, chosen, root)
    masks = {outline.path.resolve(): outline for outline in outlines}
    load = partial(load_pictures, preparation=preparation_of(run))
    pictures = load(chosen.training, recipe.size, progress, outlines=masks)
    check_data(run, root, pictures)
    if watched_examples:
        kept, watched = pictures, load(watched_examples, recipe.size, progress)
    else:
        kept, watched = _set_apart(recipe, pictures)
    if not len(kept):
        raise DataError(f"{root} holds too few pictures to hold out {recipe.validation:.0%}")
    done = epochs_done(run)
    if done < recipe.epochs:
        model = _ready_model(recipe, len(kept), run, done)
        begin_run(run, recipe, root, chosen, pictures)
        _fit(model, recipe, kept, watched, run, done, progress)
    model = build_network(recipe.network, classes=len(CLASSES), size=recipe.size)
    load_checkpoint(model, checkpoint_path(run, recipe.epochs))
    save_weights(model, run / "weights.safetensors")
    return run


def _testing_to_watch(recipe: Recipe, chosen: Selection, root: Path) -> list[Example]:
    """Name the test pictures that the recipe validates on, if it does."""
    if recipe.validate_on == "training":
        return []
    if not chosen.testing:
        raise DataError(
            f"{root} has no test pictures to validate on; hold out training pictures instead, "
            "with `--validate-on training --validation 0.1`"
        )
    if TEST_FOLD in chosen.origin.get("test_folds", ()):
        raise DataError(
            f"fold {TEST_FOLD} is for the final test and no epoch may be chosen by it; validate "
            "with `--validate-on training --validation 0.1`"
        )
    return held_out(chosen.testing, recipe.validation, recipe.seed)[1]


def _set_apart(recipe: Recipe, pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Part what is trained on from what the run is watched by."""
    kept, off = split_off(pictures.labels, recipe.validation, recipe.seed, pictures.groups)
    return pictures.take(kept), pictures.take(off)


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
    model = training_view(model)
    answer: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    measures: Any = ["accuracy", *_rates(keras)]
    shares = None
    if isinstance(model.output, dict):
        answer = {"logits": answer, "evidence": evidence_loss}
        shares = {"logits": 1.0, "evidence": recipe.outlines.weight}
        measures = {"logits": measures}
    model.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(keras, recipe, steps)),
        loss=answer,
        loss_weights=shares,
        metrics=measures,
        # XLA compiles for longer than it saves on a CPU; JAX knows no other way.
        jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
    )
    if done:
        model.optimizer.build(model.trainable_variables)
        load_checkpoint(model, checkpoint_path(run, done))
    return model


def _rates(keras: Any) -> list[Any]:
    """Precision and recall over all classes together, of answers above one half.

    As `keras.metrics` counts them for one-hot labels and probabilities, which is what
    the reference project reports; here labels are numbers and outputs logits.
    """

    def as_probabilities(truth: Any, logits: Any) -> tuple[Any, Any]:
        labels = keras.ops.reshape(truth, (-1,))
        return keras.ops.one_hot(labels, len(CLASSES)), keras.ops.softmax(logits)

    class Precision(keras.metrics.Precision):  # type: ignore[misc]  # Keras is imported late
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(*as_probabilities(y_true, y_pred), sample_weight)

    class Recall(keras.metrics.Recall):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(*as_probabilities(y_true, y_pred), sample_weight)

    return [Precision(name="precision"), Recall(name="recall")]


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
    batches = varied_batches(recipe, pictures, model)
    watch = None
    if len(held_out):
        targets = as_targets(held_out.labels, held_out.masks, model)
        watch = (as_tensors(held_out.pixels, recipe.network), targets)
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


def _recorder(keras: Any, recipe: Recipe, run: Path, batches: Any, progress: Progress) -> Any:
    """Write each epoch down as soon as it ends: checkpoint first, then its row.

    What an epoch draws at random depends on the seed and its number alone, so that a
    resumed run draws what an unbroken one would have.
    """
    steps = len(batches)

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is imported late
        held_out: float | None = None  # accuracy after the last whole epoch

        def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
            del logs
            with room_for(checkpoint_path(run, recipe.epochs), self.model):
                pass  # a disk that is full already is better known before an epoch
            self.events = EventLog(run)

        def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            del logs
            self.epoch = batches.epoch = epoch
            _seed_dropouts(keras, self.model, (recipe.seed, 5, epoch))
            self.start = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            done = self.epoch * steps + batch + 1
            rate = (batch + 1) * recipe.batch / (time.monotonic() - self.start)
            loss = (logs or {}).get("loss", float("nan"))
            if not math.isfinite(loss):
                raise lost(run, "the loss")
            note = f"epoch {self.epoch + 1}/{recipe.epochs}  loss {loss:.4f}  {rate:.1f} pictures/s"
            note += f"  held out {self.held_out:.3f}" if self.held_out is not None else ""
            progress("training", done, recipe.epochs * steps, note)

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            values = _named(logs or {})
            self.held_out = values.get("val_accuracy")
            if not math.isfinite(values.get("val_loss", 0.0)):
                raise lost(run, "the loss on pictures held out")
            save_checkpoint(self.model, checkpoint_path(run, epoch + 1))
            seconds = time.monotonic() - self.start
            values["seconds"] = seconds
            append_row(run / "log.csv", epoch + 1, values)
            self.events.add(epoch + 1, values)

        def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
            del logs
            self.events.close()

    return Recorder()


def _named(logs: Mapping[str, float]) -> dict[str, float]:
    """Call the figures of the answer alike, whether or not the network shows its evidence."""
    if "logits_loss" not in logs:
        return dict(logs)
    whole = {"loss": "total_loss", "val_loss": "val_total_loss"}
    return {whole.get(name, name.replace("logits_", "")): value for name, value in logs.items()}


def _seed_dropouts(keras: Any, model: Any, seed: tuple[int, ...]) -> None:
    """Begin the masks of the dropouts anew: checkpoints do not hold where they were."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            fresh = keras.random.SeedGenerator(int(random.integers(2**31)))
            layer.seed_generator.state.assign(fresh.state)
