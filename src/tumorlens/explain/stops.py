"""Which of a network's many layers to offer a person: some stops on the way in, by depth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["depth_stops"]

_STOPS: Final = 8
_MEMBER: Final = re.compile(r"m(\d+)_")  # of networks that are joined


def depth_stops(layers: Sequence[str], most: int = _STOPS) -> tuple[str, ...]:
    """Choose layers from early to late, evenly, the first and the last among them.

    Parameters
    ----------
    layers
        All that can be explained, early to late. Where several networks are joined, only
        those of the first are taken, and what the networks share.
    most
        How many at most, at least two.

    Examples
    --------
    >>> depth_stops([f"block_{i}" for i in range(1, 12)], 3)
    ('block_1', 'block_6', 'block_11')
    """
    members = [_MEMBER.match(name) for name in layers]
    one = [n for n, member in zip(layers, members, strict=True) if not member or member[1] == "1"]
    if len(one) <= most:
        return tuple(one)
    return tuple(one[round(i * (len(one) - 1) / (most - 1))] for i in range(most))
