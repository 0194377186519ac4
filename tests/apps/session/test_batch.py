"""How far a batch is, in words."""

from __future__ import annotations

import pytest

from tumorlens.apps.session.batch import time_left


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
