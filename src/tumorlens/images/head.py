"""Where the head lies in a slice.

Everybody who asks comes here: the preparation of pictures for networks, the measuring of
maps, the painting over of tumours. It takes NumPy and Pillow alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.images.percentiles import percentiles

__all__ = [
    "Box",
    "fill_largest",
    "find_head",
    "find_head_box",
    "find_tissue_box",
    "framed",
    "widen",
]

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge, in pixels."""

_THUMB: Final = 96  # side, in pixels, at which the head is looked for
_AIR: Final = 0.12  # of the brightest tissue: what is darker is taken for air
_BLACK, _WHITE = 1.0, 99.5  # percentiles between which air and brightest tissue are told
_SPECK: Final = 0.06  # of the fullest row: rows with less are captions or noise
_SMALLEST: Final = 0.05  # of the picture's side: a smaller "head" is a mistake
_FAR: Final = 0.4  # of the picture's longer side: a smaller head is looked at twice
_EVEN: Final = 0.25  # of the brightest: greys of a margin differ less
_NEAR: Final = 0.1  # of the side of the head's box: what is nearer may be a part of it
_PART: Final = 0.1  # of the head's core: pieces with less are part of it only near it
_STRAIGHT: Final = 0.8  # of a piece, along the sides of its box: then it is a frame
_GLARE: Final = 1.1  # as bright as the head itself: then text was taken for tissue


