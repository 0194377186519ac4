"""Tumours put into heads that have none: taught as that tumour.

The mirror image of painting a tumour over. Where a collection has its tumours from one
source and sequence, and its other heads from others, a network learns source and
sequence. An outlined tumour, laid with what surrounds it into a head of another source
and sequence, breaks that. Its grey values are matched to the place where it comes to lie,
and sometimes inverted, so that no seam and no contrast is left to learn (J. Yang et al.,
"TumorCP", MICCAI 2021; X. Zhang et al., "CarveMix", MICCAI 2021).

A tumour goes where it was in its own head, give or take a little: a meningioma stays at
the skull, an adenoma in the sella.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.extras import require
from tumorlens.images.head import find_head

__all__ = ["paste"]

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_TRIES: Final = 12
_INSIDE: Final = 0.9  # of the tumour that must lie on tissue
_SCALE: Final = (0.7, 1.3)  # of the tumour's own size
_AROUND: Final = (0.01, 0.06)  # of the side: how much of its surroundings comes along
_SEAM: Final = (0.006, 0.02)  # of the side: width of the seam
_RING: Final = 0.04  # of the side: how far around the tumour its surroundings are measured
_LOUD: Final = (0.5, 2.0)  # least and most that contrast is changed by
_FAINT: Final = 14.0  # of 255: a tumour that differs by less from its surroundings is not seen
_TEXTURE: Final = 0.7  # of the spread of its surroundings: likewise
_INVERTED: Final = 0.25  # how often dark and bright change places


def paste(
    host: Grey,
    donor: Grey,
    mask: Mask,
    random: np.random.Generator,
    *,
    stray: float = 0.06,
    spare: Mask | None = None,
) -> tuple[Grey, Mask] | None:
    """Lay the tumour of one head, with its surroundings, into another.

    Parameters
    ----------
    host
        The prepared picture it is laid into, uint8, ``(size, size)``.
    donor
        The prepared picture it comes from, of the same shape and plane.
    mask
        The tumour in the donor, bool.
    random
        Where the numbers come from.
    stray
        Standard deviation of how far it may come to lie from where it was, as a share
        of the side.
    spare
        Where nothing must be laid, bool.

    Returns
    -------
    tuple of numpy.ndarray or None
        The picture, and the mask of the tumour in it; ``None`` when there is no room, or
        nothing of it would be seen.
    """
    if not mask.any():
        return None
    tissue = find_head(host)
    own = find_head(donor)
    donor, mask, own = _turned_alike(donor, mask, own, tissue, random)
    placed = _placed(donor, mask, own, tissue, random, stray=stray, spare=spare)
    if placed is None:
        return None
    donor, mask, own = placed
    grey = _matched(host, tissue, donor, own, mask, random)
    if grey is None:
        return None
    seam = _seam(mask, own & tissue, random)
    mixed = np.rint(host * (1 - seam) + grey * seam)
    return np.clip(mixed, 0, 255).astype(np.uint8), mask & (own & tissue)


def _turned_alike(
    donor: Grey, mask: Mask, own: Mask, tissue: Mask, random: np.random.Generator
) -> tuple[Grey, Mask, Mask]:
    """Flip the donor so that its head covers the host's best; equals at random."""
    flips = [(slice(None, None, y), slice(None, None, x)) for y in (1, -1) for x in (1, -1)]
    alike = [(own[flip] & tissue).sum() / max(1, (own[flip] | tissue).sum()) for flip in flips]
    # Heads are nearly symmetric from left to right: which way is noise.
    alike = [value + random.uniform(0, 0.02) for value in alike]
    best = flips[int(np.argmax(alike))]
    return donor[best], mask[best], own[best]


def _placed(
    donor: Grey,
    mask: Mask,
    own: Mask,
    tissue: Mask,
    random: np.random.Generator,
    *,
    stray: float,
    spare: Mask | None,
) -> tuple[Grey, Mask, Mask] | None:
    """Scale and move the donor until its tumour lies in the host's head."""
    side = mask.shape[0]
    rows, columns = np.nonzero(mask)
    centre = np.array([columns.mean(), rows.mean()])
    for attempt in range(_TRIES):
        scale = random.uniform(*_SCALE)
        wide = stray * side * (1 + attempt / 3)
        goal = centre + random.normal(0.0, wide, 2)
        # The input pixel of an output pixel: around the tumour's own centre.
        x, y = centre - goal / scale
        matrix = (1 / scale, 0, x, 0, 1 / scale, y)
        moved = _moved(mask.astype(np.uint8), matrix, Image.Resampling.NEAREST) > 0
        if moved.sum() < 9 or tissue[moved].mean() < _INSIDE:
            continue
        if spare is not None and spare[moved].any():
            continue
        return (
            _moved(donor, matrix, Image.Resampling.BILINEAR),
            moved,
            _moved(own.astype(np.uint8), matrix, Image.Resampling.NEAREST) > 0,
        )
    return None


def _moved(
    picture: NDArray[np.uint8], matrix: tuple[float, ...], how: Image.Resampling
) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    return np.array(image.transform(image.size, Image.Transform.AFFINE, matrix, how))


def _matched(
    host: Grey,
    tissue: Mask,
    donor: Grey,
    own: Mask,
    mask: Mask,
    random: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Give the donor the brightness and contrast of the place where it comes to lie."""
    ndimage: Any = require("scipy.ndimage", "training", "train")
    width = max(2, round(_RING * mask.shape[0]))
    ring = ndimage.binary_dilation(mask, iterations=width) & ~mask
    here, there = host[ring & tissue], donor[ring & own]
    if min(here.size, there.size) < 9:
        return None
    middle, level = float(np.median(there)), float(np.median(here))
    spread = _spread(host[tissue]) / max(1.0, _spread(donor[own]))
    gain = float(np.clip(spread, *_LOUD)) * random.uniform(0.8, 1.25)
    if random.random() < _INVERTED:
        gain = -gain
    grey = (donor.astype(np.float32) - np.float32(middle)) * np.float32(gain) + np.float32(level)
    grey = np.clip(grey, 0, 255)
    # What nobody can see would be taught as being there.
    contrast = float(np.sqrt(np.square(grey[mask] - level).mean()))
    if contrast < max(_FAINT, _TEXTURE * float(here.std())):
        return None
    return np.asarray(grey, np.float32)


def _spread(values: Grey) -> float:
    low, high = np.percentile(values, (10, 90))
    return float(high - low)


def _seam(mask: Mask, inside: Mask, random: np.random.Generator) -> NDArray[np.float32]:
    """Weigh the donor: all in the tumour, none far from it, softly between."""
    ndimage: Any = require("scipy.ndimage", "training", "train")
    side = mask.shape[0]
    around = max(1, round(random.uniform(*_AROUND) * side))
    wide = ndimage.binary_dilation(mask, iterations=around) & inside
    soft = ndimage.gaussian_filter(wide.astype(np.float32), random.uniform(*_SEAM) * side)
    return np.asarray(soft * inside, np.float32)
