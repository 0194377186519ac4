"""Pictures without their tumour: covered with tissue, elsewhere untouched."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tumorlens.data.phantom import draw_phantom
from tumorlens.images.head import find_head
from tumorlens.train.paint import cover, place_elsewhere

SIZE = 128


def head(seed: int = 0, label: str = "meningioma") -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    phantom = draw_phantom(label, seed, SIZE)
    return phantom.pixels, phantom.lesion


@pytest.mark.parametrize("seed", range(8))
def test_a_covered_tumour_is_gone_and_the_rest_untouched(seed: int) -> None:
    picture, mask = head(seed)
    painted = cover(picture, mask, np.random.default_rng(seed))
    assert painted is not None
    assert painted.dtype == np.uint8
    far = ~ndimage.binary_dilation(mask, iterations=8)
    np.testing.assert_array_equal(painted[far], picture[far])
    ring = ndimage.binary_dilation(mask, iterations=8) & ~ndimage.binary_dilation(
        mask, iterations=4
    )
    around = float(picture[ring].mean())
    before, after = (abs(float(p[mask].mean()) - around) for p in (picture, painted))
    assert before > 25  # drawn tumours are brighter than what surrounds them
    assert after < before / 2


def test_the_same_numbers_cover_alike() -> None:
    picture, mask = head()
    one, other = (cover(picture, mask, np.random.default_rng(4)) for _ in range(2))
    assert one is not None
    np.testing.assert_array_equal(one, other)


def test_what_is_to_be_spared_covers_nothing() -> None:
    picture = np.full((SIZE, SIZE), 90, np.uint8)
    picture[:16], picture[-16:], picture[:, :16], picture[:, -16:] = 0, 0, 0, 0
    picture[40:60, 40:60] = 250
    spare = np.zeros_like(picture, dtype=bool)
    spare[38:62, 38:62] = True
    patch = np.zeros_like(spare)
    patch[80:95, 80:95] = True
    for seed in range(20):
        painted = cover(picture, patch, np.random.default_rng(seed), spare=spare)
        assert painted is not None
        assert painted[patch].max() <= 110


def test_there_may_be_no_room() -> None:
    picture, _ = head()
    whole = find_head(picture)
    assert cover(picture, whole, np.random.default_rng(0)) is None
    assert place_elsewhere(whole, picture, np.random.default_rng(0)) is None
    black = np.zeros_like(picture)
    assert not find_head(black).any()
    patch = np.zeros(black.shape, bool)
    patch[5:9, 5:9] = True
    assert place_elsewhere(patch, black, np.random.default_rng(0)) is None
    assert place_elsewhere(np.zeros_like(patch), picture, np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_patch_is_placed_on_tissue_and_off_the_tumour(seed: int) -> None:
    picture, mask = head(seed)
    found = place_elsewhere(mask, picture, np.random.default_rng(seed))
    assert found is not None
    assert found.sum() == mask.sum()
    assert not (found & mask).any()
    assert find_head(picture)[found].mean() >= 0.95
    rows, columns = np.nonzero(mask)
    there, across = np.nonzero(found)
    assert (np.ptp(rows), np.ptp(columns)) == (np.ptp(there), np.ptp(across))
