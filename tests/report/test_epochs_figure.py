"""The course of a run as a figure: everything there is, nothing on top of something else."""

from __future__ import annotations

import numpy as np

from figure_texts import overlaps, texts
from tumorlens.report.epochs_figure import draw_log
from tumorlens.report.style import figure_style, to_png


def test_a_log_is_drawn_with_and_without_validation() -> None:
    def epoch(number: int) -> dict[str, object]:
        scores = {"accuracy": 1 - 1 / (number + 1), "loss": 1 / number}
        return {"epoch": number, "training": scores, "validation": scores}

    log = [epoch(number) for number in range(1, 13)]
    blind = [{k: v for k, v in row.items() if k != "validation"} for row in log]
    with figure_style():
        both, one = draw_log(log), draw_log(blind)
        assert not overlaps(both)
        assert {"training", "validation", "epoch"} <= set(texts(both))
        assert "The log of 12 epochs" in texts(both)
        assert "validation" not in texts(one)
        assert [len(axes.lines) for axes in one.axes] == [1, 1]
        np.testing.assert_allclose(one.axes[1].lines[0].get_ydata(), 1 / np.arange(1.0, 13))
        assert to_png(draw_log(log[:1])).startswith(b"\x89PNG")
