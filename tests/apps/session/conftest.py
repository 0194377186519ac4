"""What the tests of a session share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tumorlens.apps.session.state import Changes
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.classifier import load

Wait = Callable[..., Changes]


@pytest.fixture
def model() -> Iterator[ViewModel]:
    """A view model on the model that ships, not started."""
    made = ViewModel(load)
    yield made
    assert made.close(10)


@pytest.fixture
def wait(model: ViewModel) -> Wait:
    """Poll until something holds; gives all that changed meanwhile."""

    def until(condition: Callable[[], object], seconds: float = 120) -> Changes:
        end, seen = time.monotonic() + seconds, Changes()
        while True:
            changes = model.poll()
            seen.rows.update(changes.rows)
            seen.gone += changes.gone
            seen.parts |= changes.parts
            if condition():
                return seen
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.002)

    return until
