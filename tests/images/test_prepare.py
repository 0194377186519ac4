"""The preparation: what lands where, and what of a file must not matter."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.images.prepare import Prepared, prepare, to_tensor
from tumorlens.images.slice import Slice

Grey = NDArray[np.uint8]


def grey_slice(pixels: NDArray[np.generic]) -> Slice:
    """A slice as the reader would make it."""
    if pixels.dtype == np.uint8:
        return Slice(pixels, (0.0, 255.0))
    return Slice(pixels.astype(np.float32), (float(pixels.min()), float(pixels.max())))


def head(height: int, width: int, box: tuple[int, int, int, int], level: int = 110) -> Grey:
    """An ellipse that fills a box (left, top, right, bottom) of a black picture."""
    left, top, right, bottom = box
    y, x = np.mgrid[:height, :width]
    across = (x - (left + right - 1) / 2) / ((right - left) / 2)
    down = (y - (top + bottom - 1) / 2) / ((bottom - top) / 2)
    return np.where(across**2 + down**2 <= 1, level, 0).astype(np.uint8)


def place(prepared: Prepared, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Where in the slice the marked pixels of the input lie: x, y of their middle."""
    rows, columns = np.nonzero(mask)
    left, top, right, bottom = prepared.box
    x = left + (columns.mean() + 0.5) / prepared.size * (right - left) - 0.5
    y = top + (rows.mean() + 0.5) / prepared.size * (bottom - top) - 0.5
    return float(x), float(y)


def distance(one: Prepared, other: Prepared) -> float:
    """Mean difference of two inputs, as a fraction of the range."""
    return float(np.abs(one.pixels - other.pixels).mean())


