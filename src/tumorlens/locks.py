"""Locks on folders, which end with the process that holds them, however it ends."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_locked", "locked"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder until the block or the process ends, where the system can."""
    descriptor = _lock(folder, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Say whether somebody has locked a folder."""
    try:
        descriptor = _lock(folder, wait=False)
    except BlockingIOError:
        return True
    if descriptor is not None:
        os.close(descriptor)
    return False


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder; ``None`` where folders cannot be locked, as on Windows.

    Raises
    ------
    BlockingIOError
        When another process has locked it and we shall not wait.
    """
    if importlib.util.find_spec("fcntl") is None:
        return None
    fcntl = importlib.import_module("fcntl")
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor
