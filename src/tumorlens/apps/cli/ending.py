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
    under ``nohup``. Decoders in processes of their own are ended first, or a thread would wait
    for one that hangs; so they are at Ctrl+C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets no other thread say what signals do
        return
    known = [getattr(signal, name) for name in _ASKED if hasattr(signal, name)]
    ours = [number for number in known if signal.getsignal(number) == signal.SIG_DFL]
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        for number in ours:
            signal.signal(number, _end)
        if interrupts:
            signal.signal(signal.SIGINT, _interrupt)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        if interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    _end_decoders()
    sys.exit(128 + number)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    _end_decoders()
    raise KeyboardInterrupt


def _end_decoders() -> None:
    if (apart := sys.modules.get("tumorlens.images.apart")) is not None:  # else there are none
        apart.end_all()
