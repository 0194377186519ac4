"""The networks: one small registry, built flat in Keras 3 on whichever backend it has.

Flat means that the backbone's layers are the model's own layers and not a model
inside a model: only then can any inner layer be asked for its output and its
gradient. Every network ends in logits; softmax belongs to whoever reads them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tumorlens.data.folder import CLASSES
from tumorlens.errors import ModelError
from tumorlens.networks.efficientnet_lite import SCALES, efficientnet_lite, levels
from tumorlens.networks.geometry import layer_inputs
from tumorlens.networks.keras_backend import require_keras

__all__ = [
    "FUSING",
    "NETWORKS",
    "NO_TUMOUR",
    "Network",
    "build_network",
    "convolution_outputs",
    "feature_layer",
    "find_network",
    "member_name",
    "training_view",
]


@dataclass(frozen=True, slots=True)
class Network:
    """What the rest of the program must know of a network to use it.

    Parameters
    ----------
    backbone
        Name of a function in `keras.applications`, a key of `SCALES`, or ``"Tiny"``.
    pooling
        How the last feature map becomes logits: ``"avg"`` or ``"max"`` over places and
        dense layers behind; or ``"lse"``: a dense layer at each place gives its evidence
        for each tumour, whose smooth maximum is the logit. No tumour is what is left
        where there is no evidence: its logit is 0.
    hidden
        Units of the dense layers before the logits.
    dropout
        Rates of the dropouts before each dense layer, the last being the logits.
    feature_layer
        The layer whose output is pooled; explanations look at it first.
    value_range
        What black and white are in the input.
    size
        The side of the input the network was designed for, in pixels.
    pyramid
        Layers of the backbone, each half as fine as the one before, that are fused at
        the first one's fineness into the feature layer; empty when that is the
        backbone's own.
    members
        How many such backbones, each with its own weights, see the picture side by
        side. Their features are laid one behind the other, so that the evidence of all
        is one dense layer at each place.
    """

    backbone: str
    pooling: str
    hidden: tuple[int, ...]
    dropout: tuple[float, ...]
    feature_layer: str
    value_range: tuple[float, float]
    size: int
    pyramid: tuple[str, ...] = ()
    members: int = 1


NO_TUMOUR: Final = CLASSES.index("notumor")
"""Place of the class that has no evidence of its own."""

# Evidence on 28 × 28 cells: fine enough for a tumour of 1.6 % of the picture, while each
# cell sees all of it through the two coarser levels.
_LIGHT_FPN = Network(
    "MobileNetV2",
    "lse",
    (),
    (0.2,),
    "fused",
    (-1.0, 1.0),
    224,
    ("block_6_expand_relu", "block_13_expand_relu", "out_relu"),
)
_LITE = (-127 / 128, 1.0)  # black and white of EfficientNet-Lite's weights
_TINY_FPN = Network(
    "Tiny", "lse", (), (0.0,), "fused", (-1.0, 1.0), 64, ("relu_2", "relu_3", "relu_4")
)

NETWORKS: Final[dict[str, Network]] = {
    # As the reference project builds it, its 0 … 1 input included.
    "xception": Network(
        "Xception", "max", (128,), (0.3, 0.25), "block14_sepconv2_act", (0.0, 1.0), 299
    ),
    # One dense layer on the mean: evidence at a place is that place's share of the logit.
    "mobilenetv2": Network("MobileNetV2", "avg", (), (0.2,), "out_relu", (-1.0, 1.0), 224),
    "mobilenetv2-fpn": _LIGHT_FPN,
    # Three of them, trained apart and joined by `tumorlens.networks.members`.
    "mobilenetv2-fpn-x3": dataclasses.replace(_LIGHT_FPN, members=3),
    # Made for int8: its activations are cut at 6, and nothing multiplies channels.
    **{
        f"efficientnet-lite{n}-fpn": dataclasses.replace(
            _LIGHT_FPN, backbone=name, value_range=_LITE, size=size, pyramid=levels(name)
        )
        for n, (name, size) in enumerate(zip(SCALES, (224, 240, 260), strict=True))
    },
    # For teaching and for tests: learns drawn pictures in seconds, scans not at all.
    "tiny": Network("Tiny", "avg", (), (0.0,), "relu_4", (-1.0, 1.0), 64),
    "tiny-fpn": _TINY_FPN,
    "tiny-fpn-x2": dataclasses.replace(_TINY_FPN, members=2),
}
"""Every network that can be trained, by name."""

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
_FOLLOWERS = ("BatchNormalization", "ReLU", "Activation")
FUSING: Final = ("side_", "finer_", "meet_", "blend", "fused")
"""How the names of the layers begin that fuse a backbone's levels."""

_WIDTH = 128
"""Channels of fused levels."""

_AUTOMATIC_NAME = re.compile(r"(conv2d|batch_normalization|add)(_\d+)?")
_MEMBER = re.compile(r"m\d+_")
"""How the names of a member's layers begin, members counted from 1."""


