"""What an epoch shows: which pictures, and what is painted over or pasted into each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES
from tumorlens.data.published import Facts
from tumorlens.networks.network import NO_TUMOUR
from tumorlens.train.appearance import vary
from tumorlens.train.paint import cover, place_elsewhere
from tumorlens.train.paste import paste
from tumorlens.train.pictures import Pictures
from tumorlens.train.recipe import Appearance, Recipe
from tumorlens.trust.weighting import own_groups

__all__ = ["Drawn"]

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_Shown = tuple[Grey, Mask, int]

_AT_THE_SELLA = CLASSES.index("pituitary")
_STRAY = {_AT_THE_SELLA: 0.02}  # an adenoma lies in one place, other tumours anywhere
_FEW = 0.06


class Drawn:
    """Pictures as an epoch shows them, before they are moved.

    Parameters
    ----------
    recipe
        How they are to be drawn, painted over and varied.
    pictures
        All of them.
    """

    def __init__(self, recipe: Recipe, pictures: Pictures) -> None:
        self._recipe, self._all = recipe, pictures
        self._outlined = pictures.outlined
        # Zeros cost nothing until they are written to.
        empty = np.zeros(pictures.pixels.shape, np.bool_)
        self._masks = empty if pictures.masks is None else pictures.masks
        self._facts = pictures.facts or (Facts(),) * len(pictures)
        self._shares = None if recipe.balance == "none" else _shares(pictures, recipe)
        self._plain = not self._outlined.any() and recipe.appearance == Appearance()
        self._donors = _by_kind_and_plane(pictures, self._facts)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Say which pictures an epoch shows, in which order."""
        random = np.random.default_rng((self._recipe.seed, 2, epoch))
        count = len(self._all)
        if self._shares is None:
            return random.permutation(count)
        return random.choice(count, count, p=self._shares)

    def pictures(
        self, chosen: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Grey, Mask | None, NDArray[np.int64]]:
        """Give pixels, masks and labels, painted over and looking otherwise as asked for."""
        pixels, labels = self._all.pixels[chosen], self._all.labels[chosen]
        if self._plain:
            return pixels, None, labels
        masks = np.zeros(pixels.shape, np.bool_)
        for n, i in enumerate(chosen):
            # Each picture from a generator of its own: how much is drawn depends on it.
            own = np.random.default_rng(random.integers(2**63))
            pixels[n], masks[n], labels[n] = self._painted(int(i), own)
            pixels[n], masks[n] = vary(pixels[n], masks[n], own, self._recipe.appearance)
        return pixels, masks if self._all.masks is not None else None, labels

    def _painted(self, i: int, random: np.random.Generator) -> _Shown:
        """Show a picture as it is, or with something painted over or pasted in."""
        picture, label = self._all.pixels[i], int(self._all.labels[i])
        mask = self._masks[i]
        asked, chance = self._recipe.outlines, random.random()
        shown: _Shown | None = None
        if not self._outlined.any():
            pass
        elif label == NO_TUMOUR:
            if chance < asked.paste:
                shown = self._pasted(i, picture, random)
            elif chance < asked.paste + asked.decoy:
                shown = self._decoy(i, picture, random)
            elif chance < asked.paste + asked.decoy + asked.control:
                shown = self._patched(picture, mask, label, random)
        elif self._outlined[i]:  # another tumour might be hit unseen
            if chance < asked.hide + asked.swap:
                shown = self._hidden(i, random, swap=chance >= asked.hide)
            elif chance < asked.hide + asked.swap + asked.control:
                shown = self._patched(picture, mask, label, random)
        return shown or (picture, mask, label)

    def _hidden(self, i: int, random: np.random.Generator, *, swap: bool) -> _Shown | None:
        """Paint a tumour over; with `swap`, and put one of another kind into that head."""
        painted = cover(self._all.pixels[i], self._masks[i], random)
        if painted is None:
            return None
        nothing = np.zeros(painted.shape, np.bool_)
        if swap and (shown := self._pasted(i, painted, random)) is not None:
            return shown
        return painted, nothing, NO_TUMOUR

    def _pasted(self, i: int, host: Grey, random: np.random.Generator) -> _Shown | None:
        """Put a tumour from elsewhere into a head."""
        plane, label = self._facts[i].plane, int(self._all.labels[i])
        kinds = [k for k in range(len(CLASSES)) if k != label and (k, plane) in self._donors]
        # An adenoma lies where a sella is; that is in every head that has one.
        sella = label == _AT_THE_SELLA or self._facts[i].sella
        if not sella and _AT_THE_SELLA in kinds:
            kinds.remove(_AT_THE_SELLA)
        if not kinds:
            return None
        # Few heads show a sella. Most of those get an adenoma, so that all kinds are as often.
        rare = sella and _AT_THE_SELLA in kinds and random.random() < 0.6
        kind = _AT_THE_SELLA if rare else int(random.choice(kinds))
        donor = self._donor(kind, plane, random)
        found = paste(
            host, self._all.pixels[donor], self._masks[donor], random, stray=_STRAY.get(kind, _FEW)
        )
        return None if found is None else (*found, kind)

    def _decoy(self, i: int, host: Grey, random: np.random.Generator) -> _Shown | None:
        """Put healthy tissue from elsewhere into a head, in the shape of a tumour."""
        plane = self._facts[i].plane
        shape = self._masks[random.choice(np.flatnonzero(self._outlined))]
        donor = self._all.pixels[self._donor(NO_TUMOUR, plane, random)]
        patch = place_elsewhere(shape, donor, random)
        found = None if patch is None else paste(host, donor, patch, random, stray=_FEW)
        return None if found is None else (found[0], np.zeros_like(found[1]), NO_TUMOUR)

    def _patched(
        self, picture: Grey, mask: Mask, label: int, random: np.random.Generator
    ) -> _Shown | None:
        """Paint over another place than the tumour, so that paint says nothing."""
        shape = mask
        if label == NO_TUMOUR:
            shape = self._masks[random.choice(np.flatnonzero(self._outlined))]
        patch = place_elsewhere(shape, picture, random)
        painted = None if patch is None else cover(picture, patch, random, spare=mask)
        return None if painted is None else (painted, mask, label)

    def _donor(self, kind: int, plane: str, random: np.random.Generator) -> int:
        """Draw a patient or family, then one of its pictures."""
        groups = self._donors[kind, plane]
        return int(random.choice(groups[random.integers(len(groups))]))


