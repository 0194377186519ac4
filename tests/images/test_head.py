"""Where the head is, whatever stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.images.head import fill_largest
from tumorlens.images.prepare import Prepared, prepare
from tumorlens.images.slice import Slice

Grey = NDArray[np.uint8]


@pytest.fixture(params=CLASSES)
def scan(request: pytest.FixtureRequest) -> Grey:
    drawn = draw_phantom(request.param, seed=11, size=240).pixels
    return np.pad((drawn * 0.6).astype(np.uint8), 60)


def prepared(pixels: Grey) -> Prepared:
    return prepare(Slice(pixels, (0.0, 255.0)), 96, "head-crop/2")


def is_same_view(one: Prepared, other: Prepared) -> bool:
    """The box hardly moved, and the head is as bright as before."""
    side = one.box[2] - one.box[0]
    moved = max(abs(a - b) for a, b in zip(one.box, other.box, strict=True))
    middle = slice(24, 72), slice(24, 72)
    return moved <= 0.03 * side and float(np.abs(one.pixels - other.pixels)[middle].mean()) < 0.03


def captioned(pixels: Grey, lines: int, size: int) -> Grey:
    image = Image.fromarray(pixels)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for line in range(lines):
        draw.text((4, 2 + line * size), "HOSPITAL 12345", fill=255, font=font)
        draw.text((220, 354 - line * size), "W 400 L 200", fill=255, font=font, anchor="lb")
    return np.array(image)


@pytest.mark.parametrize(("lines", "size"), [(1, 12), (3, 12), (2, 20), (1, 30)])
def test_captions_stay_out_of_the_box(scan: Grey, lines: int, size: int) -> None:
    assert is_same_view(prepared(scan), prepared(captioned(scan, lines, size)))


@pytest.mark.parametrize("inset", [0, 5, 25])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_frame_stays_out_of_the_box(scan: Grey, inset: int, width: int) -> None:
    image = Image.fromarray(scan)
    side = scan.shape[0] - 1 - inset
    ImageDraw.Draw(image).rectangle((inset, inset, side, side), outline=255, width=width)
    assert is_same_view(prepared(scan), prepared(np.array(image)))


def test_a_ruler_stays_out_of_the_box(scan: Grey) -> None:
    ruled = scan.copy()
    ruled[40:320, 350:352] = 255
    ruled[40:320:20, 340:352] = 255
    assert is_same_view(prepared(scan), prepared(ruled))


@pytest.mark.parametrize("margin", [3, 20, 100])
@pytest.mark.parametrize("level", [120, 255])
def test_a_bright_margin_stays_out_of_the_box(scan: Grey, margin: int, level: int) -> None:
    paper = prepared(np.pad(scan, margin, constant_values=level))
    x0, y0, x1, y1 = (edge - margin for edge in paper.box)
    assert is_same_view(
        prepared(np.pad(scan, margin)), Prepared(paper.pixels, paper.box, paper.contrast)
    )
    assert prepared(scan).box == pytest.approx((x0, y0, x1, y1), abs=0.05 * (x1 - x0))


def test_white_corners_stay_out_of_the_box(scan: Grey) -> None:
    y, x = np.mgrid[: len(scan), : len(scan)] - (len(scan) - 1) / 2
    corners = np.where(np.hypot(x, y) > len(scan) / 2, 255, scan).astype(np.uint8)
    assert is_same_view(prepared(scan), prepared(corners))


def test_text_in_the_box_does_not_decide_what_white_is(scan: Grey) -> None:
    plain = prepared(scan)
    image = Image.fromarray(scan)
    corner = plain.box[0] + 6, plain.box[1] + 4
    ImageDraw.Draw(image).text(corner, "R", fill=255, font=ImageFont.load_default(30))
    texted = prepared(np.array(image))
    assert texted.contrast == pytest.approx(plain.contrast, rel=0.03)
    assert texted.box == pytest.approx(plain.box, abs=0.06 * (plain.box[2] - plain.box[0]))


def test_a_scalp_apart_from_the_brain_belongs_to_the_head() -> None:
    y, x = np.mgrid[:300, :300] - 149.5
    reach = np.hypot(x / 100, y / 120)
    pixels = np.where((reach < 0.8) | ((reach > 0.95) & (reach < 1)), 150, 0).astype(np.uint8)
    left, top, right, bottom = prepared(pixels).box
    assert bottom - top == pytest.approx(240 * 1.04, abs=8)
    assert (left + right, top + bottom) == pytest.approx((300, 300), abs=8)


@settings(deadline=None, max_examples=80)
@given(mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)))
def test_the_largest_piece_is_kept_and_filled_as_scipy_does(mask: NDArray[np.bool_]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    pieces, count = ndimage.label(mask)
    expected = np.zeros_like(mask)
    if count:
        largest = 1 + int(np.bincount(pieces.ravel())[1:].argmax())
        expected = ndimage.binary_fill_holes(pieces == largest)
    np.testing.assert_array_equal(fill_largest(mask), expected)