def build_network(
    name: str,
    *,
    classes: int = 4,
    size: int | None = None,
    imagenet: bool = False,
    precision: str = "float32",
) -> Any:
    """Build a network that gives logits.

    Parameters
    ----------
    name
        A key of `NETWORKS`.
    classes
        Number of logits.
    size
        Side of the square input in pixels; the network's own when ``None``.
    imagenet
        Start the backbone from Keras's own ImageNet weights, which Keras
        downloads; random otherwise.
    precision
        A Keras dtype policy such as ``"float32"`` or ``"mixed_bfloat16"``.

    Returns
    -------
    keras.Model
        From ``(n, size, size, 3)`` in the network's value range to ``(n, classes)``.

    Raises
    ------
    ModelError
        When there is no such network, or its ImageNet weights cannot be had.
    """
    keras = require_keras("building a network")
    spec = find_network(name)
    side = spec.size if size is None else size
    with _dtype_policy(keras, precision):
        entry = keras.Input((side, side, 3))
        weights = "imagenet" if imagenet else None
        if spec.pooling == "lse":
            x = _members(keras, spec, entry, weights)
            return keras.Model(entry, _pooled_evidence(keras, x, spec, classes), name=name)
        backbone = _backbone(keras, spec, entry, weights)
        x = backbone.get_layer(spec.feature_layer).output
        pool = {
            "avg": keras.layers.GlobalAveragePooling2D,
            "max": keras.layers.GlobalMaxPooling2D,
        }[spec.pooling]
        x = pool(name="pool")(x)
        for i, units in enumerate(spec.hidden):
            x = keras.layers.Dropout(spec.dropout[i], name=f"drop_{i}")(x)
            x = keras.layers.Dense(units, activation="relu", name=f"dense_{i}")(x)
        x = keras.layers.Dropout(spec.dropout[-1], name="drop_logits")(x)
        # float32 whatever the policy: calibration needs the logits' full precision.
        logits = keras.layers.Dense(classes, name="logits", dtype="float32")(x)
        return keras.Model(entry, logits, name=name)


def evidence_output(model: Any) -> Any:
    """Find the evidence of a network that pools it.

    Returns
    -------
    keras.KerasTensor or None
        ``(n, rows, columns, classes - 1)``: one map a tumour class, in their order;
        ``None`` when the network has no such maps.
    """
    names = [layer.name for layer in model.layers]
    return model.get_layer("evidence").output if "evidence" in names else None


def training_view(model: Any) -> Any:
    """Give the network as it is trained: with its evidence, where it has any, as an output.

    Both share their layers. Checkpoints are written from and read into this view.
    """
    evidence = evidence_output(model)
    if evidence is None or isinstance(model.output, dict):
        return model
    keras = require_keras("training")
    outputs = {"logits": model.output, "evidence": evidence}
    return keras.Model(model.input, outputs, name=model.name)


def feature_layer(name: str) -> str:
    """Name of the layer whose output the network pools."""
    return find_network(name).feature_layer


def novelty_output(model: Any, name: str) -> Any:
    """Build what a network's novelty score is made for: the middle level, pooled.

    Its mean and its spread over the cells, each of length 1, side by side.

    Returns
    -------
    keras.KerasTensor or None
        ``(n, 2 * channels)``; ``None`` where the network has no levels of its own, or several
        members.
    """
    spec = find_network(name)
    if not spec.pyramid or spec.members > 1:
        return None
    ops = require_keras("building a network").ops
    x = model.get_layer(spec.pyramid[len(spec.pyramid) // 2]).output
    mean = ops.mean(x, axis=(1, 2), keepdims=True)
    spread = ops.sqrt(ops.mean(ops.square(x - mean), axis=(1, 2)))
    return ops.concatenate([_to_length_one(ops, mean[:, 0, 0]), _to_length_one(ops, spread)], -1)


def _to_length_one(ops: Any, x: Any) -> Any:
    return x / ops.maximum(ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)), 1e-6)


def convolution_outputs(model: Any) -> tuple[str, ...]:
    """Name the output of every convolution, early to late.

    A convolution's output is what leaves the normalisation and the activation that
    directly follow it. The 1 × 1 convolutions that Keras named itself, which only fit
    one block to the next, are passed over.

    Parameters
    ----------
    model
        A network from `build_network`.

    Returns
    -------
    tuple of str
        Names of layers; the last is the one that is pooled.
    """
    readers: dict[str, list[Any]] = {}
    for layer in model.layers:
        for source in layer_inputs(layer):
            readers.setdefault(source, []).append(layer)
    names = []
    for layer in model.layers:
        if type(layer).__name__ not in _CONVOLUTIONS:
            continue
        if _AUTOMATIC_NAME.fullmatch(_MEMBER.sub("", layer.name)):
            continue
        if layer.name == "evidence":  # the head, written as a convolution
            continue
        end = layer
        while len(readers[end.name]) == 1 and type(readers[end.name][0]).__name__ in _FOLLOWERS:
            end = readers[end.name][0]
        names.append(end.name)
    if len(joint := [x.name for x in model.layers if type(x).__name__ == "Concatenate"]) == 1:
        names += joint  # of all members, where the network has several
    return tuple(names)


def member_name(number: int, name: str) -> str:
    """Name a layer of a member, members counted from 1."""
    return f"m{number}_{name}"


