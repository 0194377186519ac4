"""Values that show nothing must not matter: padding, dead pixels, corners outside the scanner."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.images.outliers import leave_out
from tumorlens.images.prepare import PREPARATIONS, Prepared, prepare
from tumorlens.images.slice import Slice

Deep = NDArray[np.float32]


def deep_slice(pixels: NDArray[np.generic]) -> Slice:
    """A slice as the reader makes it of a TIFF deeper than eight bits."""
    return Slice(pixels.astype(np.float32), (float(pixels.min()), float(pixels.max())))


def same_input(one: Prepared, other: Prepared, *, within: float = 0.01) -> bool:
    return one.box == other.box and float(np.abs(one.pixels - other.pixels).mean()) < within


@pytest.fixture(params=CLASSES)
def scan(request: pytest.FixtureRequest) -> Deep:
    """A scan of ten bits, with noise in the air and a corner of it all around."""
    drawn = draw_phantom(request.param, seed=5, size=220).pixels.astype(np.float32) * 4
    noise = np.random.default_rng(1).rayleigh(6, (260, 260))
    return (np.rint(np.pad(drawn, 20) + noise)).astype(np.float32)


@pytest.fixture(params=PREPARATIONS)
def preparation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def outside_circle(side: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(np.hypot(x, y) > side / 2)


@pytest.mark.parametrize("value", [-100, -200, -500, -1000, -1024, -2000, -32768, 32767, 65535])
def test_one_dead_pixel_changes_nothing(scan: Deep, value: float, preparation: str) -> None:
    for place in ((0, 0), (3, 250), (130, 130), (259, 259)):
        spoilt = scan.copy()
        spoilt[place] = value
        plain = prepare(deep_slice(scan), 64, preparation)
        assert same_input(prepare(deep_slice(spoilt), 64, preparation), plain)


def test_scattered_dead_pixels_change_nothing(scan: Deep, preparation: str) -> None:
    random = np.random.default_rng(3)
    spoilt = scan.copy()
    spoilt.ravel()[random.choice(scan.size, 60)] = random.uniform(-3000, -900, 60)
    prepared = prepare(deep_slice(spoilt), 64, preparation)
    assert same_input(prepared, prepare(deep_slice(scan), 64, preparation))
    assert prepared.note is not None
    assert "left out 60 of 67,600 pixels" in prepared.note


@pytest.mark.parametrize(
    ("value", "offset"),
    [(-200, 0), *itertools.product((-1024, -2000, -32768, 32767, 65535, 1e20), (0, 32768))],
)
def test_padding_outside_the_circle_is_black(
    scan: Deep, value: float, offset: float, preparation: str
) -> None:
    corners = outside_circle(len(scan))
    black = np.where(corners, 0, scan)
    padded = np.where(corners, value, scan) + np.float32(offset)
    plain = prepare(deep_slice(black), 64, preparation)
    prepared = prepare(deep_slice(padded), 64, preparation)
    assert same_input(prepared, plain)
    assert prepared.note is not None
    assert "which show nothing" in prepared.note
    assert plain.note is None


def test_padding_at_both_ends_and_dead_pixels_at_once(scan: Deep, preparation: str) -> None:
    corners = outside_circle(len(scan))
    spoilt = np.where(corners, -2000, scan)
    spoilt[:30, :30], spoilt[-1, -1], spoilt[130, 100] = 32767, -9000, -3000
    plain = prepare(deep_slice(np.where(corners, 0, scan)), 64, preparation)
    assert same_input(prepare(deep_slice(spoilt), 64, preparation), plain)


def test_padding_that_was_resampled_is_left_out_with_its_seam(scan: Deep, preparation: str) -> None:
    corners = outside_circle(len(scan))
    padded = np.where(corners, -2000, scan)
    seam = padded.copy()
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        moved = np.roll(padded, step, axis)
        mixed = (moved == -2000) & (padded > -2000)
        seam[mixed] = (scan[mixed] - 2000) / 2
    plain = prepare(deep_slice(np.where(corners, 0, scan)), 64, preparation)
    assert same_input(prepare(deep_slice(seam), 64, preparation), plain)


def test_ordinary_slices_are_left_as_they_are(scan: Deep) -> None:
    brain = np.where(scan > 120, scan, 0)  # the skull or the air taken off: plain black
    scores = (scan - scan.mean()) / scan.std()
    eight = np.clip(scan / 4, 0, 255).astype(np.uint8)
    for picture in (deep_slice(scan), deep_slice(brain), deep_slice(scores), deep_slice(-scan)):
        assert leave_out(picture) == (picture, None)
    picture = Slice(eight, (0.0, 255.0))
    assert leave_out(picture) == (picture, None)


@pytest.mark.parametrize("levels", [(0, 255), (0, 110, 250), (-5, 0, 7), (0, 9000, 10000)])
def test_drawings_of_few_greys_are_left_as_they_are(levels: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).choice(np.array(levels), (90, 90))
    picture = deep_slice(pixels)
    assert leave_out(picture) == (picture, None)


def test_a_plate_of_plain_white_is_left_out_of_eight_bits() -> None:
    dim = draw_phantom("glioma", seed=2, size=200).pixels // 3
    plated = dim.copy()
    plated[:20, :60] = 255
    kept, note = leave_out(Slice(plated, (0.0, 255.0)))
    assert kept.pixels.dtype == np.uint8
    assert kept.pixels.max() <= dim.max()
    assert note is not None
