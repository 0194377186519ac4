"""Painting over: smooth, only where asked, and with a fair control."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.data.phantom import draw_phantom
from tumorlens.evaluate.hide import control_mask, hide, widen
from tumorlens.images.head import find_head
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice


def block(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


def test_a_ramp_is_continued_exactly() -> None:
    """A plane is harmonic: nothing may be seen of a patch that was cut out of it."""
    y, x = np.mgrid[:40, :50].astype(np.float32)
    pixels = 3 * x + 2 * y + 10
    mask = block((40, 50), slice(8, 30), slice(12, 33))
    cut = np.where(mask, 500, pixels).astype(np.float32)
    filled = hide(Slice(cut, (10.0, 500.0)), mask).pixels
    np.testing.assert_allclose(filled, pixels, atol=1e-2)


def test_at_the_border_the_grey_runs_out_level() -> None:
    pixels = np.full((20, 20), 70, np.uint8)
    mask = block((20, 20), slice(0, 9), slice(0, 20))
    pixels[mask] = 255
    filled = hide(Slice(pixels, (0.0, 255.0)), mask).pixels
    assert filled.dtype == np.uint8
    assert (filled == 70).all()


def test_only_the_mask_changes_and_stays_between_its_surroundings() -> None:
    picture = read_slices(draw_phantom("glioma", 7).pixels)[0]
    lesion = draw_phantom("glioma", 7).lesion
    mask = widen(lesion)
    assert (mask & lesion).sum() == lesion.sum() < mask.sum()
    painted = hide(picture, mask)
    np.testing.assert_array_equal(painted.pixels[~mask], picture.pixels[~mask])
    around = picture.pixels[widen(mask) & ~mask]
    assert painted.pixels[mask].min() >= around.min()
    assert painted.pixels[mask].max() <= around.max()
    assert painted.value_range == picture.value_range


def test_nothing_to_hide_changes_nothing_and_everything_cannot_be_hidden() -> None:
    picture = Slice(np.ones((4, 4), np.uint8), (0.0, 255.0))
    assert hide(picture, np.zeros((4, 4), bool)) is picture
    with pytest.raises(ValueError, match="covers the whole picture"):
        hide(picture, np.ones((4, 4), bool))


def test_the_head_is_found_with_all_it_encloses() -> None:
    phantom = draw_phantom("pituitary", 3)
    head = find_head(phantom.pixels)
    assert head[phantom.lesion].all()
    assert head[64, 64]
    assert not head[0].any()
    assert not find_head(np.zeros((9, 9), np.uint8)).any()


def test_the_control_is_the_mirror_image_where_there_is_room() -> None:
    head = block((100, 100), slice(10, 90), slice(20, 80))
    mask = block((100, 100), slice(40, 50), slice(25, 40))
    control = control_mask(mask, head)
    assert control is not None
    np.testing.assert_array_equal(np.argwhere(control), np.argwhere(mask[:, ::-1]))


def test_the_control_is_elsewhere_when_the_middle_is_taken() -> None:
    head = block((100, 100), slice(10, 90), slice(20, 80))
    mask = block((100, 100), slice(40, 52), slice(44, 56))
    control = control_mask(mask, head, seed=3)
    assert control is not None
    assert control.sum() == mask.sum()
    assert not (control & mask).any()
    assert (control & head).sum() >= 0.97 * control.sum()
    again = control_mask(mask, head, seed=3)
    assert again is not None
    np.testing.assert_array_equal(control, again)


def test_without_room_there_is_no_control() -> None:
    head = block((50, 50), slice(10, 40), slice(10, 40))
    assert control_mask(block((50, 50), slice(12, 38), slice(12, 38)), head) is None
    assert control_mask(block((50, 50), slice(1, 3), slice(1, 3)), np.zeros((50, 50), bool)) is None
