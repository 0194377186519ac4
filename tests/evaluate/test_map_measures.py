"""Measures, worked by hand and by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from tumorlens.evaluate import map_measures
from tumorlens.evaluate.map_measures import FIXED, THRESHOLDS

HEAT = np.array([[1.0, 0.5, 0.0], [0.3, 0.2, 0.0]], np.float32)
MASK = np.array([[True, False, False], [True, False, True]])
MAPS = hnp.arrays(np.float32, (4, 5), elements=st.integers(0, 20).map(lambda i: i / 20))
MASKS = hnp.arrays(np.bool_, (4, 5)).filter(lambda mask: mask.any())


def test_worked_by_hand() -> None:
    assert map_measures.points_at(HEAT, MASK) == 1
    assert map_measures.points_at(HEAT, ~MASK) == 0
    assert map_measures.mass_in_mask(HEAT, MASK) == pytest.approx(1.3 / 2.0)
    curve = map_measures.iou_curve(HEAT, MASK)
    assert THRESHOLDS[FIXED] == 0.5
    assert curve[FIXED] == pytest.approx(1 / 4)  # two lit, one of them in a mask of three
    assert curve[THRESHOLDS.index(0.25)] == pytest.approx(2 / 4)
    assert curve[-1] == pytest.approx(1 / 3)


def test_places_that_share_the_peak_share_the_hit() -> None:
    heat = np.array([[1, 1, 1, 0]], np.float32)
    assert map_measures.points_at(heat, np.array([[True, False, False, True]])) == pytest.approx(
        1 / 3
    )


def test_a_flat_map_scores_nothing() -> None:
    flat = np.zeros_like(HEAT)
    assert map_measures.points_at(flat, MASK) == map_measures.mass_in_mask(flat, MASK) == 0
    assert not map_measures.iou_curve(flat, MASK).any()


def test_the_mask_itself_is_perfect_and_all_of_the_picture_is_chance() -> None:
    perfect, anywhere = MASK.astype(np.float32), np.ones_like(HEAT)
    for heat, wanted in ((perfect, 1.0), (anywhere, 0.5)):
        assert map_measures.points_at(heat, MASK) == wanted
        assert map_measures.mass_in_mask(heat, MASK) == wanted
        np.testing.assert_allclose(map_measures.iou_curve(heat, MASK), wanted)


@settings(deadline=None)
@given(heat=MAPS, mask=MASKS)
def test_the_curve_is_intersection_over_union_at_every_threshold(
    heat: np.ndarray, mask: np.ndarray
) -> None:
    for threshold, found in zip(THRESHOLDS, map_measures.iou_curve(heat, mask), strict=True):
        lit = heat >= np.float32(threshold)
        assert found == pytest.approx((lit & mask).sum() / (lit | mask).sum())


@settings(deadline=None)
@given(one=MAPS, other=MAPS)
def test_rank_correlation_is_spearmans(one: np.ndarray, other: np.ndarray) -> None:
    found = map_measures.rank_correlation(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert found == 0
    else:
        wanted = stats.spearmanr(one.ravel(), other.ravel()).statistic
        assert found == pytest.approx(wanted, abs=1e-9)


def test_the_prior_is_a_bell_at_the_middle_of_the_head() -> None:
    seen = np.zeros((90, 120), bool)
    seen[10:80, 20:100] = True
    heat = map_measures.centre_prior((20, 5, 100, 85), seen)
    assert np.unravel_index(heat.argmax(), heat.shape) in {(44, 59), (45, 60), (44, 60), (45, 59)}
    assert heat.max() == 1
    assert not heat[~seen].any()
    # A standard deviation is a sixth of the side: 80 / 6 pixels from the centre.
    assert heat[45, 60 + 13] == pytest.approx(np.exp(-0.5), abs=0.03)


def test_intervals_draw_whole_groups() -> None:
    values = {"alike": [1.0] * 50 + [0.0] * 50, "same": [0.4] * 100}
    found = map_measures.group_intervals(values, ["a"] * 50 + ["b"] * 50)
    assert found["alike"] == (0, 1)  # two patients prove little
    assert found["same"] == pytest.approx((0.4, 0.4))
    alone = map_measures.group_intervals(values, [""] * 100)
    assert alone["alike"] == pytest.approx((0.4, 0.6), abs=0.03)
