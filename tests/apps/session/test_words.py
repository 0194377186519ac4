"""What a face says in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tumorlens.apps.session.rows import Row, State
from tumorlens.apps.session.words import answer_in_short, answer_text, any_tumour, time_left
from tumorlens.classifier import load
from tumorlens.data.phantom import draw_phantom


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (4.6, "5 s left"),
        (59.6, "1 min left"),
        (125, "2 min left"),
        (3700, "1 h 1 min left"),
    ],
)
def test_time_left_in_words(seconds: float | None, text: str) -> None:
    assert time_left(seconds) == text


def test_a_long_set_is_said_in_short() -> None:
    classes = ("glioma", "meningioma", "notumor", "pituitary")
    two = row_with(classes[1:3], classes)
    assert answer_text(two) == answer_in_short(two) == "meningioma or no tumour"
    three = row_with(classes[:3], classes)
    assert answer_text(three) == "glioma or meningioma or no tumour"
    assert answer_in_short(three) == "undecided, 3 of 4"


def row_with(found: tuple[str, ...], classes: tuple[str, ...]) -> Row:
    answer = load().predict(draw_phantom("glioma", 5, 96).pixels)
    assert set(answer.probabilities) == set(classes)
    answer = replace(answer, prediction_set=found, assessable=True)
    return Row(0, "x", "x.png", state=State.ANSWERED, prediction=answer)


def test_a_stroke_is_as_high_as_all_tumours_together() -> None:
    split = {"glioma": 0.16, "meningioma": 0.15, "notumor": 0.56, "pituitary": 0.13}
    one = {"glioma": 0.40, "meningioma": 0.01, "notumor": 0.58, "pituitary": 0.01}
    answer = load().predict(draw_phantom("glioma", 5, 96).pixels)
    high = [any_tumour(replace(answer, probabilities=given)) for given in (split, one)]
    assert high == pytest.approx([0.44, 0.42])
    assert any_tumour(replace(answer, probabilities={"glioma": 0.7, "pituitary": 0.3})) == 0.7
