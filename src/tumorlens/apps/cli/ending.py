"""Ending when the system asks to: as after Ctrl+C, with nothing half made left behind."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

__all__ = ["orderly_end"]

_ASKED: Final = ("SIGTERM", "SIGHUP")  # `kill`, a batch system, a terminal that closes


@contextmanager
def orderly_end() -> Iterator[None]:
    """Turn a request to end into `SystemExit`, so that every block on the way cleans up.

    The exit status is that of a process that the signal ended, as shells count: 128 and
    its number. A second request ends the process at once. What is ignored stays so, as
    under ``nohup``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets no other thread say what signals do
        return
    known = [getattr(signal, name) for name in _ASKED if hasattr(signal, name)]
    ours = [number for number in known if signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in ours:
            signal.signal(number, _end)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)
