"""A recipe: everything that decides how a network is trained, as plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tumorlens.errors import RunError

__all__ = ["RECIPES", "Augmentation", "Recipe"]

_PRECISIONS: Final = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a training picture may be moved, as the reference project sets it.

    Parameters
    ----------
    rotation
        Largest angle either way, in degrees.
    shift
        Largest shift either way, as a fraction of the side.
    shear
        Largest shear angle either way, in degrees: Keras's
        ``ImageDataGenerator(shear_range=0.2)`` means 0.2 degrees.
    zoom
        Rows and columns are scaled apart, by 1 - zoom to 1 + zoom.
    flip
        Whether half of the pictures are mirrored left to right.
    brightness
        Factors of the grey values, lowest and highest.
    """

    rotation: float = 30.0
    shift: float = 0.2
    shear: float = 0.2
    zoom: float = 0.2
    flip: bool = True
    brightness: tuple[float, float] = (0.8, 1.2)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train a network.

    Parameters
    ----------
    network
        A key of `tumorlens.train.network.NETWORKS`.
    size
        Side of the square input in pixels.
    epochs, batch
        Passes over the training pictures, and pictures a step.
    learning_rate
        Adam's step size at the start.
    schedule
        ``"constant"``, or ``"cosine"``: down to zero over the run, after one
        twentieth of it rising from zero.
    validation
        Share of the training pictures, per class, held out to watch the run.
    weights
        Where the backbone starts: ``"random"``, ``"imagenet"`` or a safetensors file.
    precision
        A Keras dtype policy: float32, mixed_bfloat16 or mixed_float16.
    seed
        Of everything drawn at random.
    augmentation
        How pictures are varied.
    """

    network: str = "mobilenetv2"
    size: int = 224
    epochs: int = 6
    batch: int = 32
    learning_rate: float = 5e-4
    schedule: str = "cosine"
    validation: float = 0.05
    weights: str = "random"
    precision: str = "float32"
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        _require(self.epochs >= 1 and self.batch >= 1, "`epochs` and `batch` must be at least 1")
        _require(self.size >= 32, f"`size` must be at least 32 pixels, got {self.size}")
        _require(self.learning_rate > 0, "`learning_rate` must be above 0")
        _require(
            self.precision in _PRECISIONS,
            f"`precision` must be one of {', '.join(_PRECISIONS)}, got {self.precision!r}",
        )
        _require(0 <= self.seed < 2**32, "`seed` must be from 0 to 4294967295")
        _require(0 <= self.validation < 1, "`validation` must be from 0 to below 1")
        _require(
            self.schedule in ("constant", "cosine"),
            f"`schedule` must be constant or cosine, got {self.schedule!r}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Turn the recipe into what JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read back what `to_dict` gave.

        Raises
        ------
        RunError
            When a field is unknown or has a value that cannot be.
        """
        values = dict(values)
        try:
            moved = dict(values.pop("augmentation", {}))
            if "brightness" in moved:
                moved["brightness"] = tuple(moved["brightness"])
            return cls(**values, augmentation=Augmentation(**moved))
        except TypeError as error:
            raise RunError(f"this is not a recipe: {error}") from error


def _require(holds: object, message: str) -> None:
    if not holds:
        raise RunError(message)


RECIPES: Final[dict[str, Recipe]] = {
    # As the model that ships was trained.
    "light": Recipe(epochs=5, weights="imagenet"),
    "xception": Recipe(
        network="xception",
        size=299,
        epochs=20,
        batch=16,
        learning_rate=1e-4,
        schedule="constant",
        validation=0.1,
        weights="imagenet",
    ),
}
"""Recipes by name; any field can be overridden."""
