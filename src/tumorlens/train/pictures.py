"""Training pictures, decoded once and held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import CLASSES, Example
from tumorlens.data.outlines import MaskedPicture, read_mask
from tumorlens.data.published import Facts, facts
from tumorlens.data.several import note_several, refuse_several
from tumorlens.errors import DataError, UnreadableImageError
from tumorlens.files import hash_file
from tumorlens.images.prepare import PREPARATION, prepare, prepare_mask
from tumorlens.images.read import read_file
from tumorlens.progress import Progress, silent
from tumorlens.trust.weighting import own_groups

__all__ = ["Pictures", "hash_files", "held_out", "load_pictures", "split_off"]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Prepared pictures with their classes.

    Parameters
    ----------
    pixels
        uint8, ``(n, size, size)``, prepared and scaled from 0 … 1 to 0 … 255.
    labels
        int64, ``(n,)``: positions in `CLASSES`.
    sha256
        One hash over the labels and the bytes of all files, in order.
    unreadable
        What could not be read, and why; such files are not among the pictures.
    groups
        Patient or cluster of each picture; empty texts where they are not known.
    masks
        bool, ``(n, size, size)``: the outlined tumours; ``None`` when none is outlined.
    facts
        What was seen on each picture; empty when nothing was.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    sha256: str
    unreadable: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    masks: NDArray[np.bool_] | None = None
    facts: tuple[Facts, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[Any]) -> Self:
        """Pick some of the pictures."""
        places = np.arange(len(self))[index]
        return replace(
            self,
            pixels=self.pixels[index],
            labels=self.labels[index],
            groups=tuple(self.groups[i] for i in places) if self.groups else (),
            masks=None if self.masks is None else self.masks[index],
            facts=tuple(self.facts[i] for i in places) if self.facts else (),
        )

    @property
    def outlined(self) -> NDArray[np.bool_]:
        """Which pictures have an outlined tumour: bool, ``(n,)``."""
        if self.masks is None:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(self.masks.any(axis=(1, 2)))


def load_pictures(
    examples: Sequence[Example],
    size: int,
    progress: Progress = silent,
    *,
    outlines: Mapping[Path, MaskedPicture] = MappingProxyType({}),
    preparation: str = PREPARATION,
) -> Pictures:
    """Read, prepare and keep all pictures.

    A file that cannot be read, is not what its manifest says, or holds several slices, is
    listed in the result and left out.

    Parameters
    ----------
    examples
        Which.
    size
        Side in pixels.
    progress
        Told of files read.
    outlines
        Masks of tumours, by the resolved path of their picture.
    preparation
        One of `tumorlens.images.prepare.PREPARATIONS`.

    Raises
    ------
    DataError
        When nothing can be read.
    """
    pixels = np.empty((len(examples), size, size), dtype=np.uint8)
    masks = np.zeros((len(examples) if outlines else 0, size, size), dtype=np.bool_)
    good: list[int] = []
    bad: list[str] = []
    groups: list[str] = []
    seen: list[Facts] = []
    digest = hashlib.sha256()
    with ThreadPoolExecutor(2) as pool:  # decoding leaves the interpreter free
        results = pool.map(lambda example: _load(example, size, outlines, preparation), examples)
        for i, (example, (file_hash, result)) in enumerate(zip(examples, results, strict=True)):
            if isinstance(result, str):
                bad.append(result)
            said = "; ".join(note_several(bad)) if i + 1 == len(examples) else ""
            progress("reading", i + 1, len(examples), said)
            if isinstance(result, str):
                continue
            pixels[len(good)], mask = result
            if mask is not None:
                masks[len(good)] = mask
                digest.update(mask.tobytes())
            good.append(CLASSES.index(example.label))
            groups.append(example.group)
            seen.append(facts().get(file_hash, Facts()))
            digest.update(_hash_line(example, file_hash))
    if not good:
        several = "".join(f"; {note}" for note in note_several(bad))
        raise DataError(
            f"none of {len(examples)} files could be read; the first: {bad[0]}{several}"
        )
    kept = pixels[: len(good)]
    labels = np.array(good, dtype=np.int64)
    outlined = masks[: len(good)] if outlines else None
    known = tuple(seen) if any(fact != Facts() for fact in seen) else ()
    return Pictures(kept, labels, digest.hexdigest(), tuple(bad), tuple(groups), outlined, known)


def hash_files(examples: Sequence[Example]) -> str:
    """Hash the labels and the bytes of files, in order, as `Pictures.sha256` does.

    Files that cannot be read are left out here too.
    """
    digest = hashlib.sha256()
    for example in examples:
        with suppress(OSError):
            digest.update(_hash_line(example, hash_file(example.path)))
    return digest.hexdigest()


def held_out(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Hold a share of each class out, whole groups where they are known.

    Returns
    -------
    tuple of list
        The rest, and what is held out.
    """
    labels = np.array([CLASSES.index(example.label) for example in examples], dtype=np.int64)
    kept, off = split_off(labels, share, seed, [example.group for example in examples])
    return [examples[i] for i in kept], [examples[i] for i in off]


