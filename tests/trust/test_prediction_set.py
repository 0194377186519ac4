"""Probabilities and the sets gathered from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tumorlens.trust.prediction_set import choose_set, gather_set, softmax

NAMES = ("a", "b", "c", "d")


def test_softmax_worked_by_hand() -> None:
    logits = np.log(np.array([[1, 2, 5], [3, 3, 3]], np.float32))
    np.testing.assert_allclose(
        softmax(logits, 1.0), [[1 / 8, 2 / 8, 5 / 8], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6
    )
    np.testing.assert_allclose(
        softmax(2 * logits, 2.0), [[1 / 8, 2 / 8, 5 / 8], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6
    )


@pytest.mark.parametrize("scale", [1e4, 3e37])
def test_huge_logits_do_not_overflow(scale: float) -> None:
    rows = softmax(np.array([[scale, 0, -scale], [-scale, -scale, -scale]], np.float32), 0.5)
    np.testing.assert_allclose(rows, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


@given(
    logits=hnp.arrays(np.float32, (3, 4), elements=st.floats(-50, 50, width=32)),
    temperature=st.floats(0.1, 10),
)
def test_rows_add_up_keep_their_order_and_forget_a_shift(
    logits: np.ndarray, temperature: float
) -> None:
    rows = softmax(logits, temperature)
    assert rows.dtype == np.float64
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    for row, raw in zip(rows, logits, strict=True):
        assert row[raw.argmax()] == row.max()
    np.testing.assert_allclose(softmax(logits + np.float32(8), temperature), rows, atol=1e-4)


def test_a_higher_temperature_is_less_sure() -> None:
    logits = np.array([[2.0, 1.0, 0.0, 0.0]], np.float32)
    tops = [softmax(logits, t).max() for t in (0.5, 1, 2, 8)]
    assert tops == sorted(tops, reverse=True)
    assert len(set(tops)) == 4


@pytest.mark.parametrize(
    ("probabilities", "level", "wanted"),
    [
        ([0.1, 0.6, 0.25, 0.05], 0.5, ["b"]),
        ([0.1, 0.6, 0.25, 0.05], 0.6, ["b"]),
        ([0.1, 0.6, 0.25, 0.05], 0.61, ["b", "c"]),
        ([0.1, 0.6, 0.25, 0.05], 0.95, ["b", "c", "a"]),
        ([0.1, 0.6, 0.25, 0.05], 1.0, ["b", "c", "a", "d"]),
        ([0.0, 0.0, 1.0, 0.0], 0.95, ["c"]),
        ([0.25, 0.25, 0.25, 0.25], 0.5, ["a", "b"]),
    ],
)
def test_sets_worked_by_hand(probabilities: list[float], level: float, wanted: list[str]) -> None:
    assert gather_set(np.array(probabilities), NAMES, level) == wanted


@given(raw=hnp.arrays(np.float64, 4, elements=st.floats(0.001, 1)), level=st.floats(0.01, 1))
def test_a_set_reaches_the_level_and_not_one_class_further(raw: np.ndarray, level: float) -> None:
    probabilities = raw / raw.sum()
    chosen = gather_set(probabilities, NAMES, level)
    values = [probabilities[NAMES.index(name)] for name in chosen]
    assert values == sorted(values, reverse=True)
    assert sum(values) >= level - 1e-9
    assert sum(values[:-1]) < level
    left_out = set(NAMES) - set(chosen)
    assert all(probabilities[NAMES.index(name)] <= values[-1] for name in left_out)


@pytest.mark.parametrize(
    ("probabilities", "wanted"),
    [
        ([0.1, 0.6, 0.25, 0.05], ["b", "c"]),  # c by its own low threshold
        ([0.1, 0.3, 0.1, 0.5], ["d"]),  # never empty: the most probable is in all the same
        ([0.3, 0.3, 0.2, 0.2], ["a", "c"]),  # at the threshold counts
    ],
)
def test_thresholds_by_hand(probabilities: list[float], wanted: list[str]) -> None:
    row = np.array(probabilities)
    assert choose_set(row, NAMES, level=0.95, thresholds=(0.3, 0.5, 0.2, 0.6)) == wanted


def test_a_model_without_thresholds_gathers() -> None:
    row = np.array([0.1, 0.6, 0.25, 0.05])
    assert choose_set(row, NAMES, level=0.95) == gather_set(row, NAMES, 0.95)
