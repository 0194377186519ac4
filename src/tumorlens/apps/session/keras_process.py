"""Inner layers, looked at in a process of their own.

Importing Keras and building a network hold Python's lock for seconds; where people work
nothing would move meanwhile. The process ends when its pipe does, and so with the process that
started it, whichever way that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from tumorlens.errors import TumorLensError
from tumorlens.models.card import Card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorlens.explain.explainer import InnerNetwork
    from tumorlens.explain.inner import FloatNetwork, InnerLook
    from tumorlens.progress import Progress

__all__ = ["KerasProcess"]

_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
_BETWEEN: Final = 0.05  # seconds between two looks at whether the answer is still wanted
_POLITE: Final = 5  # lower priority than the window by so much, where the system knows such


class KerasProcess:
    """The float network of a model in a child process; started when it is first needed.

    One thread looks; any thread may close.

    Parameters
    ----------
    folder
        The model's bundle.
    card
        Its card. The child takes the weights only when they are those that it names.
    """

    def __init__(self, folder: Path, card: Card) -> None:
        self._folder = folder
        self._card = card
        self._changing = threading.Lock()
        self._child: _Child | None = None
        self._closed = False

    def reporting_to(self, progress: Progress) -> InnerNetwork:
        """Give what looks at inner layers and says so; what `progress` raises ends the wait.

        The child goes on meanwhile, and what it finds too late is dropped.
        """
        return _Looking(self, progress)

    def look(
        self,
        pixels: NDArray[np.float32],
        layers: Sequence[str],
        weights: NDArray[np.float32],
        progress: Progress,
    ) -> tuple[list[InnerLook], str]:
        """Look at layers as `FloatNetwork.look` does; say with which engine, too.

        Raises
        ------
        TumorLensError
            When Keras or the weights are missing, or the process has ended.
        """
        child = self._running()
        engine = child.get_ready(lambda: progress("loading Keras, once", 0, 0))
        question = (pixels, list(layers), weights)
        return child.ask(question, lambda: progress("looking inside", 0, 0)), engine

    def close(self) -> None:
        """End the process; whoever waits for it is told that it has ended."""
        with self._changing:
            self._closed = True
            if self._child is not None:
                self._child.end()

    def _running(self) -> _Child:
        with self._changing:
            if self._closed:
                raise TumorLensError("the window is closing, and nothing new is computed")
            if self._child is None or self._child.ended:
                self._child = _Child(self._folder, self._card)
            return self._child


class _Looking:
    """The process, as one request sees it."""

    def __init__(self, process: KerasProcess, progress: Progress) -> None:
        self._process = process
        self._progress = progress
        self.engine = ""

    def look(
        self, pixels: NDArray[np.float32], layers: Sequence[str], weights: NDArray[np.float32]
    ) -> list[InnerLook]:
        looks, self.engine = self._process.look(pixels, layers, weights, self._progress)
        return looks


class _Child:
    """One run of the process: requests go in by number, replies come back by it."""

    def __init__(self, folder: Path, card: Card) -> None:
        self.ended = False
        self._engine = ""
        self._number = 0
        self._pipe, theirs = _SPAWN.Pipe()
        about = (theirs, str(folder), card.to_json())
        self._process = _SPAWN.Process(target=_serve, args=about, daemon=True)
        with _deaf_to_ctrl_c():
            self._process.start()
        theirs.close()  # so that the pipe ends when the child does

    def get_ready(self, waiting: Callable[[], object]) -> str:
        """Wait until Keras and the network are loaded; give the name of the engine."""
        if not self._engine:
            try:
                self._engine = str(self._wait(0, waiting))
            except TumorLensError:
                self.end()  # what could not be loaded is not tried again in this run
                raise
        return self._engine

    def ask(self, question: tuple[Any, ...], waiting: Callable[[], object]) -> Any:
        """Send a question and wait for the answer to it."""
        self._number += 1
        with suppress(OSError):  # a pipe that is closed is said by the reply that does not come
            self._pipe.send((self._number, question))
        return self._wait(self._number, waiting)

    def end(self) -> None:
        """Kill the process: it holds nothing that anybody would miss."""
        self.ended = True
        self._process.kill()
        self._process.join()

    def _wait(self, number: int, waiting: Callable[[], object]) -> Any:
        while True:
            waiting()
            try:
                if not self._pipe.poll(_BETWEEN):
                    continue
                about, kind, value = self._pipe.recv()
            except (EOFError, OSError) as error:
                self.end()
                raise TumorLensError(
                    "the process that looks at inner layers has ended, perhaps for want of "
                    "memory; close other programs and choose the layer again"
                ) from error
            if about != number:
                continue  # nobody waits for it any more
            if kind == "error":
                raise TumorLensError(value)
            if kind == "fault":
                raise RuntimeError(value)
            return value


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let a process that is started meanwhile leave Ctrl+C in the terminal to the window."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # or starting it would undo what is blocked here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the child


def _serve(pipe: Connection, folder: str, card: str) -> None:
    """Load the network, then answer question after question."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (1, 2):  # what goes wrong is a reply; what TensorFlow says helps nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    if hasattr(os, "nice"):
        os.nice(_POLITE)
    questions: SimpleQueue[tuple[int, tuple[Any, ...]]] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, questions), daemon=True).start()
    network: FloatNetwork | None = None

    def load() -> str:
        nonlocal network
        network = _open(Path(folder), card)
        return network.engine

    with suppress(OSError):  # nobody listens any more
        pipe.send((0, *_try(load)))
        while network is not None:
            number, question = questions.get()
            while not questions.empty():  # who asks anew no longer wants what was asked before
                number, question = questions.get()
            pipe.send((number, *_try(network.look, *question)))
    os._exit(0)  # whatever the other threads are at


def _listen(pipe: Connection, questions: SimpleQueue[tuple[int, tuple[Any, ...]]]) -> None:
    """Take questions in a thread, so that the end of the window is seen whatever is computed."""
    while True:
        try:
            questions.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)


def _try(run: Callable[..., object], *arguments: object) -> tuple[str, object]:
    try:
        return "found", run(*arguments)
    except TumorLensError as error:
        return "error", str(error)
    except Exception:  # noqa: BLE001  # raised again in the process of the window
        return "fault", traceback.format_exc()


def _open(folder: Path, card: str) -> FloatNetwork:
    from tumorlens.explain.inner import open_float_network  # noqa: PLC0415

    return open_float_network(folder, Card.from_json(card, source="the window's model"))
