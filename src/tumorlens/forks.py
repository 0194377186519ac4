"""What a forked child makes anew: a child gets a copy of everything but the threads.

A lock that another thread held stays locked for ever in the child, and an engine waits there
for threads that do not exist.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["renew_in_child"]

_Owner = TypeVar("_Owner")

_renewals: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def renew_in_child(owner: _Owner, renew: Callable[[_Owner], None]) -> None:
    """Have `renew` called with `owner` in every forked child, as long as `owner` lives.

    Parameters
    ----------
    owner
        What holds locks or threads. It must be hashable.
    renew
        Replaces them. It must not refer to `owner` itself, which would then live for ever.
    """
    _renewals[owner] = renew


def _renew_all() -> None:
    for owner, renew in list(_renewals.items()):
        renew(owner)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
