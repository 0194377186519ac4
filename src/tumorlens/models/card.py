"""The card of a model: everything about it that is not a weight, in ``model.json``.

Nothing about a model lives in code. Its classes in order, its input, its last
layer's geometry, its temperature, the hash of its file, what it was trained on
and how it scored travel with the weights.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tumorlens.errors import ModelError
from tumorlens.images.prepare import PREPARATIONS, Prepared, prepare
from tumorlens.images.slice import Slice
from tumorlens.untrusted import is_number, is_whole, read_json

__all__ = ["CARD_NAME", "SCHEMA", "Card", "FeatureLayer", "InputFormat", "NoveltyLimit", "Probes"]

SCHEMA: Final = 4
"""Version of the card's layout. Older ones are brought up to it when they are read.

2 adds `probes`; 3 adds `set_thresholds` and `novelty`.
"""

CARD_NAME: Final = "model.json"
"""Name of the card in a bundle."""

_FURTHEST: Final = 65535.0
"""Beyond it no network wants its black or white."""

_NOT_A_CARD = (ValueError, TypeError, KeyError, AttributeError, ModelError)
"""What reading JSON that is no card may raise."""


@dataclass(frozen=True, slots=True)
class InputFormat:
    """What the network wants to be fed.

    Parameters
    ----------
    size
        Side of the square picture in pixels.
    channels
        How often its grey channel is repeated.
    layout
        ``"NHWC"`` or ``"NCHW"``.
    value_range
        What black and white are.
    preparation
        Name and version of the preparation it was trained with; one of
        `tumorlens.images.prepare.PREPARATIONS`.
    """

    size: int
    channels: int
    layout: str
    value_range: tuple[float, float]
    preparation: str

    def __post_init__(self) -> None:
        _require(
            is_whole(self.size) and 8 <= self.size <= 4096,
            "`input.size` must be a whole number from 8 to 4096",
        )
        _require(
            is_whole(self.channels) and self.channels in (1, 3), "`input.channels` must be 1 or 3"
        )
        _require(self.layout in ("NHWC", "NCHW"), "`input.layout` must be NHWC or NCHW")
        _require(
            _is_range(self.value_range),
            "`input.value_range` must be two numbers, black below white",
        )
        _require(
            self.preparation in PREPARATIONS,
            f"the model wants its pictures prepared as {self.preparation!r}, this version of "
            f"tumorlens prepares them as {' or '.join(PREPARATIONS)}; use the version that wrote "
            "the model",
        )

    def prepare(self, picture: Slice) -> Prepared:
        """Make of a slice what the network wants to be fed."""
        return prepare(picture, self.size, self.preparation)


@dataclass(frozen=True, slots=True)
class FeatureLayer:
    """The last feature map, where explanations look, and where its cells lie.

    Parameters
    ----------
    name
        The layer's name in the float network.
    stride
        Distance between the centres of neighbouring cells, in input pixels.
    offset
        Centre of the first cell, in input pixels; 0 is the centre of the first
        pixel. Asymmetric padding moves it away from ``(stride - 1) / 2``.
    layout
        ``"NHWC"`` or ``"NCHW"``.
    """

    name: str
    stride: float
    offset: float
    layout: str

    def __post_init__(self) -> None:
        _require(_is_name(self.name), f"`features.name` {_NAME_RULE}")
        _require(is_number(self.stride) and self.stride > 0, "`features.stride` must be above 0")
        _require(is_number(self.offset), "`features.offset` must be a number")
        _require(self.layout in ("NHWC", "NCHW"), "`features.layout` must be NHWC or NCHW")


@dataclass(frozen=True, slots=True)
class Probes:
    """What the network answered to drawn pictures when it was exported.

    Parameters
    ----------
    drawing
        Name and version of the formula that draws them.
    logits
        One row a picture, in class order.
    tolerance
        How far a logit may lie from there on another machine.
    """

    drawing: str
    logits: tuple[tuple[float, ...], ...]
    tolerance: float

    def __post_init__(self) -> None:
        _require(_is_line(self.drawing), "`probes.drawing` must be a line of text")
        _require(
            bool(self.logits) and all(is_number(x) for row in self.logits for x in row),
            "`probes.logits` must be rows of numbers",
        )
        _require(
            is_number(self.tolerance) and self.tolerance > 0, "`probes.tolerance` must be above 0"
        )


@dataclass(frozen=True, slots=True)
class NoveltyLimit:
    """How far a slice may lie from those the model was calibrated on.

    Parameters
    ----------
    file
        The file of the bundle that measures it; see `tumorlens.trust.novelty`.
    limit
        The largest distance of what can be assessed.
    accepted
        Share of unseen valid slices that lie within, as it was chosen.
    others
        Kinds of pictures that the file knows to be no slices, such as ``"CT"``.
    """

    file: str
    limit: float
    accepted: float
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(_is_file_name(self.file), "`novelty.file` must be a name of a file")
        _require(is_number(self.limit) and self.limit > 0, "`novelty.limit` must be above 0")
        _require(
            is_number(self.accepted) and 0 < self.accepted <= 1,
            "`novelty.accepted` must be above 0 and at most 1",
        )
        _require(
            all(map(_is_name, self.others)) and len(set(self.others)) == len(self.others),
            f"`novelty.others` must differ, and each {_NAME_RULE}",
        )


@dataclass(frozen=True, slots=True)
class Card:
    """What a model promises.

    Parameters
    ----------
    name
        The model's name.
    version
        Its version.
    network
        Key of the network registry that rebuilds it for inner layers.
    classes
        Labels in the order of the logits.
    input, features
        What goes in, and the last feature map.
    files
        For each file of the bundle its ``sha256`` and ``bytes``.
    precision
        ``"int8"`` or ``"float32"``.
    temperature
        The logits are divided by it before softmax.
    set_level
        How often a prediction set shall hold the truth, from 0 to 1. Without
        `set_thresholds` a set gathers that much probability, which promises nothing.
    training, metrics
        How it was trained and how it scored; free form, for people and reports.
    description, intended_use, limitations, licence
        Sentences for people.
    layers
        Names of the float network's layers that can be explained, early to late, the
        last being that of `features`; empty when the bundle has no float weights.
    probes
        Answers to compare with on another machine, or ``None``.
    set_thresholds
        Lowest probability that puts each class into a prediction set, in class order;
        empty when the model is not calibrated.
    novelty
        How far a slice may lie from what the model knows, or ``None``.
    """

    name: str
    version: str
    network: str
    classes: tuple[str, ...]
    input: InputFormat
    features: FeatureLayer
    files: dict[str, dict[str, Any]]
    precision: str
    temperature: float = 1.0
    set_level: float = 0.95
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    intended_use: str = ""
    limitations: str = ""
    licence: str = "Apache-2.0"
    layers: tuple[str, ...] = ()
    probes: Probes | None = None
    set_thresholds: tuple[float, ...] = ()
    novelty: NoveltyLimit | None = None

    def __post_init__(self) -> None:
        _require(
            len(set(self.classes)) == len(self.classes) > 1 and len(self.classes) <= _MOST_CLASSES,
            f"`classes` must differ, and be from 2 to {_MOST_CLASSES}",
        )
        for name in ("name", "version", "network", "precision"):
            _require(_is_name(getattr(self, name)), f"`{name}` {_NAME_RULE}")
        for name in ("description", "intended_use", "limitations", "licence"):
            text = getattr(self, name)
            _require(text == "" or _is_line(text), f"`{name}` must be a line of text")
        for name in ("training", "metrics"):
            _require(isinstance(getattr(self, name), dict), f"`{name}` must be a table")
        _require(all(map(_is_name, self.classes)), f"each of `classes` {_NAME_RULE}")
        trained = self.training.get("classes", list(self.classes))
        _require(trained == list(self.classes), "`classes` differ from those it was trained on")
        _require(
            is_number(self.temperature) and _COLDEST <= self.temperature <= 1 / _COLDEST,
            f"`temperature` must be above 0, from {_COLDEST} to {1 / _COLDEST:.0f}",
        )
        _require(
            is_number(self.set_level) and 0 < self.set_level <= 1,
            "`set_level` must be above 0 and at most 1",
        )
        _require(
            self.layers == () or self.layers[-1] == self.features.name,
            "the last of `layers` must be that of `features`",
        )
        _require(
            all(map(_is_name, self.layers)) and len(set(self.layers)) == len(self.layers),
            f"`layers` must differ, and each {_NAME_RULE}",
        )
        _require(_is_table(self.files), "`files` must hold sha256 and bytes for each file")
        _require(
            all(map(_is_file_name, self.files)), "`files` must be names without folders in them"
        )
        rows = self.probes.logits if self.probes else ()
        _require(
            all(len(row) == len(self.classes) for row in rows),
            "`probes.logits` must hold one number a class",
        )
        _require(
            all(is_number(x) and 0 <= x <= 1 for x in self.set_thresholds)
            and len(self.set_thresholds) in (0, len(self.classes)),
            "`set_thresholds` must be one number from 0 to 1 a class, or none",
        )
        _require(
            self.novelty is None or self.novelty.file in self.files,
            "`novelty.file` must be one of `files`",
        )

    @property
    def id(self) -> str:
        """Name and version, as results carry them."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> str:
        """Write the card as JSON text."""
        values = {"schema": SCHEMA, **dataclasses.asdict(self)}
        return json.dumps(values, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> Self:
        """Read a card and check it.

        Parameters
        ----------
        text
            The content of a ``model.json``.
        source
            Where it came from, for the message of an error.

        Raises
        ------
        ModelError
            When the text is no card that this version understands.
        """
        try:
            values = read_json(text)
            _require(isinstance(values, dict), "it is no JSON object")
            _migrate(values)
            _require(isinstance(values["classes"], list), "`classes` must be a list")
            values["classes"] = tuple(map(str, values["classes"]))
            _require(isinstance(values.setdefault("layers", []), list), "`layers` must be a list")
            values["layers"] = tuple(values["layers"])
            ends = values["input"]["value_range"]
            values["input"]["value_range"] = tuple(ends) if isinstance(ends, list) else ends
            values["input"] = InputFormat(**values["input"])
            values["features"] = FeatureLayer(**values["features"])
            values["probes"] = _read_probes(values["probes"])
            thresholds = values["set_thresholds"]
            _require(isinstance(thresholds, list), "`set_thresholds` must be a list")
            values["set_thresholds"] = tuple(thresholds)
            if values["novelty"] is not None:
                _require(isinstance(values["novelty"], dict), "`novelty` must be a table")
                others = values["novelty"]["others"]
                _require(isinstance(others, list), "`novelty.others` must be a list")
                values["novelty"] = NoveltyLimit(**{**values["novelty"], "others": tuple(others)})
            return cls(**values)
        except _NOT_A_CARD as error:
            missing = "it lacks " if isinstance(error, KeyError) else ""
            raise ModelError(f"{source} is not a usable model card: {missing}{error}") from error


def _migrate(values: dict[str, Any]) -> None:
    """Bring the fields of an older card up to `SCHEMA`, one version at a time."""
    schema = values.pop("schema")
    _require(
        is_whole(schema) and 1 <= schema <= SCHEMA,
        f"it has schema {schema}, this version reads 1 to {SCHEMA}",
    )
    if schema < 2:
        values["probes"] = None
    if schema < 3:
        values |= {"set_thresholds": [], "novelty": None}
    if schema < 4 and isinstance(values["novelty"], dict):
        values["novelty"]["others"] = []


def _read_probes(value: Any) -> Probes | None:
    if value is None:
        return None
    _require(isinstance(value, dict), "`probes` must be a table")
    rows = value["logits"]
    _require(
        isinstance(rows, list) and all(isinstance(row, list) for row in rows),
        "`probes.logits` must be rows of numbers",
    )
    return Probes(**{**value, "logits": tuple(map(tuple, rows))})


_MOST_CLASSES: Final = 1000
_LONGEST_NAME: Final = 200
"""Characters. Names are drawn into figures, which get as wide as they are long."""

_NAME_RULE: Final = f"must be a line of text of at most {_LONGEST_NAME} characters"
_COLDEST = 1e-3  # colder, softmax is no more than a choice, and overflows in the end


def _is_range(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(is_number(end) and abs(end) <= _FURTHEST for end in value)
        and value[0] < value[1]
    )


def _is_line(value: object) -> bool:
    """Say whether a value is text that can be shown on one line of any terminal."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_name(value: object) -> bool:
    """Say whether a value is such text, and short."""
    return isinstance(value, str) and len(value) <= _LONGEST_NAME and _is_line(value)


def _is_file_name(name: object) -> bool:
    """Say whether a name is one that cannot leave the bundle on any system."""
    return (
        isinstance(name, str)
        and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name) is not None
    )


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(row, dict) for row in value.values())


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ModelError(message)
