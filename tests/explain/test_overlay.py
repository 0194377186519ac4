"""Pictures of explanations: evidence in colour, everything else as it was."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tumorlens.explain.overlay import blend, contact_sheet, panel
from tumorlens.images.slice import Slice

GREY = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)


def heat(value: float) -> np.ndarray:
    return np.full(GREY.shape, value, np.float32)


@pytest.mark.parametrize(("value", "alpha"), [(0.0, 1.0), (1.0, 0.0)])
def test_without_evidence_the_picture_stays_grey(value: float, alpha: float) -> None:
    shown = np.asarray(blend(GREY, heat(value), alpha))
    for channel in range(3):
        np.testing.assert_array_equal(shown[..., channel], GREY)


def test_full_evidence_is_the_end_of_the_scale() -> None:
    shown = np.asarray(blend(GREY, heat(1.0), 1.0))
    assert (shown == (252, 255, 164)).all()


def test_more_evidence_is_more_colour() -> None:
    mid = np.full((1, 101), 120, np.uint8)
    ramp = np.linspace(0, 1, 101, dtype=np.float32)[None]
    shown = np.asarray(blend(mid, ramp)).astype(int)[0]
    away = np.abs(shown - 120).sum(axis=1)
    assert (np.diff(away[::20]) > 0).all()


def test_the_overlay_has_the_size_of_the_slice() -> None:
    assert blend(GREY, heat(0.5)).size == (30, 20)
    assert blend(GREY, heat(0.5)).mode == "RGB"


def test_another_colour_map_may_be_asked_for() -> None:
    assert (np.asarray(blend(GREY, heat(1.0), 1.0, "viridis")) == (253, 231, 37)).all()
    with pytest.raises(ValueError, match="no colour map 'jet'"):
        blend(GREY, heat(1.0), 1.0, "jet")


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_a_density_that_cannot_be_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="`alpha` must be from 0 to 1"):
        blend(GREY, heat(0), alpha)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        blend(GREY, np.zeros((30, 20), np.float32))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2), (300, 200), (1500, 1400)])
def test_panels_of_any_shape_hold_both_pictures(shape: tuple[int, int]) -> None:
    picture = Slice(np.full(shape, 200, np.uint8), (0.0, 255.0))
    overlay = Image.new("RGB", (shape[1], shape[0]), (255, 0, 0))
    sheet = np.asarray(panel(picture, overlay, "title", "footer"))
    red = (sheet == (255, 0, 0)).all(axis=-1)
    grey = (sheet == (200, 200, 200)).all(axis=-1)
    assert red.sum() > 1000
    assert abs(int(red.sum()) - int(grey.sum())) < 9  # a letter may hold a pixel of that grey
    assert np.median(np.nonzero(grey)[1]) < np.nonzero(red)[1].min()
    assert sheet.shape[0] < 1000
    assert sheet.shape[1] < 1800


def test_a_long_caption_is_not_cut_off() -> None:
    picture = Slice(GREY, (0.0, 255.0))
    overlay = blend(GREY, heat(0))
    short = panel(picture, overlay, "t", "f")
    long = panel(picture, overlay, "t", "a very long footer indeed " * 12)
    assert long.width > short.width
    assert not (np.asarray(long)[:, -5:] != np.asarray(long)[0, 0]).any()


def test_a_contact_sheet_has_room_for_all_of_its_words() -> None:
    """Ink at the right edge would be a word that was cut."""
    tile = Image.new("RGB", (40, 40), (16, 16, 20))
    reason = "not assessable: the picture is unlike the slices the model knows, and it says so"
    for tiles, title in (
        ([(tile, "a", "b")], reason),
        ([(tile, "a layer with a very long name of its own, and more", "b")], "t"),
    ):
        sheet = np.asarray(contact_sheet(tiles, title, "footer")).astype(int)
        assert (abs(sheet[:, -4:] - (16, 16, 20)) == 0).all()
