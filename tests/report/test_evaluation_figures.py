"""The numbers drawn are the numbers measured, and every word can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure

from figure_texts import overlaps, texts
from tumorlens.data.folder import CLASSES
from tumorlens.evaluate.evaluation import Evaluation
from tumorlens.evaluate.metrics import reliability, summarise
from tumorlens.evaluate.parts import Part
from tumorlens.report.evaluation_figures import (
    draw_confusion,
    draw_parts,
    draw_precision_recall,
    draw_recall,
    draw_reliability,
    draw_roc,
)
from tumorlens.report.style import figure_style

Make = Callable[..., Evaluation]


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with figure_style():
        yield


def test_the_confusion_matrix_has_counts_and_shares() -> None:
    matrix = np.array([[1281, 15, 4, 0], [12, 1270, 33, 24], [0, 3, 1592, 0], [0, 0, 0, 0]])
    figure = draw_confusion(matrix, CLASSES)
    drawn = texts(figure)
    assert "1,281\n98.5 %" in drawn
    assert "meningioma\n(1,339)" in drawn
    image = figure.axes[0].images[0].get_array()
    assert np.asarray(image).sum(axis=1) == pytest.approx([1, 1, 1, 0])
    assert overlaps(figure) == []


def arrays(found: Evaluation) -> tuple[object, ...]:
    return found.answers.labels, found.answers.probabilities, found.summary


@pytest.mark.parametrize("perfect", [True, False])
@pytest.mark.parametrize("kinds", [4, 2, 1])
@pytest.mark.parametrize("draw", [draw_roc, draw_precision_recall])
def test_curves(draw: Callable[..., Figure], kinds: int, perfect: bool, evaluation: Make) -> None:
    found = evaluation(40, kinds=kinds, perfect=perfect)
    figure = draw(*arrays(found))
    measure = "auc" if draw is draw_roc else "average_precision"
    known = [c for c in CLASSES if found.summary.figures[f"{measure}.{c}"] is not None]
    extra = draw is draw_roc  # the diagonal
    assert len(figure.axes[0].lines) == len(known) + extra
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert len(legends) == len(known)
    for name, text in zip(known, legends, strict=True):
        assert text.endswith(f"{found.summary.figures[f'{measure}.{name}']:.4f}")
    assert overlaps(figure) == []


def test_an_empty_corner_says_so() -> None:
    truth, rows = np.array([0, 0, 1, 1]), np.array([[0.1, 0.9], [0.9, 0.1]] * 2)
    summary = summarise(truth, rows, classes=("a", "b"), bootstrap=0)
    assert "no curve comes here" in texts(draw_roc(truth, rows, summary))


def test_the_reliability_diagram(evaluation: Make) -> None:
    found = evaluation(400)
    bins = reliability(*arrays(found)[:2])  # type: ignore[arg-type]
    figure = draw_reliability(bins)
    assert f"Reliability: calibration error {bins.ece:.3f}" in texts(figure)
    bars = [bar.get_height() for bar in figure.axes[1].patches]
    assert bars == bins.counts.tolist()
    points = figure.axes[0].lines[1].get_ydata()
    full = bins.counts > 0
    assert points == pytest.approx(bins.right[full] / bins.counts[full])
    assert overlaps(figure) == []


@pytest.mark.parametrize("bootstrap", [0, 30])
@pytest.mark.parametrize("perfect", [True, False])
def test_recall_with_its_intervals(perfect: bool, bootstrap: int, evaluation: Make) -> None:
    found = evaluation(400, perfect=perfect, bootstrap=bootstrap)
    figure = draw_recall(found.summary)
    right = int(found.summary.confusion_matrix[3, 3])
    assert f"{right / 100:.3f}\n{right} of 100" in texts(figure)
    assert len(figure.axes[0].collections) == (8 if bootstrap else 4)
    assert overlaps(figure) == []


def test_recall_of_missing_classes_is_left_out() -> None:
    summary = summarise([0, 0], [[1, 0, 0, 0], [0, 1, 0, 0]], classes=CLASSES, bootstrap=0)
    assert "no tumour" not in texts(draw_recall(summary))


def test_parts_have_any_name() -> None:
    names = ["$x_1$ & a long name that goes on and on", "P001", "", "ünïcode"]
    parts = {name: Part(100, 10 * i, 50, 0) for i, name in enumerate(names)}
    figure = draw_parts("Groups", "Some.", parts)
    assert r"\$x_1\$ & a long name t…" in texts(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0, 0.1, 0.2, 0.3]
    assert overlaps(figure) == []
