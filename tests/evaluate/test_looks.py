"""Looks: the same slice, plainly changed, and always in the same way."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.data.phantom import draw_phantom
from tumorlens.evaluate.looks import LOOKS


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_changes_the_picture_the_same_way_each_time(name: str) -> None:
    grey = draw_phantom("glioma", 2, 128).pixels
    one, other = LOOKS[name](grey), LOOKS[name](grey)
    assert one.dtype == np.uint8
    assert one.shape == grey.shape
    assert (one != grey).mean() > 0.05
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", LOOKS)
def test_an_empty_picture_survives(name: str) -> None:
    assert LOOKS[name](np.zeros((64, 64), np.uint8)).shape == (64, 64)


def test_curves_go_where_their_names_say() -> None:
    grey = draw_phantom("notumor", 1, 96).pixels
    inside = grey > 40
    assert LOOKS["brighter"](grey)[inside].mean() > grey[inside].mean()
    assert LOOKS["darker"](grey)[inside].mean() < grey[inside].mean()
    np.testing.assert_array_equal(LOOKS["upside down"](grey), grey[::-1, ::-1])
