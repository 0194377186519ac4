"""An archive cut into blocks, such that no series is cut: what an actor does in one go."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final, NamedTuple

from tumorlens.archive.lanes import Place

__all__ = ["Block", "cut"]

_VOLUMES: Final = (".nii", ".nii.gz", ".mgz", ".mgh", ".zip")
_VOLUME: Final = 64  # pictures that a volume counts as
_PEEKING: Final = 32  # files that are looked into at once


class Block(NamedTuple):
    """Files that are answered by one actor, one after the other.

    Parameters
    ----------
    name
        Of the file for its rows: its number, and a hash of what is in the block.
    places
        The files.
    """

    name: str
    places: list[Place]


def cut(places: Iterable[Place], size: int, peek: Callable[[Place], bool]) -> Iterator[Block]:
    """Cut an archive into blocks.

    The files of a folder from the first DICOM file on may be a series, and stay together. A
    folder that fits into a block is not cut either, so that nobody need look into its files.

    Parameters
    ----------
    places
        Files, those of each folder one after the other.
    size
        Files in a block. Those whose name is that of a volume count as 64.
    peek
        Says whether a file is DICOM; called in several threads.

    Yields
    ------
    Block
        At least one file each, in order.
    """
    number, block, weight = 0, list[Place](), 0
    with ThreadPoolExecutor(_PEEKING) as pool:

        def folder(place: Place) -> tuple[int, str]:
            return place.root, os.path.dirname(place.path)  # noqa: PTH120  # as it was given

        for _, some in groupby(places, folder):
            for piece in _pieces(list(some), size, peek, pool):
                more = sum(map(_weight, piece))
                if block and weight + more > size:
                    yield _named(number, block)
                    number, block, weight = number + 1, [], 0
                block += piece
                weight += more
    if block:
        yield _named(number, block)


def _pieces(
    files: list[Place], size: int, peek: Callable[[Place], bool], pool: ThreadPoolExecutor
) -> Iterator[list[Place]]:
    """Cut the files of a folder where they may be cut."""
    if sum(map(_weight, files)) <= size:
        yield files
        return
    for start in [0, *range(1, len(files), _PEEKING)]:  # of a series the first one tells
        some = files[start : start + _PEEKING] if start else files[:1]
        told = list(pool.map(peek, some))
        first = told.index(True) if True in told else len(told)
        yield from ([place] for place in some[:first])
        if first < len(told):
            yield files[start + first :]
            return


def _weight(place: Place) -> int:
    return _VOLUME if place.path.lower().endswith(_VOLUMES) else 1


def _named(number: int, block: Sequence[Place]) -> Block:
    names = b"".join(b"%d %s\0" % (x.root, os.fsencode(x.path)) for x in block)
    return Block(f"part-{number:07d}-{hashlib.sha256(names).hexdigest()[:16]}.parquet", [*block])
