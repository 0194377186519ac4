"""Tumours in other heads: seen where they are said to be, the rest untouched."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tumorlens.data.phantom import draw_phantom
from tumorlens.images.head import find_head
from tumorlens.train.paste import paste

SIZE = 128


def pair(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    donor = draw_phantom("meningioma", seed, SIZE)
    return draw_phantom("notumor", seed + 100, SIZE).pixels, donor.pixels, donor.lesion


@pytest.mark.parametrize("seed", range(12))
def test_a_pasted_tumour_is_seen_and_the_rest_untouched(seed: int) -> None:
    host, donor, mask = pair(seed)
    found = paste(host, donor, mask, np.random.default_rng(seed))
    assert found is not None
    picture, lies = found
    assert picture.dtype == np.uint8
    assert picture.shape == lies.shape == (SIZE, SIZE)
    assert find_head(host)[lies].all()
    assert np.abs(picture[lies].astype(float) - host[lies]).mean() > 8
    far = ~ndimage.binary_dilation(lies, iterations=SIZE // 8)
    np.testing.assert_array_equal(picture[far], host[far])
    assert 0.3 < lies.sum() / mask.sum() < 2


def test_it_lies_where_it_lay_give_or_take_a_little() -> None:
    away = []
    for seed in range(30):
        host, donor, mask = pair(0)
        found = paste(host, donor, mask, np.random.default_rng(seed), stray=0.02)
        assert found is not None
        flips = [mask, mask[::-1], mask[:, ::-1], mask[::-1, ::-1]]
        place = np.array(ndimage.center_of_mass(found[1]))
        steps = [np.abs(place - ndimage.center_of_mass(flip)).max() for flip in flips]
        away.append(min(steps))
    assert np.median(away) < 0.05 * SIZE


def test_dark_and_bright_change_places_now_and_then() -> None:
    host, donor, mask = pair(3)
    brighter = []
    for seed in range(60):
        found = paste(host, donor, mask, np.random.default_rng(seed))
        assert found is not None
        picture, lies = found
        ring = ndimage.binary_dilation(lies, iterations=4) & ~lies
        brighter.append(picture[lies].mean() > picture[ring].mean())
    assert 0.6 < np.mean(brighter) < 0.9  # drawn tumours are bright


def test_the_same_numbers_paste_alike() -> None:
    one, other = (paste(*pair(5), np.random.default_rng(4)) for _ in range(2))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one[0], other[0])


def test_there_may_be_nothing_to_paste_or_no_room() -> None:
    host, donor, mask = pair(0)
    random = np.random.default_rng(0)
    assert paste(host, donor, np.zeros_like(mask), random) is None
    assert paste(np.zeros_like(host), donor, mask, random) is None
    assert paste(host, donor, mask, random, spare=np.ones_like(mask)) is None
    flat = np.where(find_head(donor), np.uint8(100), np.uint8(0))
    assert paste(host, flat, mask, random) is None  # nothing of it would be seen