def _by_kind_and_plane(
    pictures: Pictures, facts: Sequence[Facts]
) -> dict[tuple[int, str], list[list[int]]]:
    """List what can be pasted: outlined tumours, and heads without any, by group."""
    outlined = pictures.outlined
    groups = pictures.groups or ("",) * len(pictures)
    found: dict[tuple[int, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (label, group) in enumerate(zip(pictures.labels, groups, strict=True)):
        if label == NO_TUMOUR or outlined[i]:
            found[int(label), facts[i].plane][group or str(i)].append(i)
    return {key: list(members.values()) for key, members in found.items()}


def _shares(pictures: Pictures, recipe: Recipe) -> NDArray[np.float64]:
    """Say how often each picture is to be drawn.

    Tumours alike, groups by the root of their size; and with ``"strata"`` each sequence
    and plane of a class by the root of its share.
    """
    labels = pictures.labels
    groups = own_groups(pictures.groups or [""] * len(labels))
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shares = 1 / np.sqrt(sizes[member])
    for label in np.unique(labels):
        of_class = labels == label
        if recipe.balance == "strata" and pictures.facts:
            names = np.array([f"{fact.sequence} {fact.plane}" for fact in pictures.facts])
            for name in np.unique(names[of_class]):
                here = of_class & (names == name)
                shares[here] /= np.sqrt(shares[here].sum())
        part = recipe.none if label == NO_TUMOUR else (1 - recipe.none) / (len(CLASSES) - 1)
        shares[of_class] *= part / shares[of_class].sum()
    return np.asarray(shares / shares.sum(), np.float64)
