"""A recipe: everything that decides how a network is trained, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tumorlens.errors import RunError

__all__ = ["RECIPES", "Appearance", "Augmentation", "Outlines", "Recipe", "replaced"]

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
    turn
        Probability that a picture stands upside down, turned by 180 degrees.
    brightness
        Factors of the grey values, lowest and highest.
    """

    rotation: float = 30.0
    shift: float = 0.2
    shear: float = 0.2
    zoom: float = 0.2
    flip: bool = True
    turn: float = 0.0
    brightness: tuple[float, float] = (0.8, 1.2)

    def __post_init__(self) -> None:
        for name, limit in (("rotation", 180), ("shift", 1), ("shear", 89), ("zoom", 0.99)):
            value = getattr(self, name)
            _require(0 <= value <= limit, f"`{name}` must be from 0 to {limit}, got {value}")
        _require(0 <= self.turn <= 1, f"`turn` must be from 0 to 1, got {self.turn}")
        low, high = self.brightness
        _require(0 < low <= high < 100, f"`brightness` must rise from above 0, got {low}:{high}")


@dataclass(frozen=True, slots=True)
class Appearance:
    """How often a training picture is made to look as if it came from elsewhere.

    Parameters
    ----------
    strip
        Probability that the skull is taken off.
    curve
        Of another contrast curve.
    field
        Of a bias field.
    blur
        Of lower resolution.
    noise
        Of noise.
    border
        Of a band cut off at one border.
    recolour
        Of grey values of another sequence: any curve, not a rising one alone.
    """

    strip: float = 0.0
    curve: float = 0.0
    field: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    border: float = 0.0
    recolour: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            _require(0 <= value <= 1, f"`{name}` must be from 0 to 1, got {value}")


@dataclass(frozen=True, slots=True)
class Outlines:
    """What is made of outlines of tumours, where there are any.

    Parameters
    ----------
    weight
        Of the loss that teaches where the evidence is, beside the loss of the answer;
        for networks that pool evidence.
    hide
        Probability that an outlined tumour is painted over and taught as no tumour.
    control
        Probability that a picture is painted over elsewhere and keeps its answer.
    paste
        Probability that a picture without a tumour gets one from elsewhere pasted in, and
        is taught as that. Beyond a third, strangers' healthy heads are called tumours.
    swap
        Probability that an outlined tumour is painted over and one of another kind is
        pasted into that head.
    decoy
        Probability that a picture without a tumour gets healthy tissue pasted in and keeps
        its answer.
    """

    weight: float = 1.0
    hide: float = 0.0
    control: float = 0.0
    paste: float = 0.0
    swap: float = 0.0
    decoy: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.weight < 1e6, f"`weight` must be at least 0, got {self.weight}")
        for name in ("hide", "control", "paste", "swap", "decoy"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"`{name}` must be from 0 to 1, got {value}")
        for names in (("hide", "swap", "control"), ("paste", "decoy", "control")):
            together = sum(getattr(self, name) for name in names)
            listed = " and ".join((", ".join(f"`{n}`" for n in names[:-1]), f"`{names[-1]}`"))
            _require(together <= 1, f"{listed} must not exceed 1 together")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train a network.

    Parameters
    ----------
    network
        A key of `tumorlens.networks.network.NETWORKS`.
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
    balance
        ``"none"``: every picture once an epoch. ``"groups"``: as many pictures drawn at
        random, every class as often, and a patient with four times the slices twice as
        often. ``"strata"``: the same, and rare sequences and planes of a class more often.
    none
        Share of pictures without a tumour among those drawn, where classes are balanced:
        more of them are more heads to paste into. The tumours share the rest alike.
    augmentation
        How pictures are moved.
    appearance
        How they are made to look.
    outlines
        What is made of outlined tumours.
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
    balance: str = "none"
    none: float = 0.25
    augmentation: Augmentation = field(default_factory=Augmentation)
    appearance: Appearance = field(default_factory=Appearance)
    outlines: Outlines = field(default_factory=Outlines)

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
            self.balance in ("none", "groups", "strata"),
            f"`balance` must be none, groups or strata, got {self.balance!r}",
        )
        _require(0 < self.none < 1, f"`none` must be between 0 and 1, got {self.none}")
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
            looks, outlines = (dict(values.pop(name, {})) for name in ("appearance", "outlines"))
            if "brightness" in moved:
                moved["brightness"] = tuple(moved["brightness"])
            return cls(
                **values,
                augmentation=Augmentation(**moved),
                appearance=Appearance(**looks),
                outlines=Outlines(**outlines),
            )
        except (TypeError, ValueError) as error:
            raise RunError(f"this is not a recipe: {error}") from error


def replaced(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Change any figures of a recipe.

    Parameters
    ----------
    recipe
        The recipe.
    settings
        Such as ``"rotation=15"``, ``"flip=no"``, ``"brightness=0.9:1.1"`` or ``"hide=0.2"``:
        the name of a field, also of those inside `Augmentation`, `Appearance` and
        `Outlines`.

    Raises
    ------
    RunError
        When there is no such field, or its value cannot be.
    """
    for setting in settings:
        name, _, text = setting.partition("=")
        where = next((part for part in _PARTS if name in _fields(part)), None)
        if where is None:
            known = ", ".join(name for part in _PARTS for name in _fields(part))
            raise RunError(f"a recipe has no {name!r}; it has {known}")
        inner: Any = recipe if where is Recipe else getattr(recipe, where.__name__.lower())
        try:
            value = _parsed(getattr(inner, name), text)
        except (KeyError, ValueError) as error:
            raise RunError(f"{setting!r} is no value for {name}") from error
        changed: Any = dataclasses.replace(inner, **{name: value})
        if where is not Recipe:
            part: dict[str, Any] = {where.__name__.lower(): changed}
            changed = dataclasses.replace(recipe, **part)
        recipe = changed
    return recipe


_PARTS: Final[tuple[type[Any], ...]] = (Recipe, Augmentation, Appearance, Outlines)


def _fields(part: type[Any]) -> list[str]:
    inner = {other.__name__.lower() for other in _PARTS}
    return [field.name for field in dataclasses.fields(part) if field.name not in inner]


def _parsed(before: Any, text: str) -> Any:
    """Read a value of the same kind as the one before."""
    if isinstance(before, bool):
        return {"yes": True, "no": False}[text]
    if isinstance(before, tuple):
        low, high = (float(part) for part in text.split(":"))
        return low, high
    return type(before)(text)


def _require(holds: object, message: str) -> None:
    if not holds:
        raise RunError(message)


RECIPES: Final[dict[str, Recipe]] = {
    # A first model in minutes. The models that ship say in their cards how they were trained.
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
