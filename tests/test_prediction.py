"""How an answer is shown in a notebook."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.classifier import Classifier
from tumorlens.prediction import Prediction

ANSWER = Prediction(
    path="<b>&.png",
    slice=3,
    label="notumor",
    confidence=0.75,
    probabilities={"glioma": 0.25, "notumor": 0.75},
    prediction_set=("notumor", "glioma"),
    assessable=True,
    reason=None,
    model="<i>@1",
    logits=(0.0, 1.0),
)


def test_a_notebook_shows_words_figures_and_bars() -> None:
    shown = ANSWER._repr_html_()
    assert "<b>no tumour</b> 75.0% (or glioma)" in shown
    assert "width:120px" in shown
    assert "25.0%" in shown
    assert "slice 3" in shown
    assert "research use only" in shown


def test_a_notebook_is_shown_no_markup_of_others() -> None:
    for answer in (ANSWER, dataclasses.replace(ANSWER, assessable=False, reason="<script>")):
        shown = answer._repr_html_()
        assert "&lt;b&gt;&amp;.png" in shown
        assert not {"<b>&", "<i>", "<script>"} & {shown[i : i + 4] for i in range(len(shown))}
        assert "<script>" not in shown
        assert "<i>" not in shown


def test_a_notebook_shows_no_answer_where_there_is_none(classifier: Classifier) -> None:
    shown = classifier.predict(np.full((90, 70), 40, np.uint8))._repr_html_()
    assert "<b>not assessable</b>: the picture is blank" in shown
    assert "%" not in shown


def test_a_notebook_shows_the_map(classifier: Classifier, picture: Path) -> None:
    why = classifier.explain(picture)
    with Image.open(io.BytesIO(why._repr_png_())) as shown:
        assert shown.format == "PNG"
        assert shown.size == why.figure().size
    assert len(why._repr_png_()) < 400_000
