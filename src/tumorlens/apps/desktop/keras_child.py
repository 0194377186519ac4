"""The process in which Keras runs: ``python -m tumorlens.apps.desktop.keras_child``.

Importing Keras and building a network hold Python's lock for seconds; in the process of the
window nothing would move meanwhile. It ends when its standard input does, and so with the
window, whichever way that ends.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final

from tumorlens.apps.desktop.frames import Frame, read_frame, write_frame
from tumorlens.errors import TumorLensError
from tumorlens.models.card import Card

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorlens.explain.inner import FloatNetwork

__all__ = ["main"]

_POLITE: Final = 5  # lower priority than the window by so much, where the system knows such


def main() -> None:
    """Load the network that the first frame names, then answer frame after frame."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the replies
    if hasattr(os, "nice"):
        os.nice(_POLITE)
    requests: SimpleQueue[Frame] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    with suppress(OSError):  # nobody listens any more
        _answer_all(requests, replies)
    os._exit(0)  # whatever the other threads are at


def _listen(requests: SimpleQueue[Frame]) -> None:
    """Take requests in a thread, so that the end of the window is seen whatever is computed."""
    while True:
        try:
            requests.put(read_frame(sys.stdin.buffer))
        except EOFError:
            os._exit(0)


def _answer_all(requests: SimpleQueue[Frame], replies: IO[bytes]) -> None:
    network: FloatNetwork | None = None
    while True:
        values: dict[str, NDArray[Any]] = {}
        words, arrays = requests.get()
        while not requests.empty():  # who asks anew no longer wants what was asked before
            words, arrays = requests.get()
        try:
            if network is None:
                network = _open(words)
                found: dict[str, Any] = {"engine": network.engine}
            else:
                found, values = _look(network, words, arrays)
        except TumorLensError as error:
            found = {"error": str(error)}
        except Exception:  # noqa: BLE001  # raised again in the process of the window
            found = {"fault": traceback.format_exc()}
        write_frame(replies, {"number": words["number"], **found}, values)
        if network is None:
            return


def _open(words: dict[str, Any]) -> FloatNetwork:
    from tumorlens.explain.inner import open_float_network  # noqa: PLC0415

    card = Card.from_json(words["card"], source="the window's model")
    return open_float_network(Path(words["folder"]), card)


def _look(
    network: FloatNetwork, words: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    found: list[dict[str, Any]] = []
    values: dict[str, NDArray[Any]] = {}
    for i, one in enumerate(network.look(arrays["pixels"], words["layers"], arrays["weights"])):
        layer = one.layer
        found.append({"name": layer.name, "stride": layer.stride, "offset": layer.offset})
        for name in ("activations", "gradients", "logits"):
            values[f"{name}{i}"] = getattr(one, name)
    return {"layers": found}, values


if __name__ == "__main__":
    main()
