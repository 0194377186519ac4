"""Figures are what a person works out by hand, and what scikit-learn says."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from tumorlens.data.folder import CLASSES
from tumorlens.errors import MissingExtraError
from tumorlens.evaluate.intervals import wilson_interval
from tumorlens.evaluate.metrics import reliability, summarise
from tumorlens.evaluate.parts import Part, break_down
from tumorlens.evaluate.resample import figures_by_weight, resample
from tumorlens.evaluate.sets import describe_acceptance, describe_sets

THREE = ("glioma", "notumor", "pituitary")
TRUTH = np.array([0, 0, 1, 1, 2, 2])
ANSWERS = np.array([0, 1, 1, 1, 2, 0])


def sure(answers: NDArray[Any], kinds: int, confidence: float = 0.8) -> NDArray[np.float64]:
    """Probabilities that answer so, the rest spread evenly."""
    rows = np.full((answers.size, kinds), (1 - confidence) / (kinds - 1))
    rows[np.arange(answers.size), answers] = confidence
    return rows


def noisy(n: int, seed: int, kinds: int = 4, lift: float = 2.0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    truth = random.integers(kinds, size=n)
    logits = random.normal(size=(n, kinds))
    logits[np.arange(n), truth] += lift
    rows = np.exp(logits)
    return truth, rows / rows.sum(axis=1, keepdims=True)


def test_every_figure_by_hand() -> None:
    found = summarise(TRUTH, sure(ANSWERS, 3), classes=THREE, bootstrap=0)
    assert found.confusion_matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert (found.n, found.units, found.resamples) == (6, 6, 0)
    assert found.support == {"glioma": 2, "notumor": 2, "pituitary": 2}
    assert found.figures == pytest.approx(
        {
            "accuracy": 4 / 6,
            "macro_f1": (1 / 2 + 4 / 5 + 2 / 3) / 3,
            "mcc": (4 * 6 - (4 + 6 + 2)) / np.sqrt((36 - 14) * (36 - 12)),
            "auc.macro": (5 / 8 + 7 / 8 + 6 / 8) / 3,
            "auc.glioma": 5 / 8,  # pairs: 3.5 of 4 for the one at 0.8, 1.5 for the one at 0.1
            "auc.notumor": 7 / 8,
            "auc.pituitary": 6 / 8,
            "average_precision.macro": (1 / 2 * 1 / 2 + 1 / 2 * 1 / 3 + 2 / 3 + 1 / 2 + 1 / 6) / 3,
            "average_precision.glioma": 1 / 2 * 1 / 2 + 1 / 2 * 1 / 3,
            "average_precision.notumor": 2 / 3,
            "average_precision.pituitary": 1 / 2 + 1 / 6,
            "ece": 0.8 - 4 / 6,
            "brier": (4 * (0.04 + 0.01 + 0.01) + 2 * (0.64 + 0.81 + 0.01)) / 6,
            "tumour_miss_rate": 1 / 4,
            "precision.glioma": 1 / 2,
            "precision.notumor": 2 / 3,
            "precision.pituitary": 1,
            "recall.glioma": 1 / 2,
            "recall.notumor": 1,
            "recall.pituitary": 1 / 2,
            "f1.glioma": 1 / 2,
            "f1.notumor": 4 / 5,
            "f1.pituitary": 2 / 3,
        }
    )
    assert found.intervals == {}
    assert found.undefined == {}


def test_the_calibration_error_adds_up_gaps_of_bins() -> None:
    rows = np.array([[0.95, 0.05], [0.95, 0.05], [0.61, 0.39], [0.39, 0.61]])
    truth = np.array([0, 1, 0, 1])
    bins = reliability(truth, rows)
    assert bins.counts.tolist() == [0] * 9 + [2] + [0] * 4 + [2]
    assert bins.right.tolist() == [0] * 9 + [2] + [0] * 4 + [1]
    assert bins.ece == pytest.approx((2 * 0.39 + 2 * 0.45) / 4)
    edges = reliability([0, 0], [[9 / 15, 6 / 15], [10 / 15, 5 / 15]])  # a bin has its upper end
    assert np.flatnonzero(edges.counts).tolist() == [8, 9]


def test_wilson_by_hand() -> None:
    z2 = 3.841458820694124
    assert wilson_interval(0, 10) == pytest.approx((0, z2 / (10 + z2)))
    assert wilson_interval(0, 0) is None
    found = summarise(TRUTH, sure(ANSWERS, 3), classes=THREE, bootstrap=0).wilson
    assert found["tumour_miss_rate"] == wilson_interval(1, 4)
    assert found["recall.notumor"] == wilson_interval(2, 2)
    assert found["accuracy"] == wilson_interval(4, 6)


def test_missing_classes_are_undefined_with_a_reason_and_never_nan() -> None:
    truth = np.array([0, 0, 1, 1])
    found = summarise(truth, sure(np.array([0, 1, 1, 1]), 4), classes=CLASSES, bootstrap=50)
    assert found.figures["recall.notumor"] is None
    assert found.undefined["recall.notumor"] == "no picture of notumor"
    assert found.undefined["macro_f1"] == "no picture of notumor, pituitary"
    assert found.undefined["precision.pituitary"] == "pituitary was never answered"
    assert found.figures["auc.macro"] is None
    assert found.figures["auc.glioma"] is not None
    assert found.figures["tumour_miss_rate"] == 0
    assert found.intervals["macro_f1"] is None
    assert {name for name, value in found.figures.items() if value is None} == {
        name for name in found.undefined if not name.startswith("intervals.")
    }
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["per_class"]["notumor"]["recall"] is None


def test_one_class_alone_and_one_answer_alone() -> None:
    alone = summarise([2, 2], sure(np.array([2, 0]), 4), classes=CLASSES, bootstrap=20)
    assert alone.figures["mcc"] is None
    assert alone.undefined["mcc"] == "every picture is of one class"
    assert alone.undefined["auc.notumor"] == "every picture is of notumor"
    assert alone.undefined["tumour_miss_rate"] == "no picture of a tumour"
    same = summarise([0, 1, 2, 3], sure(np.array([2] * 4), 4), classes=CLASSES, bootstrap=0)
    assert same.figures["mcc"] == 0
    assert same.figures["tumour_miss_rate"] == 1
    other = summarise([0, 1], sure(np.array([0, 1]), 2), classes=("a", "b"), bootstrap=0)
    assert other.undefined == {"tumour_miss_rate": "there is no class notumor"}


def test_one_group_gives_no_intervals() -> None:
    truth, rows = noisy(20, 0)
    found = summarise(truth, rows, classes=CLASSES, groups=["P1"] * 20, bootstrap=10)
    assert found.units == 1
    assert set(found.intervals.values()) == {None}
    assert found.undefined["intervals.accuracy"] == "all pictures are of one group"


def test_copies_within_a_group_add_no_certainty() -> None:
    truth, rows = noisy(60, 1)
    once = summarise(truth, rows, classes=CLASSES, bootstrap=300)
    groups = [f"P{i}" for i in range(60) for _ in range(5)]
    five = (np.repeat(truth, 5), np.repeat(rows, 5, axis=0))
    grouped = summarise(*five, classes=CLASSES, groups=groups, bootstrap=300)
    assert grouped.units == 60
    for name, interval in once.intervals.items():
        assert grouped.intervals[name] == pytest.approx(interval)
    single = summarise(*five, classes=CLASSES, bootstrap=300).intervals["accuracy"]
    assert single is not None
    wide = grouped.intervals["accuracy"]
    assert wide is not None
    assert single[1] - single[0] < 0.6 * (wide[1] - wide[0])


def test_pictures_without_a_group_stand_for_themselves() -> None:
    truth, rows = noisy(6, 2)
    found = summarise(truth, rows, classes=CLASSES, groups=["a", "a", "", "", "b", "0"])
    assert found.units == 5


def test_the_same_seed_draws_the_same() -> None:
    truth, rows = noisy(80, 3)
    first, same, other = (
        summarise(truth, rows, classes=CLASSES, bootstrap=100, seed=seed).intervals
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_draws_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, rows = noisy(50, 4)
    steps: list[int] = []
    whole = resample(truth, rows, np.arange(50), CLASSES, resamples=30, seed=0)
    monkeypatch.setattr("tumorlens.evaluate.resample._BLOCK", 350)
    parts = resample(
        truth,
        rows,
        np.arange(50),
        CLASSES,
        resamples=30,
        seed=0,
        progress=lambda _stage, done, _total, _note="": steps.append(done),
    )
    assert steps == [7, 14, 21, 28, 30]
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values)


labels_and_weights = st.integers(8, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
        st.integers(0, 2**16),
    )
)


@settings(deadline=None, max_examples=60)
@given(labels_and_weights)
def test_weighted_figures_are_those_of_scikit_learn(case: tuple[Any, ...]) -> None:
    truth, weights, seed = np.array(case[0]), np.array(case[1], dtype=float), case[2]
    _, rows = noisy(truth.size, seed, lift=0)
    rows = np.round(rows, 1) + 0.01  # equal scores too
    rows /= rows.sum(axis=1, keepdims=True)
    seen = truth[weights > 0]
    assume(set(seen.tolist()) == {0, 1, 2, 3})
    answers = rows.argmax(axis=1)
    compute = figures_by_weight(truth, rows, np.arange(truth.size), CLASSES)
    found = {name: value.item() for name, value in compute(weights[None]).items()}
    also = {"sample_weight": weights}
    assert found["accuracy"] == pytest.approx(
        sklearn_metrics.accuracy_score(truth, answers, **also)
    )
    assert found["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, answers, average="macro", zero_division=0, **also)
    )
    assert found["mcc"] == pytest.approx(
        sklearn_metrics.matthews_corrcoef(truth, answers, **also), abs=1e-9
    )
    assert found["brier"] == pytest.approx(
        sklearn_metrics.brier_score_loss(truth, rows, labels=range(4), scale_by_half=False, **also)
    )
    for c, name in enumerate(CLASSES):
        assert found[f"auc.{name}"] == pytest.approx(
            sklearn_metrics.roc_auc_score(truth == c, rows[:, c], **also)
        )
        assert found[f"recall.{name}"] == pytest.approx(
            sklearn_metrics.recall_score(truth == c, answers == c, zero_division=0, **also)
        )


@settings(deadline=None, max_examples=40)
@given(st.integers(5, 60), st.integers(0, 2**16), st.floats(0, 4))
def test_order_does_not_matter_and_figures_keep_their_bounds(
    n: int, seed: int, lift: float
) -> None:
    truth, rows = noisy(n, seed, lift=lift)
    found = summarise(truth, rows, classes=CLASSES, bootstrap=0)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = summarise(truth[order], rows[order], classes=CLASSES, bootstrap=0)
    assert shuffled.figures == pytest.approx(found.figures)
    assert shuffled.undefined == found.undefined
    for name, value in found.figures.items():
        if value is not None:
            low, high = {"mcc": (-1, 1), "brier": (0, 2)}.get(name, (0, 1))
            assert low - 1e-9 <= value <= high + 1e-9, name
    # The bulk formulas agree, with every picture drawn once.
    bulk = figures_by_weight(truth, rows, np.arange(n), CLASSES)(np.ones((1, n)))
    for name, numbers in bulk.items():
        one = found.figures[name]
        assert numbers.item() == pytest.approx(np.nan if one is None else one, nan_ok=True)


@settings(deadline=None, max_examples=20)
@given(st.integers(4, 60), st.integers(0, 2**16))
def test_perfect_answers_are_perfect(n: int, seed: int) -> None:
    truth = np.r_[np.arange(4), np.random.default_rng(seed).integers(4, size=n)]
    found = summarise(truth, sure(truth, 4, 1.0), classes=CLASSES, bootstrap=20)
    zero = {"ece", "brier", "tumour_miss_rate"}
    for name, value in found.figures.items():
        assert value == pytest.approx(0 if name in zero else 1)
    assert found.intervals["accuracy"] == (1, 1)
    wilson = found.wilson["accuracy"]
    assert wilson is not None
    assert wilson[0] < 1  # which the bootstrap cannot see


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**16))
def test_intervals_hold_the_figure_on_sane_data(seed: int) -> None:
    truth, rows = noisy(400, seed)
    found = summarise(truth, rows, classes=CLASSES, bootstrap=200, seed=seed)
    for name, interval in found.intervals.items():
        value = found.figures[name]
        assert interval is not None
        assert value is not None
        if name != "ece":  # whose resamples are biased upwards
            assert interval[0] <= value <= interval[1], name


def test_parts_are_counted() -> None:
    truth, answers = np.array([0, 1, 2, 2, 3]), np.array([0, 2, 2, 0, 2])
    parts = break_down(truth, answers, ["b", "a", "a", "b", "a"], classes=CLASSES)
    assert parts == {"a": Part(3, 1, 2, 2), "b": Part(2, 1, 1, 0)}
    assert list(parts) == ["a", "b"]
    assert parts["a"].accuracy == pytest.approx(1 / 3)
    assert break_down([0], [1], ["a"], classes=("x", "y"))["a"] == Part(1, 0, 0, 0)


def test_sets_are_sized_and_covered() -> None:
    sets = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1]], dtype=bool)
    found = describe_sets([0, 0, 0], sets, [0, 0, 2], classes=CLASSES)
    assert found["mean_size"] == pytest.approx(2)
    assert found["coverage"] == pytest.approx(2 / 3)
    wanted = {"mean_size": 2.0, "coverage": pytest.approx(2 / 3), "one_class": 0.5}
    assert found["per_class"]["glioma"] == wanted
    assert found["per_class"]["notumor"] == dict.fromkeys(wanted)


def test_a_class_that_is_always_hedged_shows() -> None:
    """Ninety sure answers and ten hedged ones of another class: the mean size hides them."""
    labels = np.repeat([0, 2], [90, 10])
    sets = np.eye(4, dtype=bool)[labels]
    sets[90:, 1] = True
    found = describe_sets(labels, sets, labels, classes=CLASSES, bootstrap=50)
    assert found["mean_size"] == pytest.approx(1.1)
    assert found["one_class"] == 0.9
    assert found["per_class"]["glioma"]["one_class"] == 1
    assert found["per_class"]["notumor"]["one_class"] == 0
    assert found["per_class"]["notumor"]["intervals"]["one_class"] == (0, 0)


@pytest.mark.parametrize(
    ("labels", "rows", "message"),
    [
        ([], np.zeros((0, 4)), "`labels` must be whole numbers"),
        ([0.5], [[1, 0, 0, 0]], "`labels` must be whole numbers"),
        ([4], [[1, 0, 0, 0]], "from 0 to 3, got 4"),
        ([0], [[1, 0]], r"must have shape \(1, 4\)"),
        ([0], [[0.5, 0, 0, 0]], "add up to 1"),
        ([0], [[1.5, -0.5, 0, 0]], "from 0 to 1"),
        ([0], [[np.nan, 1, 0, 0]], "from 0 to 1"),
    ],
)
def test_wrong_arrays_are_refused(labels: Any, rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        summarise(labels, rows, classes=CLASSES)


def test_groups_must_fit() -> None:
    with pytest.raises(ValueError, match="must name 1 groups, got 2"):
        summarise([0], [[1, 0, 0, 0]], classes=CLASSES, groups=["a", "b"])


def test_single_precision_probabilities_are_taken_without_a_warning() -> None:
    truth, rows = noisy(30, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summarise(truth, rows.astype(np.float32), classes=CLASSES, bootstrap=5)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingExtraError, match=r"tumorlens\[evaluate\]"):
        summarise([0], [[1, 0, 0, 0]], classes=CLASSES)


def test_shares_have_intervals_over_groups() -> None:
    labels = np.tile([0, 1], 30)
    sets = np.zeros((60, 4), dtype=bool)
    sets[np.arange(60), labels] = np.arange(60) >= 12  # six of the thirty pairs miss both
    sets[:, 3] = True
    pairs = [f"P{i // 2}" for i in range(60)]
    found = describe_sets(
        labels, sets, labels, classes=CLASSES, groups=pairs, bootstrap=400, seed=1
    )
    assert found["coverage"] == 0.8
    low, high = found["intervals"]["coverage"]
    # Of 30 pairs: 0.8 +- 1.96 * sqrt(0.8 * 0.2 / 30), twice as wide in variance as of 60 slices.
    assert low == pytest.approx(0.8 - 0.143, abs=0.04)
    assert high == pytest.approx(0.8 + 0.143, abs=0.04)
    assert found["per_class"]["glioma"]["mean_size"] == pytest.approx(1.8)
    assert found["per_class"]["notumor"]["coverage"] is None
    assert set(found["per_class"]["notumor"]["intervals"].values()) == {None}
    alone = describe_sets(labels, sets, labels, classes=CLASSES, bootstrap=400, seed=1)
    assert np.ptp(alone["intervals"]["coverage"]) < 0.85 * (high - low)


def test_the_accepted_share_has_an_interval() -> None:
    assessable = np.arange(50) >= 5
    found = describe_acceptance(assessable, bootstrap=300)
    assert (found["n"], found["share"]) == (45, 0.9)
    assert 0.78 < found["interval"][0] < 0.9 < found["interval"][1] < 0.99
    assert describe_acceptance(assessable)["interval"] is None
    assert describe_acceptance(np.ones(50, bool), bootstrap=9)["interval"] == (1.0, 1.0)
