"""How a network from elsewhere was built: read as data, compared with ours, never built.

Keras stores with the weights how to make the network again, and making it is where
most of Keras's holes were: a config may name any function of any module (CVE-2025-1550,
CVE-2025-8747), switch the safe mode off (CVE-2025-9906), or carry code in a Lambda
layer (CVE-2024-3660, CVE-2025-9905). Here it is JSON and stays JSON. Such things are
refused although nothing would run them: a file that holds them is not what it says.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from tumorlens.errors import ModelError, UnsafeModelError
from tumorlens.untrusted import is_whole, printable, read_json

__all__ = ["Config", "check_architecture", "read_config"]

_SHOWN: Final = 80  # characters of a name from the file that an error repeats
_MOST_VALUES: Final = 500_000  # of the JSON; Xception's has some ten thousand
_MODULES: Final = re.compile(
    # Keras 2 lives on as tf_keras, and calls the policies of 3 mixed precision.
    r"(tf_)?keras(\.(layers|models|initializers|regularizers|constraints|optimizers|losses|metrics"
    r"|dtype_policies|mixed_precision|optimizers\.schedules|(src\.)?(engine|models)\.functional"
    r"|(src\.)?(engine|models)\.sequential))?"
)
_CLASS: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,99}|__keras_tensor__|__tuple__")
_CODE: Final = ("function", "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
_WHOLE: Final = ("Functional", "Model", "Sequential")
_NO_MATTER: Final = ("InputLayer", "Flatten", "Dropout")
"""Layers that change nothing when a network of this kind runs."""

_SETTINGS: Final = (
    *("kernel_size", "strides", "padding", "dilation_rate", "groups", "data_format", "pool_size"),
    *("activation", "use_bias", "depth_multiplier", "epsilon", "center", "scale", "max_value"),
    *("negative_slope", "threshold", "keepdims"),
)
"""Settings that change what a layer does and show in no shape."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a config says of a network.

    Parameters
    ----------
    source
        Where it came from, for messages.
    layers
        Class, name and settings of every layer, in the network's order.
    size
        Side of the square input in pixels.
    """

    source: str
    layers: tuple[tuple[str, str, dict[str, Any]], ...]
    size: int


def read_config(text: str | bytes, *, source: str) -> Config:
    """Read a config and refuse what is more than a flat network of Keras's own layers.

    Parameters
    ----------
    text
        The content of ``config.json``, or the ``model_config`` of an older file.
    source
        Where it came from, for the message of an error.

    Raises
    ------
    UnsafeModelError
        When it holds code, custom objects, or names beyond Keras's layers.
    ModelError
        When it is no config, or that of a nested network.
    """
    try:
        values = read_json(text)
    except ValueError as error:
        raise ModelError(f"{source}: the network's config cannot be read: {error}") from error
    _refuse_code(values, source)
    try:
        if values["class_name"] not in _WHOLE:
            kind = printable(values["class_name"], _SHOWN)
            raise ModelError(f"{source}: it is the config of a {kind}, no network")
        layers = tuple(
            (str(x["class_name"]), str(x["config"]["name"]), dict(x["config"]))
            for x in values["config"]["layers"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        nested = "it may be a network within a network, of which only flat ones can be read"
        raise ModelError(
            f"{source}: its layers cannot be read from its config; {nested}"
        ) from error
    inner = [name for kind, name, _ in layers if kind in _WHOLE]
    if inner:
        raise ModelError(
            f"{source}: {printable(inner[0], _SHOWN)!r} is a network within the network; build it "
            "flat, as `Model(base.input, Dense(…)(base.output))`, and save it again"
        )
    return Config(source, layers, _input_size(layers, source))


def check_architecture(config: Config, model: Any) -> None:
    """Compare a config with a network of ours, layer by layer of each kind.

    Softmax at the end is what ours leaves to the reader, and is looked for.

    Parameters
    ----------
    config
        What `read_config` gave.
    model
        A network from `build_network`.

    Raises
    ------
    ModelError
        When a layer is missing, too many or set differently.
    """
    ours = [(type(x).__name__, x.name, x.get_config()) for x in model.layers]
    theirs = [layer for layer in config.layers if layer[0] not in _NO_MATTER]
    ours = [layer for layer in ours if layer[0] not in _NO_MATTER]
    counts, wanted = Counter(x[0] for x in theirs), Counter(x[0] for x in ours)
    for kind in sorted(counts.keys() | wanted.keys()):
        if counts[kind] != wanted[kind]:
            raise ModelError(
                f"{config.source} is no {model.name}: it has {counts[kind]} layers of the kind "
                f"{printable(kind, _SHOWN)}, {model.name} has {wanted[kind]}"
            )
    last = [name for kind, name, _ in theirs if kind == "Dense"][-1:]
    for kind in wanted:
        pairs = zip(
            (x for x in theirs if x[0] == kind), (x for x in ours if x[0] == kind), strict=True
        )
        for (_, name, found), (_, our_name, want) in pairs:
            logits = {"activation": "softmax"} if [name] == last else {}
            _compare(config.source, name, found, {**want, **logits}, f"{model.name}'s {our_name}")


def _compare(
    source: str, name: str, found: dict[str, Any], wanted: dict[str, Any], ours: str
) -> None:
    for key in _SETTINGS:
        if key in found and key in wanted and _plain(found[key]) != _plain(wanted[key]):
            raise ModelError(
                f"{source}: the layer {printable(name, _SHOWN)!r} has {key} "
                f"{printable(repr(found[key]), _SHOWN)}, {ours} has {wanted[key]!r}"
            )


def _plain(value: Any) -> Any:
    """Make values comparable: lists as tuples, numbers as floats."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return float(value) if isinstance(value, int | float) else value


def _refuse_code(values: Any, source: str) -> None:
    """Look at every object in the config, however deep; not recursively, for depth is no limit."""
    left, seen = [values], 0
    while left:
        seen += 1
        if seen > _MOST_VALUES:
            raise UnsafeModelError(f"{source}: its config is larger than that of any network")
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += value.values()
            _refuse_object(value, source)


def _refuse_object(value: dict[str, Any], source: str) -> None:
    kind = value.get("class_name", "object")
    shown = printable(f"{value.get('module')}.{kind}", _SHOWN)
    if kind in _CODE or not isinstance(kind, str) or not _CLASS.fullmatch(kind):
        raise UnsafeModelError(f"{source} is not read: its config holds code, {shown!r}")
    custom = str(value.get("registered_name") or kind) != kind
    module = value.get("module", "keras")
    if custom or not isinstance(module, str) or not _MODULES.fullmatch(module):
        raise UnsafeModelError(
            f"{source} is not read: {shown!r} in its config is none of Keras's own layers"
        )


def _input_size(layers: tuple[tuple[str, str, dict[str, Any]], ...], source: str) -> int:
    inputs = [config for kind, _, config in layers if kind == "InputLayer"]
    shape = [
        list(found)
        for x in inputs
        if isinstance(found := x.get("batch_shape", x.get("batch_input_shape")), list)
    ]
    if len(shape) != 1 or len(shape[0]) != 4 or shape[0][3] != 3 or shape[0][1] != shape[0][2]:
        raise ModelError(f"{source}: its input must be one square picture of 3 channels")
    size = shape[0][1]
    if not is_whole(size) or not 8 <= size <= 1024:
        raise ModelError(
            f"{source}: its input must have a side of 8 to 1024 pixels, not "
            f"{printable(size, _SHOWN)}"
        )
    return size
