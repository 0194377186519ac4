"""What runs in the process that may be killed: it reads files for `tumorlens.images.apart`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tumorlens.errors import MissingExtraError, UnreadableImageError
from tumorlens.images import raster, tiff
from tumorlens.images.apart import Values, read_exactly, receive, send
from tumorlens.images.limits import Limits

__all__ = ["serve"]

_GRACE = 5  # seconds after which it ends itself where nobody is left to kill it


def serve() -> None:
    """Read one file after another, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the program, which kills us
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get among the replies
    requests = sys.stdin.buffer
    kept = _Kept()
    send(replies, "ready")
    while True:
        try:
            question, _ = receive(requests)
            if question["size"] is not None:
                kept = _Kept(read_exactly(requests, question["size"]))
        except (EOFError, KeyboardInterrupt):
            return
        _set_alarm(question["seconds"] + _GRACE)
        told, values = _answer(question, kept)
        _set_alarm(0)
        try:
            send(replies, told, values)
        except BrokenPipeError:
            os._exit(0)  # nobody is there to be told
        if not question["keep"]:
            kept = _Kept()


def _set_alarm(seconds: float) -> None:
    """Have the system end this process, even one that is stuck in a library."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


class _Kept:
    """A file, and what its header says once that was asked for."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.header: Any = None


class _AskedLimits(Limits):
    """Limits whose errors are worded by who asks."""

    __slots__ = ()

    def too_large(self, source: str, found: str, limit: str) -> UnreadableImageError:
        return _TooLargeError(source, found, limit)


class _TooLargeError(UnreadableImageError):
    """What goes beyond a limit, with the limit's name in place of a hint."""


def _answer(question: dict[str, Any], kept: _Kept) -> tuple[dict[str, Any], Values]:
    """Read what is asked for, or say why not."""
    limits = _AskedLimits(**question["limits"], seconds=None)
    try:
        if question["kind"] == "DICOM":
            return {"slices": [None]}, [_frame(question, kept, limits)]
        read = tiff.read_tiff if question["kind"] == "TIFF" else raster.read_raster
        found = read(kept.data, question["kind"], question["path"], limits)
    except _TooLargeError as error:
        return {"too large": [error.source, error.found, error.hint]}, []
    except UnreadableImageError as error:
        return {"error": [error.source, error.found, error.hint]}, []
    except MissingExtraError as error:
        return {"missing": [error.feature, error.extra]}, []
    return {"slices": [[x.value_range, x.origin] for x in found]}, [x.pixels for x in found]


def _frame(question: dict[str, Any], kept: _Kept, limits: Limits) -> Any:
    from tumorlens.images import dicom  # noqa: PLC0415  # not for pictures

    if kept.header is None:
        kept.header = dicom.read_header(kept.data, question["path"], limits)
    return dicom.read_frame(kept.data, kept.header, question["index"], limits)
