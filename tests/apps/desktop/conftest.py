"""What the tests of the window share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


# Tk never lets go of a display that it has seen, and ends the program when its server goes:
# the display stays until all tests are done. One for all, for what drags between windows keeps
# its cursors of the first display that it saw.
@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    from screen import open_screen  # noqa: PLC0415  # which skips where there can be none

    with open_screen() as name:
        yield name


@pytest.fixture(autouse=True)
def nothing_left_of_a_window() -> None:
    """Free it here: a worker that came upon its pictures would wait for a Tk that is gone."""
    gc.collect()
