"""Other looks of a slice: never beyond 8 bits, masks moving along, off when not asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorlens.data.phantom import draw_phantom
from tumorlens.train.appearance import vary
from tumorlens.train.recipe import Appearance

LOOKS = ("strip", "curve", "field", "blur", "noise", "border", "recolour")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("label", ["glioma", "notumor"])
def test_each_look_changes_the_picture_and_only_stripping_the_mask(look: str, label: str) -> None:
    phantom = draw_phantom(label, 3, 96)
    recipe = Appearance(**{look: 1.0})
    pixels = np.maximum(phantom.pixels, 30) if look == "border" else phantom.pixels  # no air
    picture, mask = vary(pixels, phantom.lesion, np.random.default_rng(1), recipe)
    assert picture.dtype == np.uint8
    assert picture.shape == mask.shape == (96, 96)
    assert mask.dtype == np.bool_
    assert (picture != pixels).any()
    assert np.array_equal(mask, phantom.lesion) == (look != "strip" or label == "notumor")


def test_nothing_asked_for_is_nothing_done() -> None:
    phantom = draw_phantom("pituitary", 5, 96)
    picture, mask = vary(phantom.pixels, phantom.lesion, np.random.default_rng(0), Appearance())
    np.testing.assert_array_equal(picture, phantom.pixels)
    np.testing.assert_array_equal(mask, phantom.lesion)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_picture_survives_all_looks(seed: int, value: int) -> None:
    every = Appearance(**dict.fromkeys(LOOKS, 1.0))
    flat = np.full((48, 48), value, np.uint8)
    picture, mask = vary(flat, np.zeros((48, 48), bool), np.random.default_rng(seed), every)
    assert picture.dtype == np.uint8
    assert not mask.any()


@pytest.mark.parametrize("seed", range(6))
def test_a_stripped_head_keeps_its_tumour_and_fills_the_input(seed: int) -> None:
    phantom = draw_phantom("meningioma", seed, 128)
    picture, mask = vary(
        phantom.pixels, phantom.lesion, np.random.default_rng(seed), Appearance(strip=1.0)
    )
    rows, columns = np.nonzero(picture > 12)
    assert max(np.ptp(rows), np.ptp(columns)) > 0.85 * 128
    assert mask.sum() >= phantom.lesion.sum()  # larger, for the brain now fills the input
    inside, outside = picture[mask].mean(), picture[(picture > 12) & ~mask].mean()
    assert inside > outside  # still where the bright tumour is


def test_grey_values_keep_their_order_under_a_curve() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    none = np.zeros(ramp.shape, bool)
    for seed in range(20):
        picture, _ = vary(ramp, none, np.random.default_rng(seed), Appearance(curve=1.0))
        assert (np.diff(picture[0].astype(int)) >= 0).all()
        assert (picture[0, 0], picture[0, -1]) == (0, 255)
