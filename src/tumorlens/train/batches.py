"""What the network is fed: pictures as tensors, and varied batches of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES
from tumorlens.images.prepare import to_tensor
from tumorlens.networks.geometry import cell_grid
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import NETWORKS, NO_TUMOUR, evidence_output, feature_layer
from tumorlens.train.augment import augment
from tumorlens.train.drawn import Drawn
from tumorlens.train.evidence import UNKNOWN, cell_coverage
from tumorlens.train.pictures import Pictures
from tumorlens.train.recipe import Recipe

__all__ = ["as_targets", "as_tensors", "varied_batches"]


def as_tensors(pixels: NDArray[np.uint8], network: str) -> NDArray[np.float32]:
    """Turn prepared uint8 pictures into the network's input, without varying them."""
    grey = pixels.astype(np.float32) / np.float32(255)
    return to_tensor(grey, channels=3, value_range=NETWORKS[network].value_range, layout="NHWC")


def as_targets(labels: NDArray[np.int64], masks: Any, model: Any) -> Any:
    """Give what a network is to answer.

    Parameters
    ----------
    labels
        int64, ``(n,)``.
    masks
        ``(n, size, size)``, from 0 to 1: the outlined tumours in the input's geometry; a
        picture without an outline has none. Or ``None``.
    model
        The network.

    Returns
    -------
    numpy.ndarray or dict
        The labels; with the targets of its evidence maps, where the network has any. A
        tumour that nobody outlined lies somewhere: its own map is not known. The maps of
        the other tumours are.
    """
    evidence = evidence_output(model)
    if evidence is None:
        return labels
    cells, tumours = evidence.shape[1], evidence.shape[3]
    targets = np.zeros((len(labels), cells, cells, tumours), np.float32)
    channels = np.array([c for c in range(len(CLASSES)) if c != NO_TUMOUR])
    coverage = None
    if masks is not None:
        grid = cell_grid(model, feature_layer(model.name))
        coverage = cell_coverage(masks, grid, cells)
    for i in np.flatnonzero(labels != NO_TUMOUR):
        channel = int(np.flatnonzero(channels == labels[i])[0])
        targets[i, ..., channel] = UNKNOWN
        if coverage is not None and coverage[i].any():
            targets[i, ..., channel] = coverage[i]
    return {"logits": labels, "evidence": targets}


def varied_batches(recipe: Recipe, pictures: Pictures, model: Any) -> Any:
    """Serve varied batches, the same for the same seed, epoch and step.

    Returns
    -------
    keras.utils.PyDataset
        Its ``epoch`` is to be set before each epoch.
    """
    keras: Any = require_keras("training")
    low, high = NETWORKS[recipe.network].value_range
    drawn = Drawn(recipe, pictures)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras is imported late
        epoch = 0  # set by the recorder: Keras's own calls at an epoch's end are not one an epoch

        def __len__(self) -> int:
            return math.ceil(len(pictures) / recipe.batch)

        def __getitem__(self, step: int) -> tuple[Any, Any]:
            order = drawn.order(self.epoch)
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            random = np.random.default_rng((recipe.seed, 3, self.epoch, step))
            pixels, masks, labels = drawn.pictures(chosen, random)
            grey, moved = augment(pixels, random, recipe.augmentation, masks)
            tensor = keras.ops.repeat(grey * (high - low) + low, 3, axis=-1)
            if moved is not None:
                moved = keras.ops.convert_to_numpy(moved)[..., 0]
            return tensor, as_targets(labels, moved, model)

    return Batches(workers=1, max_queue_size=4)
