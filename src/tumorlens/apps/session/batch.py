"""How far a batch is, and how long it will still take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Batch", "Progress"]

_FEWEST = 3  # files before the time left can be judged
_SOONEST = 1.0  # second before it


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the batch is.

    Parameters
    ----------
    done, total
        Files.
    seconds_left
        ``None`` as long as it cannot be judged.
    """

    done: int
    total: int
    seconds_left: float | None


class Batch:
    """The files that are being classified: from the first that waits until none does.

    Parameters
    ----------
    clock
        Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pending: dict[int, None] = {}
        self._total = 0
        self._began = 0.0

    @property
    def pending(self) -> list[int]:
        """The rows that wait, in order."""
        return list(self._pending)

    @property
    def progress(self) -> Progress | None:
        """How far it is; ``None`` when nothing waits."""
        if not self._pending:
            return None
        done, left = self._total - len(self._pending), None
        passed = self._clock() - self._began
        if done >= _FEWEST and passed >= _SOONEST:
            left = passed / done * len(self._pending)
        return Progress(done, self._total, left)

    def add(self, numbers: Iterable[int]) -> None:
        """Let rows wait."""
        if not self._pending:
            self._total = 0
            self.restart_clock()
        new = [number for number in numbers if number not in self._pending]
        self._pending.update(dict.fromkeys(new))
        self._total += len(new)

    def restart_clock(self) -> None:
        """Judge the time left from now on."""
        self._began = self._clock()

    def finish(self, number: int) -> bool:
        """Count a row as done; say whether it was waiting."""
        return self._pending.pop(number, self) is None

    def forget(self, number: int) -> bool:
        """Take a row out as if it had never been in; say whether it was waiting."""
        waiting = self.finish(number)
        self._total -= waiting
        return waiting

    def stop(self) -> list[int]:
        """End the batch; give the rows that waited."""
        left = self.pending
        self._pending.clear()
        return left
