"""Maps land where the network looked, to the pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorlens.classifier import load
from tumorlens.explain.place import place_map
from tumorlens.images.prepare import Prepared, prepare
from tumorlens.images.read import read_slices
from tumorlens.models.card import FeatureLayer


def looked_at(box: tuple[float, float, float, float], size: int = 64) -> Prepared:
    return Prepared(np.zeros((size, size), np.float32), box, 1.0)


def layer(stride: float, offset: float) -> FeatureLayer:
    return FeatureLayer("last", stride, offset, "NHWC")


def test_worked_by_hand() -> None:
    cells = np.array([[0, 0], [0, 1]], np.float32)
    # Input pixels are slice pixels; centres of cells at 1 and 3.
    heat = place_map(cells, layer(2, 1), looked_at((0, 0, 4, 4), size=4), 4, 4)
    wanted = np.outer([0, 0, 0.5, 1], [0, 0, 0.5, 1])
    np.testing.assert_allclose(heat, wanted, atol=1e-6)
    assert heat.dtype == np.float32


@settings(deadline=None)
@given(data=st.data())
def test_a_lit_cell_is_brightest_where_it_looks(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([64, 96]), "size")
    stride = data.draw(st.sampled_from([4, 8, 16]), "stride")
    offset = data.draw(st.floats(0, stride - 1), "offset")  # symmetric or not
    count = size // stride
    row, column = (data.draw(st.integers(0, count - 1), name) for name in ("row", "column"))
    side = data.draw(st.floats(2 * size, 8 * size), "side")  # of the box, in the slice
    left, top = (data.draw(st.floats(-side / 3, side / 3), name) for name in ("left", "top"))
    height, width = (data.draw(st.integers(size, 4 * size), name) for name in ("height", "width"))
    cells = np.zeros((count, count), np.float32)
    cells[row, column] = 1
    prepared = looked_at((left, top, left + side, top + side), size)
    heat = place_map(cells, layer(stride, offset), prepared, height, width)
    x = left + (offset + stride * column + 0.5) * side / size - 0.5
    y = top + (offset + stride * row + 0.5) * side / size - 0.5
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        return  # the cell looks beyond the slice
    ys, xs = np.nonzero(heat >= heat.max() - 1e-5)
    inner = 0 < row < count - 1 and 0 < column < count - 1  # outermost cells reach to the edge
    if inner:
        assert (xs.mean(), ys.mean()) == pytest.approx((x, y), abs=0.51)
    assert np.hypot(xs - x, ys - y).min() < 2**0.5
    assert heat.max() > 1 - 1.01 * (size / side) / stride


@settings(deadline=None)
@given(
    left=st.floats(-30, 60), top=st.floats(-30, 60), side=st.floats(30, 200), offset=st.floats(0, 7)
)
def test_it_is_zero_where_the_network_did_not_look_and_whole_where_it_did(
    left: float, top: float, side: float, offset: float
) -> None:
    prepared = looked_at((left, top, left + side, top + side))
    heat = place_map(np.ones((8, 8), np.float32), layer(8, offset), prepared, 120, 100)
    y, x = np.mgrid[:120, :100] + 0.5
    hair = 1e-6 * side
    inside = (x > left + hair) & (x < left + side - hair)
    inside &= (y > top + hair) & (y < top + side - hair)
    outside = (x < left - hair) | (x > left + side + hair)
    outside |= (y < top - hair) | (y > top + side + hair)
    np.testing.assert_allclose(heat[inside], 1, atol=1e-5)
    assert not heat[outside].any()


def test_a_ramp_over_the_cells_is_a_ramp_over_the_slice() -> None:
    cells = np.tile(np.arange(8, dtype=np.float32), (8, 1))
    prepared = looked_at((10, 20, 138, 148))  # two slice pixels to an input pixel
    heat = place_map(cells, layer(8, 2.0), prepared, 200, 200)
    x = np.arange(200)
    in_input = (x + 0.5 - 10) / 2 - 0.5
    wanted = np.clip((in_input - 2.0) / 8, 0, 7)
    np.testing.assert_allclose(heat[60, 10:138], wanted[10:138], atol=1e-4)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("spot", [(60, 80), (150, 120), (104, 61), (111, 149)])
def test_a_bright_spot_is_explained_where_it_is(
    spot_bundle: Callable[..., Path], spot: tuple[int, int], layout: str
) -> None:
    """From the file's pixels through preparation and network and back again."""
    y, x = np.mgrid[:220, :240]
    pixels = np.where(np.hypot((x - 110) / 70, (y - 105) / 80) < 1, 90, 0)
    where = np.hypot(x - spot[1], y - spot[0])
    pixels = np.where(where < 9, 255 - 8 * where, pixels).astype(np.uint8)
    classifier = load(spot_bundle((1.0, -1.0), layout=layout))
    explained = classifier.explain(pixels, target="a")
    top, left = np.unravel_index(explained.map.argmax(), explained.map.shape)
    side = prepare(read_slices(pixels)[0], 64).box
    cell = 4 / 64 * (side[2] - side[0])  # of the map, in pixels of the slice
    assert np.hypot(top - spot[0], left - spot[1]) < 0.75 * cell
    assert explained.map.max() == 1
