"""EfficientNet-Lite, built flat in Keras: the light networks that were made for int8.

M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, without squeeze-and-excite and with ReLU6, as Google published it in
2020 for phones. Widths and depths grow from 0 to 2; stem and head stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

__all__ = ["SCALES", "Block", "blocks", "efficientnet_lite", "levels"]

_EPSILON: Final = 1e-3  # of every batch norm, as the published weights were trained with
_STEM, _HEAD = 32, 1280

SCALES: Final[dict[str, tuple[float, float]]] = {
    "EfficientNetLite0": (1.0, 1.0),
    "EfficientNetLite1": (1.0, 1.1),
    "EfficientNetLite2": (1.1, 1.2),
}
"""Width and depth of each, as factors of the smallest one."""

_STAGES: Final = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck.

    Parameters
    ----------
    kernel, stride
        Of its depthwise convolution.
    expansion
        How many times more channels it has inside than come in.
    channels
        How many come out.
    """

    kernel: int
    stride: int
    expansion: int
    channels: int


def blocks(name: str) -> tuple[Block, ...]:
    """List the blocks of a network, first to last.

    Parameters
    ----------
    name
        A key of `SCALES`.
    """
    width, depth = SCALES[name]
    found = []
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES):
        fixed = stage in (0, len(_STAGES) - 1)  # as deep in every size
        count = repeats if fixed else math.ceil(repeats * depth)
        inner = Block(kernel, 1, expansion, _wide(channels, width))
        found += [replace(inner, stride=stride), *[inner] * (count - 1)]
    return tuple(found)


def levels(name: str) -> tuple[str, ...]:
    """Name the last layers that see the picture at an eighth, a sixteenth, a thirty-second.

    Parameters
    ----------
    name
        A key of `SCALES`.
    """
    halving = [number for number, block in enumerate(blocks(name), start=1) if block.stride == 2]
    return (*(f"block_{number}_expand_relu" for number in halving[-2:]), "head_relu")


def efficientnet_lite(keras: Any, name: str, entry: Any) -> Any:
    """Build a network without its last pooling and dense layer.

    Parameters
    ----------
    keras
        The module.
    name
        A key of `SCALES`.
    entry
        The input, ``(n, size, size, 3)``. The published weights want black at -127 / 128
        and white at 1.

    Returns
    -------
    keras.Model
        To ``(n, size / 32, size / 32, 1280)``, the output of the layer ``head_relu``.
    """
    layers = keras.layers
    x = layers.Conv2D(
        _STEM, 3, strides=2, padding="same", use_bias=False, name="stem"
    )(entry)  # fmt: skip
    x = _settled(keras, x, "stem")
    for number, block in enumerate(blocks(name), start=1):
        x = _bottleneck(keras, x, block, f"block_{number}")
    x = layers.Conv2D(_HEAD, 1, use_bias=False, name="head")(x)
    return keras.Model(entry, _settled(keras, x, "head"))


def _bottleneck(keras: Any, entry: Any, block: Block, name: str) -> Any:
    layers, x = keras.layers, entry
    inside = entry.shape[-1] * block.expansion
    if block.expansion > 1:
        x = layers.Conv2D(inside, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _settled(keras, x, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = _settled(keras, x, f"{name}_depthwise")
    x = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_project_norm")(x)
    if block.stride == 1 and entry.shape[-1] == block.channels:
        x = layers.Add(name=f"{name}_add")([entry, x])
    return x


def _settled(keras: Any, x: Any, name: str) -> Any:
    """Normalise and cut at 0 and 6."""
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)


def _wide(channels: int, width: float) -> int:
    """Scale a number of channels to a multiple of 8, and never by a tenth too few."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded
