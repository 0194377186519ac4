"""Thresholds: by hand, against another library, and their promise kept on drawn patients."""

from __future__ import annotations

import numpy as np
import pytest
from crepes import ConformalClassifier

from tumorlens.trust.conformal import class_thresholds, sets_above

ALONE = 500 * [""]


def rows_of(true: list[float]) -> np.ndarray:
    """Probabilities of two classes; the first is true."""
    return np.stack([np.array(true), 1 - np.array(true)], axis=1)


def test_single_slices_by_hand() -> None:
    true = [i / 100 for i in range(100, 0, -1)]  # 1.00, 0.99, ..., 0.01
    found = class_thresholds(rows_of(true), np.zeros(100, int), [""] * 100, 0.9)[0]
    # The 91st of 100, since 0.9 * 101 = 90.9.
    assert found.lowest == pytest.approx(0.10)
    assert (found.slices, found.groups, found.promised) == (100, 100, 0.9)


def test_groups_count_alike_by_hand() -> None:
    # 19 patients with one good slice, one with 500 poor ones: a twentieth of the evidence.
    true = [0.9] * 19 + [0.1] * 500
    groups = [f"P{i}" for i in range(19)] + ["long"] * 500
    found = class_thresholds(rows_of(true), np.zeros(519, int), groups, 0.9)[0]
    assert found.lowest == 0.9  # 0.9 * 21 / 20 = 0.945 of the weight is reached within the 19
    assert found.groups == 20
    alone = class_thresholds(rows_of(true), np.zeros(519, int), [""] * 519, 0.9)[0]
    assert alone.lowest == 0.1


def test_too_few_groups_promise_less_and_too_few_slices_are_in_every_set() -> None:
    groups = [f"P{i % 12}" for i in range(240)]
    true = np.linspace(0.2, 1, 240)
    found = class_thresholds(rows_of(true.tolist()), np.zeros(240, int), groups, 0.95)
    assert found[0].promised == pytest.approx(0.95 * 241 / 240 * 12 / 13)
    assert 0.2 < found[0].lowest < 0.3
    assert (found[1].lowest, found[1].slices, found[1].promised) == (0.0, 0, 1.0)
    few = class_thresholds(rows_of([0.9] * 5), np.zeros(5, int), [""] * 5, 0.95)[0]
    assert (few.lowest, few.promised) == (0.0, 1.0)


# No level at which the rank is a whole number, where crepes (p >= 1 - level) counts one more.
@pytest.mark.parametrize("level", [0.8017, 0.9017, 0.9517])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_sets_as_crepes(level: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.dirichlet([1, 1, 1], 400)
    labels = np.array([random.choice(3, p=row) for row in rows])
    fresh = random.dirichlet([1, 1, 1], 300)
    theirs = ConformalClassifier()
    theirs.fit(1 - rows[np.arange(400), labels], bins=labels)
    expected = np.stack(
        [
            theirs.predict_set(
                1 - fresh[:, [c]], bins=np.full(300, c), confidence=level, smoothing=False
            )[:, 0]
            for c in range(3)
        ],
        axis=1,
    ).astype(bool)
    lowest = [x.lowest for x in class_thresholds(rows, labels, ALONE[:400], level)]
    ours = fresh >= lowest  # before the most probable class is put in
    np.testing.assert_array_equal(ours, expected)
    assert sets_above(fresh, lowest)[np.arange(300), fresh.argmax(axis=1)].all()


def test_the_promise_is_kept_for_patients_who_are_alike_within() -> None:
    random = np.random.default_rng(5)

    def patients(n: int) -> tuple[np.ndarray, list[str]]:
        sizes = random.choice([1, 2, 40], n)
        level = np.repeat(random.normal(2, 2, n), sizes)
        true = 1 / (1 + np.exp(-level - random.normal(0, 0.3, len(level))))
        return true, np.repeat([f"P{i}" for i in range(n)], sizes).tolist()

    covered = []
    for _ in range(300):
        true, groups = patients(40)
        lowest = class_thresholds(rows_of(true.tolist()), np.zeros(len(true), int), groups, 0.9)[
            0
        ].lowest
        new, whose = patients(20)
        hits = new >= lowest
        covered.append(
            np.mean([hits[np.array(whose) == name].mean() for name in dict.fromkeys(whose)])
        )
    assert np.mean(covered) >= 0.9 - 0.01
    assert np.mean(covered) <= 0.96