def find_head(pixels: NDArray[np.uint8] | Grey) -> Mask:
    """Find the head: tissue in one piece, with all that it encloses.

    Parameters
    ----------
    pixels
        Grey values, ``(height, width)``.

    Returns
    -------
    numpy.ndarray
        bool, of the same shape.
    """
    grey = pixels.astype(np.float32)
    low, high = (float(v) for v in np.percentile(grey, (_BLACK, _WHITE)))
    _, head = _look(grey)
    step = -(-max(grey.shape) // max(head.shape))
    near = widen(head).repeat(step, axis=0).repeat(step, axis=1)[: len(grey), : grey.shape[1]]
    return fill_largest(near & (grey > low + _AIR * (high - low)))


def fill_largest(tissue: Mask) -> Mask:
    """Keep the largest piece of a mask, with all that it encloses."""
    pieces, count = _label(tissue)
    if not count:
        return np.zeros(tissue.shape, dtype=np.bool_)
    largest = 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    around, _ = _label(framed(pieces != largest, beyond=True))
    return np.asarray(around[1:-1, 1:-1] != around[0, 0], dtype=np.bool_)


def find_head_box(grey: Grey) -> tuple[Box, Mask]:
    """Find the box of the head, and which part of the picture it is.

    A caption, a ruler, a frame, a bright margin and bright corners are passed over, as
    long as they do not touch the head.

    Parameters
    ----------
    grey
        Grey values, ``(height, width)``, of which the lowest are air.

    Returns
    -------
    box
        The box; the whole picture when no head is found.
    mask
        bool, a thumbnail of the whole picture: where the head is.
    """
    height, width = grey.shape
    (left, top, right, bottom), mask = _look(grey)
    if min((right - left) / width, (bottom - top) / height) < _SMALLEST:
        return (0, 0, width, height), np.ones_like(mask)
    if max(right - left, bottom - top) < _FAR * max(height, width):
        # Lost in a wide border, and so found coarsely: look again, closer.
        step = max(height, width) // _THUMB + 1
        x, y = max(left - step, 0), max(top - step, 0)
        near, _ = _look(grey[y : bottom + step, x : right + step])
        return (near[0] + x, near[1] + y, near[2] + x, near[3] + y), mask
    return (left, top, right, bottom), mask


def find_tissue_box(grey: Grey) -> Box:
    """Find the box of all that is brighter than air, captions and frames too: head-crop/1."""
    height, width = grey.shape
    left, top, right, bottom = _look_at_all(grey)
    if min((right - left) / width, (bottom - top) / height) < _SMALLEST:
        return 0, 0, width, height
    if max(right - left, bottom - top) < _FAR * max(height, width):
        step = max(height, width) // _THUMB + 1
        x, y = max(left - step, 0), max(top - step, 0)
        near = _look_at_all(grey[y : bottom + step, x : right + step])
        return near[0] + x, near[1] + y, near[2] + x, near[3] + y
    return left, top, right, bottom


def _look_at_all(grey: Grey) -> Box:
    thumb, step = _thumb(grey)
    air, bright = (float(value) for value in np.percentile(thumb, (_BLACK, _WHITE)))
    return _box(thumb > air + _AIR * (bright - air), step, grey.shape)


def _look(grey: Grey) -> tuple[Box, Mask]:
    """Find the head in a thumbnail: its box in the picture, and itself."""
    thumb, step = _thumb(grey)
    air, bright = percentiles(thumb, (_BLACK, _WHITE)).tolist()
    head = _head_pieces(_without_margin(thumb, air, bright))
    if head.any():
        # As many as before may be brighter, but now of the head alone.
        few = max(1, round((1 - _WHITE / 100) * thumb.size))
        inside = thumb[head]
        rank = inside.size - min(few, inside.size)
        own = np.partition(inside, rank)[rank]
        if bright - air > _GLARE * (own - air):
            head = _head_pieces(_without_margin(thumb, air, float(own)))
    return _box(head, step, grey.shape), head


def _thumb(grey: Grey) -> tuple[Grey, int]:
    step = max(1, -(-max(grey.shape) // _THUMB))
    return np.asarray(Image.fromarray(grey).reduce(step)), step


def _box(tissue: Mask, step: int, shape: tuple[int, ...]) -> Box:
    """Lay a box around tissue in a thumbnail, in pixels of the picture."""
    left, right = _extent(tissue.sum(axis=0))
    top, bottom = _extent(tissue.sum(axis=1))
    return left * step, top * step, min(right * step, shape[1]), min(bottom * step, shape[0])


def _extent(counts: NDArray[np.int_]) -> tuple[int, int]:
    """First and one past the last index whose count is not a speck's."""
    full = np.flatnonzero(counts > _SPECK * counts.max())
    return (int(full[0]), int(full[-1]) + 1) if full.size else (0, counts.size)


def _without_margin(thumb: Grey, air: float, bright: float) -> Mask:
    """Say what is brighter than air, but for plain bright lines along the sides."""
    tissue = thumb > air + _AIR * (bright - air)
    if not any(line.all() for line in (tissue[0], tissue[-1], tissue[:, 0], tissue[:, -1])):
        return tissue
    even = _EVEN * (bright - air)
    inner = tissue, thumb
    for turns in range(4):
        lines, greys = (np.rot90(view, turns) for view in inner)
        plain = lines.all(axis=1) & (np.ptp(greys, axis=1) <= even)
        count = int(np.argmin(plain)) if not plain.all() else 0
        lines[:count] = False
        inner = np.rot90(lines[count:], -turns), np.rot90(greys[count:], -turns)
    return tissue


def _head_pieces(tissue: Mask) -> Mask:
    """Keep the pieces of a mask that are a head or parts of it."""
    pieces, count = _label(tissue)
    if count < 2:
        return tissue
    core = np.bincount(pieces[_eroded(tissue)], minlength=count + 1)
    core[0] = 0
    if not core.any():  # thin lines and specks alone
        return tissue
    main = int(core.argmax())
    boxes = _boxes(pieces, count)
    left, top, right, bottom = boxes[:, main].tolist()
    near = round(_NEAR * max(right - left, bottom - top))  # as a scalp is
    inside = left - near, top - near, right + near, bottom + near
    large = core >= _PART * core[main]
    kept = large.copy()
    kept[pieces[[0, 0, -1, -1], [0, -1, 0, -1]]] = False
    kept[main] = True
    for piece in range(1, count + 1):
        if not large[piece]:
            kept[piece] = _belongs(pieces, piece, boxes[:, piece].tolist(), inside)
    kept[0] = False
    return np.asarray(kept[pieces])


def _belongs(pieces: NDArray[np.int64], piece: int, box: Sequence[int], head: Box) -> bool:
    """Say whether a piece lies in a head's box, or goes round it as a scalp does."""
    left, top, right, bottom = box
    own = (right - left) * (bottom - top)
    wide = max(0, min(right, head[2]) - max(left, head[0]))
    high = max(0, min(bottom, head[3]) - max(top, head[1]))
    if wide * high >= 0.5 * own:
        return True
    if wide * high < 0.5 * (head[2] - head[0]) * (head[3] - head[1]):
        return False
    around = pieces == piece
    inner = around[top + 2 : bottom - 2, left + 2 : right - 2]
    return bool(inner.sum() > (1 - _STRAIGHT) * around.sum())


def _boxes(pieces: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Lay a box around each piece: left, top, right and bottom edge by its number, from 1 on."""
    y, x = np.nonzero(pieces)
    piece = pieces[y, x]
    edges = np.zeros((4, count + 1), dtype=np.int64)
    edges[:2] = max(pieces.shape)
    np.minimum.at(edges[0], piece, x)
    np.minimum.at(edges[1], piece, y)
    np.maximum.at(edges[2], piece, x + 1)
    np.maximum.at(edges[3], piece, y + 1)
    return edges


def widen(mask: Mask) -> Mask:
    """Add one pixel all around."""
    return ~_eroded(~mask, beyond=True)


def framed(mask: Mask, *, beyond: bool) -> Mask:
    """Put one pixel around a mask; `numpy.pad` takes longer than what is done with it."""
    wide = np.full((mask.shape[0] + 2, mask.shape[1] + 2), beyond)
    wide[1:-1, 1:-1] = mask
    return wide


def _eroded(mask: Mask, *, beyond: bool = False) -> Mask:
    """Take off one pixel all around."""
    wide = framed(mask, beyond=beyond)
    tall = wide[:-2] & wide[1:-1] & wide[2:]
    return np.asarray(tall[:, :-2] & tall[:, 1:-1] & tall[:, 2:])


def _label(mask: Mask) -> tuple[NDArray[np.int64], int]:
    """Give each piece of a mask a number from 1 on; pixels that share a side are of one."""
    width = mask.shape[1] + 1  # no run of pixels goes on in the next row
    between = np.zeros((len(mask), width + 1), dtype=np.int8)
    between[:, 1:-1] = mask
    steps = np.diff(between, axis=1).ravel()
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    # The runs of the row above that touch each run: from the first to before the last.
    first = np.searchsorted(ends, starts - width, side="right")
    last = np.searchsorted(starts, ends - width, side="left")
    # Each joins the first it touches; that alone is most of the work. Few touch several.
    parents = np.where(last > first, first, np.arange(starts.size))
    several = np.flatnonzero(last - first > 1)
    if several.size:
        parents = _joined(parents, several, first[several] + 1, last[several])
    while (parents != (above := parents[parents])).any():
        parents = above
    is_root = parents == np.arange(starts.size)
    numbers = np.cumsum(is_root)[parents]
    pieces = np.zeros(mask.shape, dtype=np.int64)
    pieces[mask] = np.repeat(numbers, ends - starts)
    return pieces, int(is_root.sum())


def _joined(
    parents: NDArray[np.int64],
    runs: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Join runs with all others that they touch; lists are quicker than arrays, item by item."""
    above = parents.tolist()
    for run, begin, end in zip(runs.tolist(), first.tolist(), last.tolist(), strict=True):
        for other in range(begin, end):
            one, two = _root(above, run), _root(above, other)
            above[max(one, two)] = min(one, two)
    return np.array(above)


def _root(parents: list[int], run: int) -> int:
    """Find the first of a piece, and shorten the way there."""
    while (above := parents[run]) != run:
        parents[run] = run = parents[above]
    return run
