"""A thread that does jobs one after another and hands their results over in a queue."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeAlias

from tumorlens.errors import TumorLensError

__all__ = ["Crash", "Job", "JobStoppedError", "Report", "Trouble", "Worker"]

Report: TypeAlias = Callable[[object], None]
"""Takes a result of a job; raises `JobStoppedError` when nobody wants any more of them."""

Job: TypeAlias = Callable[[Report], None]
"""Reports its results one by one, and can be stopped whenever it does."""


_NICE: Final = 10


class JobStoppedError(Exception):
    """Ends a job that was cancelled; no fault, and never seen by people."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that a person can mend.

    Parameters
    ----------
    message
        What was wrong, where, and what to do.
    worker
        Name of the worker whose job it was.
    """

    message: str
    worker: str


@dataclass(frozen=True, slots=True, eq=False)
class Crash:
    """A fault of the program itself, to be raised where it is seen."""

    error: Exception
    worker: str


class Worker:
    """Does jobs in the order they come, in a thread of its own.

    Parameters
    ----------
    name
        For people who debug.
    results
        Where every result of every job goes. A job that fails gives a `Trouble`
        or, when the program is at fault, a `Crash`; the next job goes on.
    """

    def __init__(self, name: str, results: SimpleQueue[object]) -> None:
        self._name = name
        self._results = results
        self._jobs: deque[Job] = deque()
        self._change = threading.Condition()
        self._epoch = 0
        self._closed = False
        # A daemon, so that a computation that cannot be stopped never holds the program.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        with self._change:
            self._jobs.append(job)
            self._change.notify()

    def do_instead(self, job: Job) -> None:
        """Stop what is being done, drop what waits, do this."""
        with self._change:
            self._jobs = deque([job])
            self._epoch += 1
            self._change.notify()

    def cancel(self) -> None:
        """Drop what waits; the job at hand stops at its next report, which is dropped too."""
        with self._change:
            self._jobs.clear()
            self._epoch += 1

    def close(self, timeout: float) -> bool:
        """Stop, and wait for it.

        Parameters
        ----------
        timeout
            Seconds to wait for the job at hand.

        Returns
        -------
        bool
            Whether the thread has ended.
        """
        with self._change:
            self._closed = True
            self._jobs.clear()
            self._epoch += 1
            self._change.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def finish(self, timeout: float) -> bool:
        """Do what waits, then stop; see `close`."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        _stand_back()
        while (taken := self._take()) is not None:
            job, epoch = taken
            with suppress(JobStoppedError):
                self._do(job, partial(self._hand_over, epoch))

    def _do(self, job: Job, report: Report) -> None:
        try:
            job(report)
        except JobStoppedError:
            raise
        except MemoryError:
            text = "there is not enough memory for this; close other programs and try again"
            report(Trouble(text, self._name))
        except (TumorLensError, OSError) as error:
            report(Trouble(str(error), self._name))
        except Exception as error:  # noqa: BLE001  # raised again in the main thread
            report(Crash(error, self._name))

    def _take(self) -> tuple[Job, int] | None:
        with self._change:
            while not self._jobs:
                if self._closed:
                    return None
                self._change.wait()
            return self._jobs.popleft(), self._epoch

    def _hand_over(self, epoch: int, result: object) -> None:
        """Give a result on, unless its job was cancelled meanwhile."""
        with self._change:
            if epoch != self._epoch:
                raise JobStoppedError
            self._results.put(result)


def _stand_back() -> None:
    """Let the window's thread go first where there are more threads than cores.

    Reading ahead and the network's own threads, which this one starts, inherit it. Only
    Linux has priorities of threads.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
