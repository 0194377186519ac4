"""What people are shown: the slice, as a viewer shows it."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.data.phantom import draw_phantom
from tumorlens.images.display import display_grey, display_range
from tumorlens.images.slice import Slice

GREY = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)


def test_eight_bits_are_shown_as_they_are() -> None:
    np.testing.assert_array_equal(display_grey(Slice(GREY, (0.0, 255.0))), GREY)


def test_deeper_pictures_are_stretched_and_keep_their_order() -> None:
    deep = np.linspace(-500, 3000, 600, dtype=np.float32).reshape(20, 30)
    deep[0, 0] = 60_000  # one hot pixel must not make the rest black
    shown = display_grey(Slice(deep, (-500.0, 60_000.0)))
    assert shown.dtype == np.uint8
    assert (np.diff(shown.ravel()[1:].astype(int)) >= 0).all()
    assert shown[0, 1] == 0
    assert shown[-1, -1] == 255
    assert 100 < shown[10, 0] < 155


def test_a_deep_blank_picture_is_black() -> None:
    assert not display_grey(Slice(np.full((5, 5), 7, np.float32), (7.0, 7.0))).any()


@pytest.mark.parametrize("value", [-2000, -1024, 32767])
def test_padding_does_not_darken_what_is_shown(value: float) -> None:
    deep = draw_phantom("glioma", 3, size=200).pixels.astype(np.float32) * 4
    deep += np.random.default_rng(1).rayleigh(5, deep.shape).astype(np.float32)
    padded = deep.copy()
    padded[:30] = padded[:, -20:] = value
    low, high = float(padded.min()), float(padded.max())
    plain = display_grey(Slice(deep, (float(deep.min()), float(deep.max()))))
    shown = display_grey(Slice(padded, (low, high)))
    inside = slice(30, None), slice(None, -20)
    np.testing.assert_allclose(shown[inside].astype(int), plain[inside].astype(int), atol=6)
    assert set(np.unique(shown[:30])) == {0 if value < 0 else 255}


def test_slices_of_a_volume_share_black_and_white() -> None:
    dim, bright = (
        Slice(np.full((9, 9), value, np.float32), (value, value)) for value in (200.0, 800.0)
    )
    shown = [int(display_grey(picture, (0.0, 1000.0))[0, 0]) for picture in (dim, bright)]
    assert shown == [51, 204]
    eight = Slice(GREY, (0.0, 255.0))
    np.testing.assert_array_equal(display_grey(eight, (0.0, 510.0)), GREY // 2)
    assert display_range(eight) == (0, 255)
