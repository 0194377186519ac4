"""Answers as a data frame."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import numpy as np
import pytest

import tumorlens
from tumorlens.classifier import Classifier
from tumorlens.errors import MissingExtraError

COLUMNS = [
    *("path", "slice", "label", "confidence", "p_glioma", "p_meningioma", "p_notumor"),
    *("p_pituitary", "prediction_set", "assessable", "reason", "model"),
]


def test_a_row_for_each_answer_and_each_failure(
    classifier: Classifier, picture: Path, tmp_path: Path
) -> None:
    sources = [picture, np.full((90, 70), 40, np.uint8), tmp_path / "gone.png"]
    answers = list(classifier.predict_batch(sources, on_error="return"))
    frame = tumorlens.to_frame(answers)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 3
    first = answers[0]
    assert isinstance(first, tumorlens.Prediction)
    assert frame["path"][0] == str(picture)
    assert frame["p_pituitary"][0] == first.confidence == frame["confidence"][0]
    assert frame["prediction_set"][0] == " ".join(first.prediction_set)
    assert frame["assessable"].tolist() == [True, False, False]
    assert frame["reason"][1] == "the picture is blank"
    assert "no such file" in frame["reason"][2]
    assert frame["label"].isna().tolist() == [False, False, True]
    assert frame["p_glioma"].isna().tolist() == [False, False, True]


def test_no_answers_are_an_empty_frame() -> None:
    frame = tumorlens.to_frame([])
    assert len(frame) == 0
    assert "label" in frame.columns


def test_it_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"a data frame needs .*tumorlens\[frame\]"):
        tumorlens.to_frame([], "polars")
    with pytest.raises(ValueError, match='must be "pandas" or "polars"'):
        tumorlens.to_frame([], "excel")  # type: ignore[arg-type]


def test_polars_does_where_pandas_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Polars:
        DataFrame = builtins.dict

    monkeypatch.setitem(sys.modules, "polars", Polars)
    monkeypatch.setattr("tumorlens.sources.frame.installed", lambda name: name == "polars")
    assert tumorlens.to_frame([])["label"] == []
