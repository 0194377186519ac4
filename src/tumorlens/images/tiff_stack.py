"""Stacks whose pictures lie behind the one page of a TIFF, without pages of their own.

ImageJ writes them so beyond 4 GB, and tifffile on request and beyond 4 GB. Other readers see the
first picture and nothing of the others. ImageJ says ``images=57`` in the description, tifffile
a shape in JSON; the values follow one another, uncompressed, from where the page's own begin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tifffile import TiffFile

    from tumorlens.images.limits import Limits

__all__ = ["count_behind", "read_behind"]


def count_behind(file: TiffFile, data: bytes) -> int:
    """Count the pictures behind the one page of a file; 1 when it is no such stack.

    A description outlives the stack that it is of: a single slice that was cut out of it may
    still say ``images=57``. So it counts only where a second picture follows.
    """
    if len(file.pages) != 1:
        return 1
    page: Any = file.pages[0]
    if page.compression != 1 or not page.is_contiguous or page.bitspersample % 8:
        return 1
    if page.dataoffsets[0] + 2 * page.nbytes > len(data):
        return 1
    if file.is_imagej:
        told = (file.imagej_metadata or {}).get("images", 1)
        return told if isinstance(told, int) else 1
    shape = (file.shaped_metadata or ({},))[0].get("shape", ())
    whole = all(isinstance(n, int) and n > 0 for n in shape)
    return math.prod(shape) // int(page.size) if whole else 1


def read_behind(
    file: TiffFile, data: bytes, count: int, source: str, limits: Limits
) -> Iterator[NDArray[Any]]:
    """Give the values of each picture, ``(planes, depth, height, width, samples)``.

    Raises
    ------
    UnreadableImageError
        When they are too many or too large.
    EOFError
        When the file ends before the last of them.
    """
    page: Any = file.pages[0]
    kind, size = np.dtype(file.byteorder + page.dtype.char), int(page.nbytes)
    begin, spent = int(page.dataoffsets[0]), 0
    for index in range(count):  # before anything is made room for
        spent = limits.check_frame(source, (page.imagewidth, page.imagelength), index, spent)
    if begin + count * size > len(data):
        raise EOFError(f"image file is truncated before slice {(len(data) - begin) // size}")
    for index in range(count):
        values = np.frombuffer(data, kind, int(page.size), begin + index * size)
        yield values.reshape(page.shaped)
