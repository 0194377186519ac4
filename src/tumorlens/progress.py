"""How long work tells whoever started it where it stands."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called again and again while work goes on; never from two threads at once."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report a step.

        Parameters
        ----------
        stage
            What is being done, such as ``"reading"``.
        done, total
            How much of it.
        note
            Anything worth showing beside it, such as a loss.
        """


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Take a report and do nothing with it."""
