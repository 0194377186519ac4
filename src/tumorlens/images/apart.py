"""Decoders that may hang or crash, in a process that can be killed.

The process is started when the first file needs it, asked again for the next, and started anew
where it was killed. It is this Python on `tumorlens.images.apart_process`, by pipes: no module
of the caller is imported, so a program without ``if __name__ == "__main__"`` may use it. It ends
when its pipe does, whichever way the program ends, and by an alarm of its own where it hangs.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import MissingExtraError, UnreadableImageError
from tumorlens.forks import renew_in_child
from tumorlens.images.limits import Limits
from tumorlens.images.slice import Slice

__all__ = ["ask_apart", "end_all", "read_apart", "read_exactly", "receive", "send"]

_START: Final = 60.0  # seconds that Python may take to start on a busy machine
_MOST_TOLD: Final = 2**24  # bytes of a message without its values
_RUN: Final = (
    "import importlib, sys; sys.path[:] = sys.argv[2:]; "
    "importlib.import_module(sys.argv[1]).serve()"
)
_HINT: Final = "it is damaged or hostile: save it again in an image viewer, as PNG"

Values = list[NDArray[Any]]

_Result = TypeVar("_Result")


class _EndedError(Exception):
    """The process is gone, or says what no process of ours says."""


class _Process:
    """One process; one thread at a time asks it."""

    def __init__(self, module: str) -> None:
        home = str(Path(__file__).parents[2])  # where it is imported from, should no path say so
        paths = [path for path in sys.path if path]
        command = [sys.executable, "-I", "-B", "-c", _RUN, module, *paths, home]
        self._popen: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  # ourselves
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where C libraries tell of damage
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._requests: Any = self._popen.stdin
        self._replies: Any = self._popen.stdout
        self.last: bytes | None = None  # the file that it keeps
        self.unwanted = False

    @property
    def runs(self) -> bool:
        return self._popen.poll() is None

    def greet(self) -> bool:
        """Wait until it can be asked; False where it never can."""
        try:
            return bool(self._within(_START, receive)[0] == "ready")
        except (_EndedError, TimeoutError):
            return False

    def ask(self, question: dict[str, Any], data: bytes, seconds: float) -> tuple[Any, Values]:
        """Send a file and wait for the answer."""
        known = self.last is data
        self.last = data if question["keep"] else None

        def asked(replies: IO[bytes]) -> tuple[Any, Values]:
            told = {**question, "size": None if known else len(data), "seconds": seconds}
            send(self._requests, told, [] if known else [data])
            return receive(replies)

        return self._within(seconds, asked)

    def _within(self, seconds: float, work: Callable[[IO[bytes]], _Result]) -> _Result:
        """Do what waits for the process, and kill it when it takes too long."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._popen.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return work(self._replies)
        except (OSError, EOFError, ValueError, TypeError, LookupError, struct.error) as error:
            self.end()
            if late.is_set():
                raise TimeoutError from error
            raise _EndedError from error
        except BaseException:  # Ctrl+C: nobody waits for what it is at
            self.end()
            raise
        finally:
            timer.cancel()

    def kill(self) -> None:
        """End it at once: it holds nothing that anybody would miss."""
        self.unwanted = True
        self._popen.kill()

    def end(self) -> None:
        """Kill it and leave nothing of it."""
        self._popen.kill()
        self._popen.wait()
        self._close()

    def forget(self) -> None:
        """Let go of what belongs to the process that this one was forked from."""
        self._close()
        self._popen.returncode = 0  # or Python would warn of it

    def _close(self) -> None:
        for pipe in (self._requests, self._replies):
            with suppress(OSError):  # what could not be written any more
                pipe.close()


class _Processes:
    """Those that wait to be asked, and those that are at work."""

    def __init__(self, module: str = "tumorlens.images.apart_process") -> None:
        self._module = module
        self._renew()
        renew_in_child(self, _Processes._renew_forked)

    def _renew(self) -> None:
        self._lock = threading.RLock()  # a signal may end them while this thread holds it
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._refused = not _can_start()

    def _renew_forked(self) -> None:
        theirs = (*self._idle, *self._busy)
        self._renew()
        for process in theirs:
            process.forget()

    def ask(
        self, question: dict[str, Any], data: bytes, seconds: float
    ) -> tuple[Any, Values] | None:
        """Ask one of them; None where none can be started."""
        process = self._take(data)
        if process is None:
            return None
        try:
            answer = process.ask(question, data, seconds)
        except (_EndedError, TimeoutError):
            if process.unwanted:
                raise KeyboardInterrupt from None
            raise
        finally:
            self._give(process)
        return answer

    def _take(self, data: bytes) -> _Process | None:
        with self._lock:
            for gone in [process for process in self._idle if not process.runs]:
                self._idle.remove(gone)
                gone.end()
            known = [process for process in self._idle if process.last is data]
            process = next(iter(known or self._idle), None)
            if process is not None:
                self._idle.remove(process)
                self._busy.add(process)
                return process
        return self._start()

    def _start(self) -> _Process | None:
        if self._refused:
            return None
        try:
            process = _Process(self._module)
        except OSError:  # no more processes are allowed
            return None
        with self._lock:
            self._busy.add(process)
        if process.greet():
            return process
        self._give(process)
        if process.unwanted:
            raise KeyboardInterrupt
        self._refused = True
        return None

    def _give(self, process: _Process) -> None:
        with self._lock:
            self._busy.discard(process)
            if process.runs and len(self._idle) < (os.cpu_count() or 1):
                self._idle.append(process)
                return
        process.end()

    def end(self) -> None:
        """Kill all of them; whoever waits for one is interrupted."""
        with self._lock:
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        for process in idle:
            process.end()


