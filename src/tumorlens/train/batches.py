"""What the network is fed: pictures as tensors, and varied batches of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.prepare import to_tensor
from tumorlens.train.augment import augment
from tumorlens.train.keras_backend import require_keras
from tumorlens.train.network import NETWORKS
from tumorlens.train.pictures import Pictures
from tumorlens.train.recipe import Recipe

__all__ = ["as_tensors", "varied_batches"]


def as_tensors(pixels: NDArray[np.uint8], network: str) -> NDArray[np.float32]:
    """Turn prepared uint8 pictures into the network's input, without varying them."""
    grey = pixels.astype(np.float32) / np.float32(255)
    return to_tensor(grey, channels=3, value_range=NETWORKS[network].value_range, layout="NHWC")


def varied_batches(recipe: Recipe, pictures: Pictures) -> Any:
    """Serve varied batches, the same for the same seed, epoch and step.

    Returns
    -------
    keras.utils.PyDataset
        Its ``epoch`` is to be set before each epoch.
    """
    keras: Any = require_keras("training")
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