def find_network(name: str) -> Network:
    """Look a network up.

    Raises
    ------
    ModelError
        When there is none of that name.
    """
    if name not in NETWORKS:
        raise ModelError(f"there is no network {name!r}; there are {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name]


def _backbone(keras: Any, spec: Network, entry: Any, weights: str | None) -> Any:
    if spec.backbone == "Tiny":
        return _tiny(keras, entry, weights)
    if spec.backbone in SCALES:
        if weights is not None:
            raise ModelError(f"Keras has no {spec.backbone}; start it from a safetensors file")
        return efficientnet_lite(keras, spec.backbone, entry)
    build: Callable[..., Any] = getattr(keras.applications, spec.backbone)
    size = entry.shape[1]
    try:
        backbone = build(
            include_top=False, weights=weights, input_tensor=entry, input_shape=(size, size, 3)
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot build {spec.backbone} at {size} pixels: {error}") from error
    except Exception as error:
        # Keras's downloads raise Exception itself; anything more specific is a defect.
        if type(error) is not Exception:
            raise
        raise ModelError(
            f"the ImageNet weights of {spec.backbone} cannot be downloaded ({error}); go online, "
            "or start from a file (--weights FILE.safetensors) or at random (--weights random)"
        ) from error
    _settle_names(backbone)
    return backbone


def _members(keras: Any, spec: Network, entry: Any, weights: str | None) -> Any:
    """Build the feature layer: of one backbone, or of several side by side."""
    if spec.members == 1:
        return _fused(keras, _backbone(keras, spec, entry, weights), spec)
    features = []
    for number in range(1, spec.members + 1):
        x = _fused(keras, _backbone(keras, spec, entry, weights), spec)
        for layer in keras.Model(entry, x).layers:
            if not isinstance(layer, keras.layers.InputLayer):
                layer.name = member_name(number, layer.name)
        features.append(x)
    return keras.layers.Concatenate(name=spec.feature_layer)(features)


def _fused(keras: Any, backbone: Any, spec: Network) -> Any:
    """Fuse levels of a backbone at the finest one's size, after Lin et al., CVPR 2017."""
    levels = [backbone.get_layer(name).output for name in spec.pyramid]
    x = None
    for number, level in reversed(list(enumerate(levels, start=1))):
        side = keras.layers.Conv2D(_WIDTH, 1, use_bias=False, name=f"side_{number}")(level)
        side = keras.layers.BatchNormalization(name=f"side_{number}_norm")(side)
        if x is None:
            x = side
            continue
        x = keras.layers.UpSampling2D(2, interpolation="bilinear", name=f"finer_{number}")(x)
        x = keras.layers.Add(name=f"meet_{number}")([side, x])
    for name in ("blend", spec.feature_layer):
        x = keras.layers.SeparableConv2D(
            _WIDTH, 3, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
        x = keras.layers.ReLU(name=name)(x)
    return x


def _pooled_evidence(keras: Any, x: Any, spec: Network, classes: int) -> Any:
    """Turn features into evidence for each tumour at each place, and that into logits."""
    ops = keras.ops
    x = keras.layers.Dropout(spec.dropout[-1], name="drop_logits")(x)
    # float32 whatever the policy: calibration needs the logits' full precision.
    # A dense layer at each place, written as the convolution that every exporter knows.
    evidence = keras.layers.Conv2D(classes - 1, 1, name="evidence", dtype="float32")(x)
    places = evidence.shape[1] * evidence.shape[2]
    # Written out: `ops.logsumexp` exports operators that only guard against infinities.
    top = ops.max(evidence, axis=(1, 2), keepdims=True)
    total = ops.sum(ops.exp(evidence - top), axis=(1, 2))
    tumours = ops.log(total) + top[:, 0, 0] - math.log(places)
    none = tumours[:, :1] * 0.0
    return ops.concatenate([tumours[:, :NO_TUMOUR], none, tumours[:, NO_TUMOUR:]], axis=1)


def _tiny(keras: Any, entry: Any, weights: str | None) -> Any:
    """Build four convolutions, each halving the picture."""
    if weights is not None:
        raise ModelError("the network 'tiny' has no ImageNet weights; start it at random")
    x = entry
    for i, channels in enumerate((16, 32, 48, 64), start=1):
        x = keras.layers.Conv2D(
            channels, 3, strides=2, padding="same", use_bias=False, name=f"conv_{i}"
        )(x)
        x = keras.layers.BatchNormalization(name=f"norm_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
    return keras.Model(entry, x)


def _settle_names(model: Any) -> None:
    """Count the layers that Keras named itself from 0, whatever was built before.

    Keras counts such names over the whole process, so that the same network
    built twice would have two sets of weight names.
    """
    seen: Counter[str] = Counter()
    for layer in model.layers:
        match = _AUTOMATIC_NAME.fullmatch(layer.name)
        if match:
            kind = match[1]
            layer.name = f"{kind}_{seen[kind]}" if seen[kind] else kind
            seen[kind] += 1


@contextmanager
def _dtype_policy(keras: Any, policy: str) -> Iterator[None]:
    """Build under a policy and leave the process as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
