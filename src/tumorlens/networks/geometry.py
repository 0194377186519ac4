"""Where the cells of a layer look: receptive-field arithmetic on a Keras graph.

With stride s, kernel k and p pixels of padding before, a layer whose input cells lie
``jump`` apart and begin at ``start`` has cells ``s * jump`` apart that begin at
``start + ((k - 1) / 2 - p) * jump`` (Araujo, Norris and Sim, "Computing Receptive
Fields of Convolutional Neural Networks", Distill 2019). Keras pads strided "same"
layers by less before than after, so that ``start`` drifts from layer to layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tumorlens.errors import ModelError

__all__ = ["CellGrid", "cell_grid", "layer_inputs"]


@dataclass(frozen=True, slots=True)
class CellGrid:
    """How the cells of a layer lie over the input, along one axis.

    Parameters
    ----------
    jump
        Input pixels between the centres of neighbouring cells.
    start
        Centre of the first cell; 0 is the centre of the first input pixel.
    field
        Input pixels that one cell can see.
    enlarged
        Whether the cells were made finer by repeating coarser ones.
    """

    jump: float = 1.0
    start: float = 0.0
    field: float = 1.0
    enlarged: bool = False

    def behind(self, kernel: int, stride: int, before: int) -> CellGrid:
        """Give the grid behind one more layer."""
        return CellGrid(
            self.jump * stride,
            self.start + ((kernel - 1) / 2 - before) * self.jump,
            self.field + (kernel - 1) * self.jump,
            self.enlarged,
        )


def cell_grid(model: Any, layer_name: str) -> CellGrid:
    """Find how the cells of a layer lie over the network's input.

    Parameters
    ----------
    model
        A flat `keras.Model` with square input.
    layer_name
        The layer.

    Raises
    ------
    ModelError
        When a layer before it has no grid, such as a dense one.
    """
    grids: dict[str, CellGrid] = {}
    for layer in model.layers:
        grids[layer.name] = _behind(layer, [grids[name] for name in layer_inputs(layer)])
        if layer.name == layer_name:
            return grids[layer_name]
    raise ModelError(f"{model.name} has no layer {layer_name!r}")


def layer_inputs(layer: Any) -> list[str]:
    """Name the layers that a layer of a flat `keras.Model` reads."""
    if type(layer).__name__ == "InputLayer":
        return []
    found = layer.input
    # Keras has no public way from a tensor to the layer that made it.
    return [
        x._keras_history.operation.name  # noqa: SLF001
        for x in (found if isinstance(found, list) else [found])
    ]


def _behind(layer: Any, before: list[CellGrid]) -> CellGrid:
    kind = type(layer).__name__
    if kind == "InputLayer":
        return CellGrid()
    # Where branches meet, the one that sees most is what the layer is about; but a
    # coarse one made finer lies less exactly than one that always was fine.
    grid = max(before, key=lambda g: (not g.enlarged, g.field))
    grid = replace(grid, field=max(g.field for g in before))
    if kind in ("BatchNormalization", "ReLU", "Activation", "Add", "Concatenate", "Dropout"):
        return grid
    if kind == "UpSampling2D":
        factor = layer.size[0]
        start = grid.start - grid.jump * (factor - 1) / (2 * factor)
        return CellGrid(grid.jump / factor, start, grid.field, enlarged=True)
    if kind == "ZeroPadding2D":
        return grid.behind(1, 1, layer.padding[0][0])
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        return _strided(layer, grid, layer.kernel_size[0])
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        return _strided(layer, grid, layer.pool_size[0])
    raise ModelError(f"the cells of the layer {layer.name} ({kind}) have no place in the picture")


def _strided(layer: Any, grid: CellGrid, kernel: int) -> CellGrid:
    stride = layer.strides[0]
    if layer.padding == "valid":
        return grid.behind(kernel, stride, 0)
    size = layer.input.shape[1]
    # TensorFlow's rule, which every Keras backend follows: the odd pixel comes after.
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return grid.behind(kernel, stride, total // 2)
