"""What the tests of the window share."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from screen import open_screen

from tumorlens.apps.desktop.state import Changes
from tumorlens.apps.desktop.view_model import ViewModel
from tumorlens.classifier import load
from tumorlens.data.phantom import draw_phantom

Wait = Callable[..., Changes]


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifty drawn heads; nobody may change them."""
    folder = tmp_path_factory.mktemp("heads")
    labels = ("glioma", "meningioma", "notumor", "pituitary")
    for i in range(50):
        seed = (5, 4, 2, 3)[i] if i < 4 else i  # the first ones are like enough to a slice
        picture = Image.fromarray(draw_phantom(labels[i % 4], seed, 160).pixels)
        picture.save(folder / f"head{i:02}.png")
    return sorted(folder.iterdir())


# Tk never lets go of a display that it has seen, and ends the program when its server goes:
# the display stays until all tests are done. One for all, for what drags between windows keeps
# its cursors of the first display that it saw.
@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    with open_screen() as name:
        yield name


@pytest.fixture(autouse=True)
def nothing_left_of_a_window() -> None:
    """Free it here: a worker that came upon its pictures would wait for a Tk that is gone."""
    gc.collect()


@pytest.fixture
def model() -> Iterator[ViewModel]:
    """A view model on the model that ships, not started."""
    made = ViewModel(load)
    yield made
    assert made.close(10)


@pytest.fixture
def wait(model: ViewModel) -> Wait:
    """Poll until something holds; gives all that changed meanwhile."""

    def until(condition: Callable[[], object], seconds: float = 30) -> Changes:
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
