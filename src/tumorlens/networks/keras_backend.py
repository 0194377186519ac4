"""The one door to Keras: imported late, with a backend that is installed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, Final

from tumorlens.errors import MissingExtraError, RunError
from tumorlens.extras import installed, require

__all__ = ["BACKENDS", "require_keras"]

BACKENDS: Final = ("tensorflow", "jax", "torch")
"""Backends of Keras that training runs on, the fastest on a CPU first."""

_LAYOUT: Final = "channels_last"
_NUMBERS: Final = "float32"
# TensorFlow 2.21 writes these before it has read TF_CPP_MIN_LOG_LEVEL.
_NOTE: Final = re.compile(rb"WARNING: All log messages before absl|I\d{4} [\d:.]+ +\d+ ")
_users: Final[set[int]] = set()  # this process, and those that it was forked from


def require_keras(feature: str, *, backend: str | None = None) -> Any:
    """Import Keras, or say which extra brings it.

    Keras reads its backend from the environment when it is first imported and
    never again. A process that has not chosen gets the first one installed.

    Parameters
    ----------
    feature
        What needs Keras, as the subject of a sentence.
    backend
        One of `BACKENDS`, or ``None`` for whichever is set or installed.

    Raises
    ------
    MissingExtraError
        When Keras or every backend is missing.
    RunError
        When Keras already runs on another backend than the one asked for, with other numbers
        or another order of axes than our networks have, or in a process that this one was
        forked from, whose threads it would wait for without end.
    """
    _users.add(os.getpid())
    if len(_users) > 1:
        raise RunError(
            f"{feature} needs Keras, which the process that this one was forked from uses "
            'already: start this one by multiprocessing.get_context("spawn")'
        )
    first = "keras" not in sys.modules
    if first:
        _choose(feature, backend)
    with _without_notes() if first else contextlib.nullcontext():
        keras = require("keras", feature, "train")
    if first:  # a user's keras.json, made for other programs, would change every network
        keras.config.set_image_data_format(_LAYOUT)
        keras.config.set_floatx(_NUMBERS)
    found = keras.config.image_data_format(), keras.config.floatx()
    if found != (_LAYOUT, _NUMBERS):
        raise RunError(
            f"{feature} needs Keras with {_LAYOUT} and {_NUMBERS}, and this program has set it to "
            f"{found[0]} and {found[1]}; set it back, or use a process of its own"
        )
    if backend is not None and keras.config.backend() != backend:
        raise RunError(
            f"Keras already runs on {keras.config.backend()} in this process and cannot change "
            f"to {backend}; start a new process, or unset KERAS_BACKEND"
        )
    return keras


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Hold back TensorFlow's start-up notes; all else that is said meanwhile comes afterwards."""
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
            kept = os.dup(2)
        except OSError:  # standard error is closed, or no file can be made: then they are shown
            yield
            return
        stack.callback(os.close, kept)
        _flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, 2)
            held.seek(0)
            for line in held:
                if not _NOTE.match(line):
                    os.write(2, line)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def _choose(feature: str, backend: str | None) -> None:
    if not installed("keras"):
        raise MissingExtraError(feature, "train")
    wanted = backend or os.environ.get("KERAS_BACKEND")
    candidates = (wanted,) if wanted else BACKENDS
    for name in candidates:
        if installed(name):
            os.environ["KERAS_BACKEND"] = name
            if name == "tensorflow":
                # Its start-up notes are not about anything the user can act on.
                os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
            return
    raise MissingExtraError(f"{feature} with {' or '.join(candidates)}", "train")
