"""Answers as a data frame, for whoever goes on with pandas or Polars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from tumorlens.extras import installed, require
from tumorlens.prediction import Prediction
from tumorlens.sources.failure import Failure

__all__ = ["to_frame"]


def to_frame(
    predictions: Iterable[Prediction | Failure],
    library: Literal["pandas", "polars"] | None = None,
) -> Any:
    """Put answers into a data frame, a row each.

    Parameters
    ----------
    predictions
        What `Classifier.predict_batch` gives.
    library
        Whose data frame; when ``None``, that of pandas if it is installed, else that of Polars.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        The columns ``path``, ``slice``, ``label``, ``confidence``, ``p_CLASS`` for each class
        (from 0 to 1), ``prediction_set`` (names with spaces between), ``assessable``,
        ``reason`` and ``model``. A picture that could not be read has neither label nor
        figures, is not assessable, and its reason is the error's message.

    Raises
    ------
    ValueError
        When `library` is neither of the two.
    MissingExtraError
        When it is not installed.

    Examples
    --------
    >>> answers = classifier.predict_batch(paths, on_error="return")  # doctest: +SKIP
    >>> tumorlens.to_frame(answers).groupby("label")["confidence"].mean()  # doctest: +SKIP
    """
    if library not in (None, "pandas", "polars"):
        raise ValueError(f'`library` must be "pandas" or "polars", got {library!r}')
    without_pandas = library is None and installed("polars") and not installed("pandas")
    if library == "polars" or without_pandas:
        frames = require("polars", "a data frame", "frame")
    else:
        frames = require("pandas", "a data frame", "frame")
    answers = list(predictions)
    classes = dict.fromkeys(
        name for one in answers if isinstance(one, Prediction) for name in one.probabilities
    )
    rows = [_row(one, classes) for one in answers]
    named = _row(None, classes)  # without answers there are columns all the same
    return frames.DataFrame({name: [row[name] for row in rows] for name in named})


def _row(one: Prediction | Failure | None, classes: Iterable[str]) -> dict[str, Any]:
    answer = one if isinstance(one, Prediction) else None
    given = {} if answer is None else answer.probabilities
    return {
        "path": one and one.path,
        "slice": answer and answer.slice,
        "label": answer and answer.label,
        "confidence": answer and answer.confidence,
        **{f"p_{name}": given.get(name) for name in classes},
        "prediction_set": answer and " ".join(answer.prediction_set),
        "assessable": answer is not None and answer.assessable,
        "reason": str(one.error) if isinstance(one, Failure) else answer and answer.reason,
        "model": answer and answer.model,
    }