@pytest.fixture(params=CLASSES)
def phantom(request: pytest.FixtureRequest) -> Grey:
    return draw_phantom(request.param, seed=7, size=200).pixels


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_planted_spot_is_where_the_box_says(data: st.DataObject) -> None:
    height, width = (data.draw(st.integers(90, 400), label) for label in ("height", "width"))
    size = data.draw(st.sampled_from([64, 128, 224]), "size")
    left, top = data.draw(st.integers(0, width // 3)), data.draw(st.integers(0, height // 3))
    right = data.draw(st.integers(2 * width // 3, width))
    bottom = data.draw(st.integers(2 * height // 3, height))
    pixels = head(height, width, (left, top, right, bottom))
    radius = max(right - left, bottom - top) // 14 + 1
    turn, reach = data.draw(st.floats(0, 6.28)), data.draw(st.floats(0, 0.55))
    x = (left + right) / 2 + reach * np.cos(turn) * (right - left) / 2
    y = (top + bottom) / 2 + reach * np.sin(turn) * (bottom - top) / 2
    rows, columns = np.mgrid[:height, :width]
    spot = np.hypot(columns - x, rows - y) <= radius
    pixels[spot] = 250
    prepared = prepare(grey_slice(pixels), size)
    true = float(columns[spot].mean()), float(rows[spot].mean())
    pixel = (prepared.box[2] - prepared.box[0]) / size  # of the input, in the slice
    assert place(prepared, prepared.pixels > 0.7) == pytest.approx(true, abs=0.5 + pixel / 2)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_box_is_a_square_around_the_head(data: st.DataObject) -> None:
    height, width = (data.draw(st.integers(60, 700), label) for label in ("height", "width"))
    left, top = data.draw(st.integers(0, width // 3)), data.draw(st.integers(0, height // 3))
    right = data.draw(st.integers(2 * width // 3, width))
    bottom = data.draw(st.integers(2 * height // 3, height))
    pixels = head(height, width, (left, top, right, bottom))
    box = prepare(grey_slice(pixels), 64).box
    side = max(right - left, bottom - top)
    coarse = max(height, width) / 96 + 1  # the head is looked for in a reduced picture
    assert box[2] - box[0] == box[3] - box[1]
    assert box[2] - box[0] == pytest.approx(1.04 * side, abs=2 * coarse + 0.06 * side)
    assert (box[0] + box[2]) / 2 == pytest.approx((left + right) / 2, abs=coarse + 0.03 * side)
    assert (box[1] + box[3]) / 2 == pytest.approx((top + bottom) / 2, abs=coarse + 0.03 * side)


def test_proportions_are_kept() -> None:
    pixels = head(300, 300, (100, 40, 200, 260))  # 100 wide, 220 tall
    tissue = prepare(grey_slice(pixels), 224).pixels > 0.5
    wide, tall = tissue.any(axis=0).sum(), tissue.any(axis=1).sum()
    assert tall / wide == pytest.approx(2.2, rel=0.03)
    assert tall == pytest.approx(224 / 1.04, abs=4)


def same_view(one: Prepared, other: Prepared, step: float) -> None:
    """Two inputs show the same, as exactly as the head is looked for."""
    assert other.box == pytest.approx(one.box, abs=2 * step)
    assert np.corrcoef(one.pixels.ravel(), other.pixels.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_size_of_the_picture_does_not_matter(phantom: Grey, factor: int) -> None:
    large = prepare(grey_slice(np.kron(phantom, np.ones((factor, factor), np.uint8))), 20)
    left, top, right, bottom = (edge / factor for edge in large.box)
    there = Prepared(large.pixels, (left, top, right, bottom), large.contrast)
    same_view(prepare(grey_slice(phantom), 20), there, 200 / 96 + 1)


@pytest.mark.parametrize("border", [(0, 0, 90, 90), (60, 60, 0, 0), (100, 0, 0, 40)])
def test_the_border_does_not_matter(phantom: Grey, border: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = border
    padded = prepare(grey_slice(np.pad(phantom, ((top, bottom), (left, right)))), 20)
    x0, y0, x1, y1 = padded.box
    there = Prepared(padded.pixels, (x0 - left, y0 - top, x1 - left, y1 - top), padded.contrast)
    same_view(prepare(grey_slice(phantom), 20), there, 380 / 96 + 1)


@pytest.mark.parametrize("tight", [False, True], ids=["with-air", "cropped-to-the-head"])
@pytest.mark.parametrize(("gain", "lift"), [(1.0, 60), (0.5, 0), (0.4, 90)])
def test_brightness_and_contrast_do_not_matter(
    phantom: Grey, gain: float, lift: float, *, tight: bool
) -> None:
    pixels = (phantom[20:190, 40:160] if tight else phantom).astype(np.float64) * 0.7
    plain = prepare(grey_slice(pixels.astype(np.uint8)), 64)
    changed = prepare(grey_slice(np.rint(pixels * gain + lift).astype(np.uint8)), 64)
    assert changed.box == plain.box
    assert distance(plain, changed) < 0.01


def test_bit_depth_does_not_matter(phantom: Grey) -> None:
    plain = prepare(grey_slice(phantom), 64)
    for deep in (phantom.astype(np.float32) * 257, phantom / np.float32(255) * 3 - 1):
        other = prepare(grey_slice(deep), 64)
        assert other.box == plain.box
        assert distance(plain, other) < 0.002


def test_a_speck_at_the_border_does_not_stretch_the_box(phantom: Grey) -> None:
    bordered = np.pad(phantom, ((60, 60), (60, 60)))
    captioned = bordered.copy()
    captioned[4:8, 4:8] = 255
    plain, other = prepare(grey_slice(bordered), 64), prepare(grey_slice(captioned), 64)
    assert other.box == plain.box
    assert distance(plain, other) < 0.01


def test_a_long_strip_costs_no_square_of_its_length() -> None:
    strip = np.zeros((4, 60_000), dtype=np.uint8)
    strip[:, 20_000:40_000] = 200
    tracemalloc.start()
    prepared = prepare(grey_slice(strip), 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
    left, top, right, bottom = prepared.box
    assert right - left == bottom - top
    assert prepared.pixels.max() == 1


def test_grey_values_reach_from_black_to_white(phantom: Grey) -> None:
    prepared = prepare(grey_slice(phantom), 64)
    assert prepared.pixels.min() == 0
    assert prepared.pixels.max() == 1
    assert 0.7 < prepared.contrast <= 1


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("shape", [(128, 128), (50, 90), (1, 1)])
def test_a_blank_picture_has_no_contrast(shape: tuple[int, int], value: int) -> None:
    for dtype in (np.uint8, np.float32):
        prepared = prepare(grey_slice(np.full(shape, value, dtype)), 32)
        assert prepared.contrast == 0
        assert not prepared.pixels.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 3), (1, 900), (900, 1), (30, 2500)])
def test_odd_shapes_are_prepared(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    prepared = prepare(grey_slice(pixels), 48)
    assert prepared.pixels.shape == (48, 48)
    assert prepared.pixels.max() <= 1
    left, top, right, bottom = prepared.box
    assert right - left == bottom - top >= 1


@settings(deadline=None, max_examples=150)
@given(
    pixels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))
    | hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    ),
    size=st.integers(8, 40),
)
def test_whatever_the_picture_the_input_is_sound(pixels: NDArray[np.generic], size: int) -> None:
    prepared = prepare(grey_slice(pixels), size)
    assert prepared.pixels.shape == (size, size)
    assert prepared.pixels.dtype == np.float32
    assert np.isfinite(prepared.pixels).all()
    assert prepared.pixels.min() >= 0
    assert prepared.pixels.max() <= 1
    assert 0 <= prepared.contrast <= 1 + 1e-6
    left, top, right, bottom = prepared.box
    assert right - left == bottom - top > 0


def test_preparing_changes_nothing_and_repeats_itself(phantom: Grey) -> None:
    before = phantom.copy()
    one, two = (prepare(grey_slice(phantom), 64) for _ in range(2))
    assert np.array_equal(phantom, before)
    assert np.array_equal(one.pixels, two.pixels)
    assert one.box == two.box


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 8 pixels, got 7"):
        prepare(grey_slice(np.zeros((20, 20), np.uint8)), 7)


def test_tensors_hold_the_picture_in_the_networks_own_way() -> None:
    pixels = np.linspace(0, 1, 2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)
    last = to_tensor(pixels, channels=3, value_range=(-1.0, 1.0), layout="NHWC")
    first = to_tensor(pixels, channels=1, value_range=(0.0, 255.0), layout="NCHW")
    assert last.shape == (2, 8, 8, 3)
    assert first.shape == (2, 1, 8, 8)
    assert last.dtype == first.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(last[..., channel], pixels * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(first[:, 0], pixels * 255, atol=1e-4)


@pytest.mark.parametrize("border", [20, 60, 200, 500])
def test_a_border_of_any_width_hardly_moves_the_box(phantom: Grey, border: int) -> None:
    plain = prepare(grey_slice(phantom), 64)
    bordered = prepare(grey_slice(np.pad(phantom, ((0, 0), (border, border)))), 64)
    for edge, other, moved in zip(plain.box, bordered.box, (border, 0, border, 0), strict=True):
        assert other - moved == pytest.approx(edge, abs=0.06 * (plain.box[2] - plain.box[0]))
