"""A recipe: everything that decides how a network is trained, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
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

    def __post_init__(self) -> None:
        for name, limit in (("rotation", 180), ("shift", 1), ("shear", 89), ("zoom", 0.99)):
            value = getattr(self, name)
            _require(0 <= value <= limit, f"`{name}` must be from 0 to {limit}, got {value}")
        low, high = self.brightness
        _require(0 < low <= high < 100, f"`brightness` must rise from above 0, got {low}:{high}")

    def replaced(self, settings: Iterable[str]) -> Self:
        """Change some ranges.

        Parameters
        ----------
        settings
            Such as ``"rotation=15"``, ``"flip=no"`` or ``"brightness=0.9:1.1"``.

        Raises
        ------
        RunError
            When there is no such range, or its value cannot be.
        """
        values: dict[str, Any] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in _RANGES:
                raise RunError(f"there is no augmentation {name!r}; there are {', '.join(_RANGES)}")
            try:
                values[name] = _RANGES[name](text)
            except (KeyError, ValueError) as error:
                raise RunError(f"{setting!r} is no value for the augmentation {name}") from error
        return dataclasses.replace(self, **values)


def _pair(text: str) -> tuple[float, float]:
    low, high = (float(part) for part in text.split(":"))
    return low, high


_RANGES: Final[dict[str, Callable[[str], Any]]] = {
    "rotation": float,
    "shift": float,
    "shear": float,
    "zoom": float,
    "flip": {"yes": True, "no": False}.__getitem__,
    "brightness": _pair,
}


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
        Share of the pictures, per class, held out to watch the run and to choose an epoch.
    validate_on
        Whose pictures: ``"training"``, of which they are then left out; or
        ``"testing"``, as the reference project does, whose rest then compares epochs.
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
    validate_on: str = "training"
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
            self.validate_on in ("training", "testing"),
            f"`validate_on` must be training or testing, got {self.validate_on!r}",
        )
        _require(
            self.validate_on == "training" or self.validation > 0,
            "`validation` must be above 0 to validate on testing pictures",
        )
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
    # As the reference project trains; its validation on test pictures included.
    "reference": Recipe(
        network="xception",
        size=299,
        epochs=20,
        batch=16,
        learning_rate=1e-4,
        schedule="constant",
        validation=0.5,
        validate_on="testing",
        weights="imagenet",
    ),
}
"""Recipes by name; any field can be overridden."""
