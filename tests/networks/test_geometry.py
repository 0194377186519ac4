"""Where cells look, against where they are seen to look.

Every kernel is positive, every bias zero: a lit row of the input reaches exactly the
cells whose field it is in, and the middle of the rows that reach a cell is its centre.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.errors import ModelError
from tumorlens.networks.geometry import CellGrid, cell_grid
from tumorlens.networks.network import build_network, feature_layer


def reached(model: Any, size: int, batch: int = 8) -> NDArray[np.bool_]:
    """Which row of the input reaches which row of cells: ``(cells, size)``."""
    rows = []
    for start in range(0, size, batch):
        lit = np.arange(start, min(start + batch, size))
        pictures = np.zeros((lit.size, size, size, 3), np.float32)
        pictures[np.arange(lit.size), lit] = 1
        answer = np.asarray(model(pictures, training=False))
        rows.append(answer[:, :, answer.shape[2] // 2].max(axis=-1) > 0)
    return np.concatenate(rows).T


def centres(seen: NDArray[np.bool_]) -> tuple[int, dict[int, float]]:
    """Width of the widest field, and the centre of each cell with all of it.

    At the rim, the picture and the padding of the layers cut fields off.
    """
    lit = [np.flatnonzero(rows) for rows in seen]
    width = max(int(rows[-1] - rows[0] + 1) for rows in lit if rows.size)
    return width, {
        cell: (rows[0] + rows[-1]) / 2
        for cell, rows in enumerate(lit)
        if rows.size and rows[-1] - rows[0] + 1 == width
    }


def make_positive(model: Any, *, centre_only: bool) -> None:
    """Set every kernel to a positive constant, or to its middle tap alone."""
    for layer in model.layers:
        for weight in layer.weights:
            if "kernel" not in weight.name:
                continue
            value = np.full(weight.shape, 1 / max(weight.shape[2], 1), np.float32)
            if centre_only and weight.shape[0] > 1:
                middle = weight.shape[0] // 2
                value *= 0
                value[middle, middle] = 1 if "depthwise" in weight.name else 1 / weight.shape[2]
            weight.assign(value)


Stack = Callable[[Any, Any], Any]


def stack(*kinds: tuple[Any, ...]) -> Stack:
    """Layers one after the other: ``(kind, kernel, stride, padding)``, or a zero padding."""

    def build(layers: Any, x: Any) -> Any:
        for kind, *details in kinds:
            if kind == "pad":
                x = layers.ZeroPadding2D(details[0])(x)
                continue
            kernel, stride, padding = details
            options = {"strides": stride, "padding": padding}
            if kind == "conv":
                x = layers.Conv2D(2, kernel, use_bias=False, **options)(x)
            elif kind == "depthwise":
                x = layers.DepthwiseConv2D(kernel, use_bias=False, **options)(x)
            elif kind == "separable":
                x = layers.SeparableConv2D(2, kernel, use_bias=False, **options)(x)
            else:
                pool = {"max": layers.MaxPooling2D, "mean": layers.AveragePooling2D}[kind]
                x = pool(kernel, **options)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    return build


def branches(layers: Any, x: Any) -> Any:
    """A block as Xception has it: a narrow shortcut beside a wide path."""
    short = layers.Conv2D(2, 1, strides=2, padding="same", use_bias=False)(x)
    x = layers.SeparableConv2D(2, 3, padding="same", use_bias=False)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return layers.Add()([short, x])


STACKS: dict[str, Stack] = {
    "conv 3 valid": stack(("conv", 3, 1, "valid")),
    "conv 3/2 same": stack(("conv", 3, 2, "same")),
    "conv 5/2 same": stack(("conv", 5, 2, "same")),
    "conv 4/2 same": stack(("conv", 4, 2, "same")),
    "conv 2/2 valid": stack(("conv", 2, 2, "valid")),
    "conv 7/4 same": stack(("conv", 7, 4, "same")),
    "three halvings": stack(*[("conv", 3, 2, "same")] * 3),
    "pools": stack(("conv", 3, 2, "valid"), ("max", 3, 2, "same"), ("mean", 2, 2, "valid")),
    "uneven padding": stack(("pad", ((0, 1), (0, 1))), ("depthwise", 3, 2, "valid")),
    "padding before": stack(("pad", ((3, 0), (3, 0))), ("conv", 3, 2, "valid")),
    "separable": stack(("separable", 3, 2, "same"), ("separable", 5, 1, "same")),
    "branches": branches,
}


@pytest.mark.parametrize("size", [47, 48, 50])
@pytest.mark.parametrize("name", STACKS)
def test_small_stacks_look_where_they_are_said_to(name: str, size: int, keras: Any) -> None:
    entry = keras.Input((size, size, 3))
    out = STACKS[name](keras.layers, entry)
    model = keras.Model(entry, out)
    make_positive(model, centre_only=False)
    grid = cell_grid(model, model.layers[-1].name)
    width, found = centres(reached(model, size, batch=64))
    assert width == grid.field
    assert len(found) >= 2
    assert found == {cell: grid.start + cell * grid.jump for cell in found}


# 107 pixels shrink through the same odd and even sizes as Xception's own 299.
@pytest.mark.parametrize(("name", "size"), [("tiny", 64), ("mobilenetv2", 96), ("xception", 107)])
def test_networks_look_where_they_are_said_to(name: str, size: int, keras: Any) -> None:
    """With only the middle tap of each kernel: the fields themselves are wider than pictures."""
    whole = build_network(name, size=size)
    model = keras.Model(whole.input, whole.get_layer(feature_layer(name)).output)
    make_positive(model, centre_only=True)
    grid = cell_grid(model, feature_layer(name))
    assert grid.jump == {"tiny": 16, "mobilenetv2": 32, "xception": 32}[name]
    _, found = centres(reached(model, size))
    assert found
    assert found == {cell: grid.start + cell * grid.jump for cell in found}


def test_fused_levels_lie_where_the_finest_does(keras: Any) -> None:
    model = build_network("mobilenetv2-fpn", size=96)
    fused, finest, coarse = (
        cell_grid(model, name) for name in ("fused", "block_6_expand_relu", "finer_1")
    )
    assert (fused.jump, fused.start) == (finest.jump, finest.start) == (8, 7)
    assert fused.field > cell_grid(model, "out_relu").field
    # A repeated cell lies where it came from: the two halves about its middle.
    before = cell_grid(model, "meet_2")
    assert coarse.jump == before.jump / 2
    assert coarse.start == before.start - before.jump / 4
    assert keras.Model(model.input, model.get_layer("fused").output).output.shape[1] == 12


def test_the_grid_depends_on_the_size_of_the_input(keras: Any) -> None:
    """TensorFlow pads an even side after it, an odd side on both."""
    starts = {}
    for size in (64, 65):
        entry = keras.Input((size, size, 3))
        out = keras.layers.Conv2D(1, 3, strides=2, padding="same", name="c")(entry)
        starts[size] = cell_grid(keras.Model(entry, out), "c").start
    assert starts == {64: 1.0, 65: 0.0}


def test_one_layer_worked_by_hand() -> None:
    assert CellGrid().behind(3, 2, 1) == CellGrid(jump=2, start=0, field=3)
    assert CellGrid(2, 0.5, 4).behind(2, 2, 0) == CellGrid(jump=4, start=1.5, field=6)


def test_layers_without_a_place_are_refused(tiny_model: Any) -> None:
    with pytest.raises(ModelError, match=r"layer pool \(GlobalAveragePooling2D\) have no place"):
        cell_grid(tiny_model, "logits")
    with pytest.raises(ModelError, match="has no layer 'nothing'"):
        cell_grid(
            tiny_model.__class__(tiny_model.input, tiny_model.get_layer("relu_1").output), "nothing"
        )
