"""How well copies are told from look-alikes, measured on the very pictures at hand.

Copies are made of a sample of the pictures, in the ways that copies come about, and
looked for by the same code. Pictures of different classes serve as what must not be
found: where the labels are right, none of them is a copy of another.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tumorlens.data import fingerprint as view
from tumorlens.data.duplicates import Pairs, compare_all
from tumorlens.data.folder import Example
from tumorlens.data.survey import Survey
from tumorlens.images.display import display_grey
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice
from tumorlens.progress import Progress, silent

__all__ = ["ALTERATIONS", "Alteration", "Curve", "alter", "measure_curve", "similarity_of_copies"]


@dataclass(frozen=True, slots=True)
class Alteration:
    """What is done to a picture to make a copy of it, in this order.

    Parameters
    ----------
    mirror
        Whether it is flipped left to right.
    to_head
        Whether it is cropped to the head first.
    crop
        Share of the width or height then cut off each side.
    gamma
        Exponent of the grey values: below 1 is brighter.
    scale
        Factor of width and height.
    turn
        Degrees it is rotated by.
    quality
        Of the JPEG it is saved as.
    """

    mirror: bool = False
    to_head: bool = False
    crop: float = 0.0
    gamma: float = 1.0
    scale: float = 1.0
    turn: float = 0.0
    quality: int = 95


_MUCH: Final = Alteration(mirror=True, to_head=True, gamma=0.7, scale=0.6, quality=60)

ALTERATIONS: Final[Mapping[str, Alteration]] = MappingProxyType(
    {
        "re-encoded": Alteration(quality=40),
        "mirrored": Alteration(mirror=True),
        "brightened": Alteration(gamma=0.8),
        "brightened much": Alteration(gamma=0.6),
        "darkened much": Alteration(gamma=1.6),
        "halved": Alteration(scale=0.5),
        "cropped to the head": Alteration(to_head=True),
        "cropped by 3 % more": Alteration(to_head=True, crop=0.03),
        "cropped by 6 % more": Alteration(to_head=True, crop=0.06),
        "cropped by 10 % more": Alteration(to_head=True, crop=0.10),
        "rotated by 3°": Alteration(turn=3.0),
        "rotated by 8°": Alteration(turn=8.0),
        "all at once": _MUCH,
        "all at once and cut into": replace(_MUCH, crop=0.03),
    }
)
"""The copies that are looked for: what is done to pictures, and worse than that."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How the threshold separates, measured on the pictures at hand.

    Parameters
    ----------
    thresholds
        Similarities.
    copies
        For each way to make a copy, the share found at each threshold.
    strangers
        Pairs of different labels that were looked at closely and are found.
    strangers_compared
        How many such pairs there are in all.
    sample
        How many pictures were copied.
    """

    thresholds: tuple[float, ...]
    copies: dict[str, tuple[float, ...]]
    strangers: tuple[int, ...]
    strangers_compared: int
    sample: int


def measure_curve(
    found: Survey, pairs: Pairs, *, sample: int = 200, seed: int = 0, progress: Progress = silent
) -> Curve:
    """Measure what each threshold would find: of copies, and of strangers.

    Parameters
    ----------
    found
        The pictures.
    pairs
        Those of them that were looked at closely.
    sample, seed, progress
        See `similarity_of_copies`.
    """
    examples = [look.example for look in found.looks]
    copies = similarity_of_copies(
        examples, found.fingerprints, sample=sample, seed=seed, progress=progress
    )
    labels = np.array([example.label for example in examples])
    strange = labels[pairs.first] != labels[pairs.second]
    grid = [round(0.5 + 0.01 * step, 2) for step in range(51)]
    return Curve(
        thresholds=tuple(grid),
        copies={
            name: tuple(round(float((values >= t).mean()), 4) for t in grid)
            for name, values in copies.items()
        },
        strangers=tuple(int((pairs.similarity[strange] >= t).sum()) for t in grid),
        strangers_compared=int(strange.sum()),
        sample=len(next(iter(copies.values()))),
    )


def alter(picture: Slice, how: Alteration) -> bytes:
    """Make a copy of a slice.

    Returns
    -------
    bytes
        A JPEG file.
    """
    grey = display_grey(picture) / np.float32(255)
    image = Image.fromarray(np.rint(255 * grey**how.gamma).astype(np.uint8))
    if how.to_head:
        left, top, right, bottom = prepare(picture, view.SIZE, "head-crop/2").box
        image = image.crop(
            (
                max(0, int(left)),
                max(0, int(top)),
                min(image.width, int(right)),
                min(image.height, int(bottom)),
            )
        )
    if how.crop:
        x, y = round(how.crop * image.width), round(how.crop * image.height)
        image = image.crop((x, y, image.width - x, image.height - y))
    if how.mirror:
        image = ImageOps.mirror(image)
    if how.turn:
        image = image.rotate(how.turn, Image.Resampling.BILINEAR)
    if how.scale != 1:
        size = (max(1, round(how.scale * image.width)), max(1, round(how.scale * image.height)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=how.quality)
    return file.getvalue()


def similarity_of_copies(
    examples: Sequence[Example],
    fingerprints: NDArray[np.uint8],
    *,
    sample: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, NDArray[np.float32]]:
    """Copy some pictures and compare each with its copies.

    Parameters
    ----------
    examples
        The pictures; each must be readable.
    fingerprints
        Theirs, uint8, ``(n, SIZE, SIZE)``.
    sample
        How many of them, at most.
    seed
        Which ones.
    progress
        Told of pictures copied.

    Returns
    -------
    dict
        For each of `ALTERATIONS` the similarities, float32, ``(sample,)``; -1 for
        copies that were no candidates, which is how an audit would miss them.
    """
    chosen = np.random.default_rng((seed, 7)).permutation(len(examples))[:sample]
    copies = np.empty((len(chosen), len(ALTERATIONS), view.SIZE, view.SIZE), np.uint8)
    for row, position in enumerate(chosen):
        picture = read_slices(examples[position].path)[0]
        for column, how in enumerate(ALTERATIONS.values()):
            copies[row, column] = view.fingerprint(read_slices(alter(picture, how))[0])
        progress("copying", row + 1, len(chosen))
    return {
        name: _compare_with(fingerprints[chosen], copies[:, column])
        for column, name in enumerate(ALTERATIONS)
    }


def _compare_with(originals: NDArray[np.uint8], copies: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compare each picture with its copy as an audit would."""
    count = len(originals)
    found = compare_all(np.concatenate([originals, copies]))
    result = np.full(count, -1, np.float32)
    own = np.flatnonzero(found.second == found.first + count)
    result[found.first[own]] = found.similarity[own]
    return result