def split_off(
    labels: NDArray[np.int64], share: float, seed: int, groups: Sequence[str] = ()
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split positions at random into the rest and a share of each class.

    Parameters
    ----------
    labels
        int64, ``(n,)``.
    share
        Of each class, from 0 to below 1.
    seed
        Of the choice.
    groups
        Patient or cluster of each picture. Where they are known, whole groups are split
        off, so that no patient is on both sides, and the share is met roughly; a picture
        without one stands for itself. Of a class that has groups to spare, at least the
        smallest is split off, however small the share.

    Returns
    -------
    tuple of numpy.ndarray
        Positions kept and positions split off, each sorted.
    """
    random = np.random.default_rng((seed, 1))
    if any(groups):
        return _split_off_groups(labels, share, random, own_groups(groups))
    off = [
        random.permutation(where)[: round(share * where.size)]
        for where in (np.flatnonzero(labels == c) for c in range(len(CLASSES)))
    ]
    chosen = np.sort(np.concatenate(off))
    return np.setdiff1d(np.arange(labels.size), chosen), chosen


def _split_off_groups(
    labels: NDArray[np.int64], share: float, random: np.random.Generator, groups: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), len(CLASSES)), dtype=np.int64)
    np.add.at(counts, (member, labels), 1)
    room = np.rint(share * counts.sum(0)).astype(np.int64)
    off = np.zeros(len(names), dtype=np.bool_)
    for group in random.permutation(len(names)):
        if (counts[group] <= room).all():
            off[group] = True
            room -= counts[group]
    for label in np.flatnonzero(counts.sum(0)) if share > 0 else ():
        here = np.flatnonzero(counts[:, label])
        if not off[here].any() and here.size > 1:
            off[here[counts[here].sum(1).argmin()]] = True
    return np.flatnonzero(~off[member]), np.flatnonzero(off[member])


def _hash_line(example: Example, file_hash: str) -> bytes:
    return f"{example.label} {file_hash}\n".encode()


_Loaded = tuple[NDArray[np.uint8], NDArray[np.bool_] | None]


def _load(
    example: Example, size: int, outlines: Mapping[Path, MaskedPicture], preparation: str
) -> tuple[str, _Loaded | str]:
    """Hash of a file, and its picture and mask or what is wrong with it."""
    path = example.path
    try:
        slices, content = read_file(path)
    except UnreadableImageError as error:
        return "", str(error)
    if (reason := refuse_several(path, len(slices))) is not None:
        return "", reason
    picture, file_hash = slices[0], hashlib.sha256(content).hexdigest()
    if example.sha256 not in ("", file_hash):
        return "", f"{path}: not the file that the manifest lists; make the manifest anew"
    prepared = prepare(picture, size, preparation)
    mask = None
    if outlines and (outline := outlines.get(path.resolve())):
        whole = read_mask(outline, picture.height, picture.width)
        mask = prepare_mask(whole, prepared) >= 0.5
    return file_hash, (np.rint(prepared.pixels * 255).astype(np.uint8), mask)