def _can_start() -> bool:
    """Say whether what runs us is a Python that can be started once more."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)


_processes = _Processes()


def end_all() -> None:
    """Kill what decodes in processes of its own; whoever waits for it is interrupted.

    To whoever waits that is a `KeyboardInterrupt`, and no fault of the file.
    """
    _processes.end()


atexit.register(end_all)


def ask_apart(
    data: bytes, source: str, limits: Limits, what: str, *, keep: bool = False, **more: Any
) -> tuple[Any, Values] | None:
    """Have a file decoded in a process of its own.

    Parameters
    ----------
    data
        The content of the file.
    source
        Its name, for errors.
    limits
        What is too large, and how many seconds it may take.
    what
        What it is, as a person would say.
    keep
        Whether more will be asked of this file.
    more
        What `tumorlens.images.apart_process` goes by.

    Returns
    -------
    tuple or None
        What is told of the values, and they; `None` where no process can be started.

    Raises
    ------
    UnreadableImageError
        When it cannot be decoded, takes too long, or makes the decoder crash.
    MissingExtraError
        As the reader raises it.
    """
    bounds = {x.name: getattr(limits, x.name) for x in fields(Limits) if x.name != "seconds"}
    question = {"source": source, "limits": bounds, "keep": keep, **more}
    try:
        answer = _processes.ask(question, data, limits.seconds or math.inf)
    except TimeoutError:
        raise limits.too_long(source, what) from None
    except _EndedError:
        raise UnreadableImageError(source, f"{what} that makes its decoder crash", _HINT) from None
    if answer is None:
        return None
    told = answer[0]
    if "error" in told:
        raise UnreadableImageError(*told["error"])
    if "too large" in told:
        raise limits.too_large(*told["too large"])
    if "missing" in told:
        raise MissingExtraError(*told["missing"])
    return told["slices"], answer[1]


def read_apart(data: bytes, kind: str, path: str | None, limits: Limits) -> list[Slice] | None:
    """Read a picture in a process of its own; `None` where none can be started.

    Parameters
    ----------
    data, kind, path, limits
        As the reader of that kind takes them.

    Raises
    ------
    UnreadableImageError, MissingExtraError
        As `ask_apart`.
    """
    source = "<bytes>" if path is None else path
    found = ask_apart(data, source, limits, f"a {kind} picture", kind=kind, path=path)
    if found is None:
        return None
    return [
        Slice(pixels, (low, high), path, i, origin)
        for i, (pixels, ((low, high), origin)) in enumerate(zip(found[1], found[0], strict=True))
    ]


# Messages: four bytes that say how long the text is, the text as JSON, and then the values.


def send(pipe: IO[bytes], told: Any, values: Any = ()) -> None:
    """Write a message: what is told as JSON, and the values behind it."""
    layout = [[x.dtype.str, x.shape] for x in values if isinstance(x, np.ndarray)]
    text = json.dumps([told, layout]).encode()
    pipe.write(struct.pack(">I", len(text)) + text)
    for one in values:
        pipe.write(one if isinstance(one, bytes) else np.ascontiguousarray(one).data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[Any, Values]:
    """Read a message: what is told, and the arrays behind it.

    Raises
    ------
    EOFError, ValueError
        When the other side is gone, or says something else.
    """
    (length,) = struct.unpack(">I", read_exactly(pipe, 4))
    if length > _MOST_TOLD:
        raise ValueError("no message of ours")
    told, layout = json.loads(read_exactly(pipe, length))
    values = []
    for form, shape in layout:
        found = np.empty(shape, np.dtype(form))
        room, done = found.reshape(-1).view(np.uint8), 0
        while done < len(room):
            read = pipe.readinto(room[done:])  # type: ignore[attr-defined]  # both sides' pipes can
            if not read:
                raise EOFError
            done += read
        values.append(found)
    return told, values


def read_exactly(pipe: IO[bytes], count: int) -> bytes:
    """Read so many bytes, or raise EOFError."""
    content = pipe.read(count)
    if len(content) < count:
        raise EOFError
    return content
