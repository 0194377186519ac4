"""Maps by changing the picture, with scores that are worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.explain.cam import score_cam
from tumorlens.explain.perturb import occlude, score_all, score_channels
from tumorlens.models.card import FeatureLayer

Array = NDArray[Any]
LAYER = FeatureLayer("dots", 16.0, 7.5, "NHWC")


def brightness_at(row: int, column: int) -> Any:
    """A network that looks at one place only, and counts what it is shown."""

    def score(pictures: Array) -> Array:
        score.seen += len(pictures)  # type: ignore[attr-defined]
        score.most = max(score.most, len(pictures))  # type: ignore[attr-defined]
        return pictures[:, row - 3 : row + 4, column - 3 : column + 4].mean(axis=(1, 2))

    score.seen = score.most = 0  # type: ignore[attr-defined]
    return score


@pytest.mark.parametrize("spot", [(20, 30), (40, 12)])
def test_occlusion_peaks_where_the_network_looks(spot: tuple[int, int]) -> None:
    pixels = np.full((64, 64), 0.2, np.float32)
    pixels[spot[0] - 3 : spot[0] + 4, spot[1] - 3 : spot[1] + 4] = 1
    score = brightness_at(*spot)
    cells, place = occlude(pixels, score)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    centre = place.offset + place.stride * np.array([row, column])
    assert np.abs(centre - spot).max() <= place.stride / 2 + 0.5
    # A patch that hides it all takes away the difference to the mean grey.
    assert cells.max() <= 1 - pixels.mean() + 1e-6
    assert place.name == "input"
    # Patches of 8, every 4 pixels: 15 by 15, and the whole picture once.
    assert cells.shape == (15, 15)
    assert score.seen == 15 * 15 + 1
    assert score.most <= 16  # memory stays flat


def test_hiding_what_speaks_against_the_class_is_no_evidence_for_it() -> None:
    pixels = np.full((64, 64), 0.8, np.float32)
    pixels[28:36, 28:36] = 0
    cells, _ = occlude(pixels, brightness_at(32, 32))
    assert cells[7, 7] == 0


def test_score_cam_prefers_the_channel_that_shows_what_counts() -> None:
    activations = np.zeros((4, 4, 3), np.float32)
    activations[1, 2, 0] = 5  # shows the place that counts
    activations[3, 0, 1] = 5  # shows another
    activations[..., 2] = 9  # shows nothing: the same everywhere
    pixels = np.ones((64, 64), np.float32)
    score = brightness_at(24, 40)
    found = score_channels(activations, LAYER, pixels, score)
    # The mask is 1 at the centre of the cell, between pixels 23 and 24, and 3 pixels on a bit less.
    row = np.interp(np.arange(64), [7.5, 23.5, 39.5], [0, 1, 0])
    column = np.interp(np.arange(64), [23.5, 39.5, 55.5], [0, 1, 0])
    rise = np.outer(row, column)[21:28, 37:44].mean() / np.outer(row, column).max()
    wanted = score_cam(activations, np.array([rise, 0, -np.inf], np.float32))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found[1, 2] > found[3, 0] > 0
    assert found[0, 0] == 0
    assert score.seen == 3  # two channels and black


def test_scoring_goes_by_batches_and_keeps_the_order() -> None:
    sizes: list[int] = []

    def score(pictures: Array) -> Array:
        sizes.append(len(pictures))
        return pictures[:, 0, 0]

    pictures = (np.full((8, 8), i, np.float32) for i in range(37))
    np.testing.assert_array_equal(score_all(score, pictures), np.arange(37))
    assert sizes == [16, 16, 5]
    assert score_all(score, iter(())).shape == (0,)


def test_progress_is_told_and_can_end_the_work() -> None:
    told: list[tuple[int, int]] = []

    def progress(_: str, done: int, total: int) -> None:
        told.append((done, total))
        if done > 60:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        occlude(np.zeros((64, 64), np.float32), brightness_at(32, 32), progress)
    assert told == [(16, 225), (32, 225), (48, 225), (64, 225)]
