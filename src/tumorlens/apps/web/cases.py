"""Scans that pages look at: in memory, few, for a while, and gone when the page is closed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from tumorlens.apps.web.limits import Hold, Memory, WebLimits
from tumorlens.apps.web.problems import Problem
from tumorlens.apps.web.scans import Scan, Unread

__all__ = ["Case", "Cases"]


@dataclass(slots=True)
class Case:
    """What one page has sent.

    Parameters
    ----------
    scans
        Its scans, and the files that cannot be read.
    held
        Bytes that it holds.
    seen
        When it was last looked at.
    """

    scans: list[Scan | Unread]
    held: int
    seen: float

    def scan(self, number: int) -> Scan:
        """Give a scan.

        Raises
        ------
        Problem
            404 when there is none of this number.
        """
        scan = self.scans[number] if number < len(self.scans) else None
        if not isinstance(scan, Scan):
            raise Problem(404, f"there is no scan {number}")
        return scan


class Cases:
    """The cases of all pages, under names that nobody guesses.

    Parameters
    ----------
    limits
        How many, and how long.
    memory
        What they hold is counted here.
    clock
        Gives seconds.
    """

    def __init__(
        self, limits: WebLimits, memory: Memory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._memory = memory
        self._clock = clock
        self._cases: dict[str, Case] = {}

    def add(self, scans: list[Scan | Unread], hold: Hold) -> str:
        """Keep scans; the case that was not looked at for longest makes room.

        Returns
        -------
        str
            The case's name.
        """
        self.tidy()
        while len(self._cases) >= self._limits.cases:
            self.remove(min(self._cases, key=lambda name: self._cases[name].seen))
        name = secrets.token_urlsafe(16)
        self._cases[name] = Case(scans, hold.keep(), self._clock())
        return name

    def get(self, name: str) -> Case:
        """Give a case.

        Raises
        ------
        Problem
            404 when it is gone.
        """
        self.tidy()
        if name not in self._cases:
            raise Problem(404, "these scans are no longer held; open them again")
        case = self._cases[name]
        case.seen = self._clock()
        return case

    def remove(self, name: str) -> None:
        """Forget a case, if it is there."""
        case = self._cases.pop(name, None)
        if case is not None:
            self._memory.give(case.held)

    def tidy(self) -> None:
        """Forget what was not looked at for long."""
        late = self._clock() - self._limits.case_seconds
        for name in [name for name, case in self._cases.items() if case.seen < late]:
            self.remove(name)
