"""Pictures as they would be without their tumour: taught as no tumour.

A network that has only ever seen tumours in the pictures of one source learns the source.
The same slice with its tumour painted over breaks that: source, scanner and sequence
stay, the tumour goes. So that a painted patch itself says nothing, as many pictures are
painted elsewhere and keep their answer.

What covers the tumour is tissue of the same slice, from the other side of the head or
from another place of it. `tumorlens localise` hides tumours by another way of painting,
which no network has trained on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.extras import require
from tumorlens.images.head import find_head

__all__ = ["cover", "place_elsewhere"]

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_INSIDE: Final = 0.95  # of a patch that must lie on tissue
_TRIES: Final = 40
_OFFERS: Final = 5
_SKULL: Final = 0.07  # of the side: how deep below the skin the skull reaches
_RIM: Final = 0.015  # of the side: how far a tumour may reach beyond its outline
_SOFT: Final = 0.008  # of the side: width of the seam


def cover(
    picture: Grey, patch: Mask, random: np.random.Generator, *, spare: Mask | None = None
) -> Grey | None:
    """Cover a patch of a picture with tissue from elsewhere in it.

    Parameters
    ----------
    picture
        A prepared picture, uint8, ``(size, size)``.
    patch
        What to cover, bool, ``(size, size)``. Its rim is covered too.
    random
        Where the numbers come from.
    spare
        What the tissue must not be taken from, beside the patch itself.

    Returns
    -------
    numpy.ndarray or None
        uint8, ``(size, size)``; ``None`` when the head has no room to take tissue from.
    """
    ndimage: Any = require("scipy.ndimage", "training", "train")
    side = picture.shape[0]
    wide = ndimage.binary_dilation(patch, iterations=max(2, round(_RIM * side)))
    taboo = wide if spare is None else wide | spare
    ring = ndimage.binary_dilation(wide, iterations=3) & ~wide
    source = _source(picture, wide, ring, taboo, random)
    if source is None:
        return None
    seam = ndimage.gaussian_filter(wide.astype(np.float32), max(0.8, _SOFT * side))
    # As bright as what surrounds the patch, so that the seam does not show.
    shift = picture[ring].mean() - source[ring].mean() if ring.any() else 0.0
    mixed = picture * (1 - seam) + (source + np.float32(0.7 * shift)) * seam
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def place_elsewhere(patch: Mask, picture: Grey, random: np.random.Generator) -> Mask | None:
    """Move a patch to where there is tissue and no pixel of the patch itself.

    Parameters
    ----------
    patch
        Its shape; it may come from another picture.
    picture
        The picture to place it on, uint8, of the same shape.
    random
        Where the numbers come from.

    Returns
    -------
    numpy.ndarray or None
        bool; ``None`` when no place was found.
    """
    tissue = find_head(picture)
    rows, columns = np.nonzero(patch)
    if not rows.size:
        return None
    for _ in range(_TRIES):
        y = rows - rows.min() + random.integers(0, patch.shape[0] - int(np.ptp(rows)))
        x = columns - columns.min() + random.integers(0, patch.shape[1] - int(np.ptp(columns)))
        if tissue[y, x].mean() >= _INSIDE and not patch[y, x].any():
            found = np.zeros_like(patch)
            found[y, x] = True
            return found
    return None


def _source(
    picture: Grey, patch: Mask, ring: Mask, taboo: Mask, random: np.random.Generator
) -> NDArray[np.float32] | None:
    """Lay the picture so that healthy tissue comes to lie on the patch.

    Of some offers the one that continues best what lies around the patch.
    """
    ndimage: Any = require("scipy.ndimage", "training", "train")
    tissue = find_head(picture)
    # Skull moved into the brain would be seen, and learnt.
    deep = ndimage.distance_transform_edt(tissue) > _SKULL * picture.shape[0]
    offers: list[Grey] = []
    if _fits(tissue[:, ::-1], taboo[:, ::-1], patch):
        offers.append(picture[:, ::-1])
    reach = picture.shape[0] // 2
    for _ in range(_TRIES):
        step = tuple(int(pixels) for pixels in random.integers(-reach, reach + 1, 2))
        if _fits(np.roll(deep, step, (0, 1)), np.roll(taboo, step, (0, 1)), patch):
            offers.append(np.roll(picture, step, (0, 1)))
        if len(offers) == _OFFERS:
            break
    if not offers:
        return None
    around = picture[ring].astype(np.float32)
    errors = [np.abs(offer[ring] - around).mean() for offer in offers]
    return offers[int(np.argmin(errors))].astype(np.float32)


def _fits(tissue: Mask, taboo: Mask, patch: Mask) -> bool:
    """See that what would cover the patch is tissue and nothing to spare."""
    return bool(tissue[patch].mean() >= _INSIDE and not taboo[patch].any())
