"""Inner layers, looked at in a process of their own: see `keras_child`."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final

from tumorlens.apps.desktop.frames import Frame, read_frame, write_frame
from tumorlens.errors import TumorLensError
from tumorlens.models.card import Card, FeatureLayer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorlens.explain.explainer import InnerNetwork
    from tumorlens.explain.inner import InnerLook
    from tumorlens.progress import Progress

__all__ = ["KerasProcess"]

_BETWEEN: Final = 0.05  # seconds between two looks at whether the answer is still wanted
_COMMAND: Final = (sys.executable, "-P", "-m", "tumorlens.apps.desktop.keras_child")


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
        from tumorlens.explain.inner import InnerLook  # noqa: PLC0415

        child = self._running()
        engine = child.get_ready(lambda: progress("loading Keras, once", 0, 0))
        arrays = {"pixels": pixels, "weights": weights}
        words, found = child.ask(
            {"layers": list(layers)}, arrays, lambda: progress("looking inside", 0, 0)
        )
        looks = [
            InnerLook(
                FeatureLayer(**place, layout="NHWC"),
                *(found[f"{name}{i}"] for name in ("activations", "gradients", "logits")),
            )
            for i, place in enumerate(words["layers"])
        ]
        return looks, engine

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
        self._replies: SimpleQueue[Frame | None] = SimpleQueue()
        # In a session of its own: Ctrl+C in the terminal is for the window alone. What goes wrong
        # comes back as a reply; what TensorFlow says on its own helps nobody.
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._requests, replies = self._process.stdin, self._process.stdout
        self._reader = threading.Thread(target=self._read, args=(replies,), daemon=True)
        self._reader.start()
        self._send({"folder": str(folder), "card": card.to_json()})

    def get_ready(self, waiting: Callable[[], object]) -> str:
        """Wait until Keras and the network are loaded; give the name of the engine."""
        if not self._engine:
            try:
                self._engine = str(self._wait(0, waiting)[0]["engine"])
            except TumorLensError:
                self.end()  # what could not be loaded is not tried again in this run
                raise
        return self._engine

    def ask(
        self,
        words: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        waiting: Callable[[], object],
    ) -> Frame:
        """Send a request and wait for its reply."""
        self._number += 1
        self._send(words, arrays)
        return self._wait(self._number, waiting)

    def end(self) -> None:
        """Kill the process: it holds nothing that anybody would miss."""
        self.ended = True
        self._process.kill()
        self._process.wait()
        if self._requests is not None:
            with suppress(OSError):  # what it did not read any more
                self._requests.close()
        self._reader.join()

    def _send(
        self, words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        # A pipe that is closed is said by the reply that does not come.
        with suppress(OSError, ValueError):
            if self._requests is not None:
                write_frame(self._requests, {"number": self._number, **words}, arrays)

    def _read(self, replies: IO[bytes]) -> None:
        with replies, suppress(EOFError, OSError):
            while True:
                self._replies.put(read_frame(replies))
        self._replies.put(None)

    def _wait(self, number: int, waiting: Callable[[], object]) -> Frame:
        while True:
            waiting()
            try:
                reply = self._replies.get(timeout=_BETWEEN)
            except Empty:
                continue
            if reply is None:
                self.end()
                raise TumorLensError(
                    "the process that looks at inner layers has ended, perhaps for want of "
                    "memory; close other programs and choose the layer again"
                )
            words = reply[0]
            if words["number"] != number:
                continue  # nobody waits for it any more
            if "error" in words:
                raise TumorLensError(words["error"])
            if "fault" in words:
                raise RuntimeError(words["fault"])
            return reply
