"""Pictures whose tumour somebody has outlined: which mask belongs to which, and how it lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import class_named
from tumorlens.data.manifest import read_manifest
from tumorlens.data.published import published
from tumorlens.data.table import read_table
from tumorlens.errors import DataError
from tumorlens.images.read import read_slices

__all__ = ["MaskedPicture", "find_masked", "read_mask"]

_ASPECT: Final = 0.02  # by how much the proportions of picture and mask may differ


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """A picture and the mask of its tumour.

    Parameters
    ----------
    name
        What the table calls the picture.
    path, mask
        Files.
    mirrored
        Whether the picture shows the mask's slice flipped left to right.
    label
        The class of the tumour.
    group
        The patient, or what else must not be torn apart; empty when not known.
    fold
        From 0; ``None`` when not known.
    """

    name: str
    path: Path
    mask: Path
    mirrored: bool
    label: str
    group: str = ""
    fold: int | None = None


def find_masked(
    data: str | os.PathLike[str],
    masks: str | os.PathLike[str],
    table: str | os.PathLike[str],
    *,
    mask_column: str = "mask",
    manifest: str | os.PathLike[str] | None = None,
    fold: int | None = None,
) -> list[MaskedPicture]:
    """Match pictures with masks by a table.

    Parameters
    ----------
    data
        The folder that the table's pictures are named from; a manifest means its own.
    masks
        The folder that its masks are named from.
    table
        A CSV with the columns ``image`` and, under the name `mask_column`, the mask's
        file; a name without a suffix means a PNG. ``mirrored`` (1: flip the mask left
        to right), ``label`` and ``group`` are optional. Without a label the name of the
        picture's folder counts. Pictures that are not there are passed over.
    mask_column
        What the column of the masks is called.
    manifest
        Groups, folds and corrected labels of the pictures, as `tumorlens data manifest`
        writes them. When ``None``, those of the published set, known by their SHA-256.
    fold
        Take pictures of this fold only.

    Raises
    ------
    DataError
        When the table cannot be read, a mask is missing, or nothing is left.
    """
    root, folder, source = Path(data), Path(masks), Path(table)
    root = root.parent if root.is_file() else root
    look_up = _knowledge(manifest)
    found = []
    hint = "the masks' column may be named with --mask-column"
    for row in read_table(source, "a table of masks", ("image", mask_column), hint):
        line, named_mask = row.line, row[mask_column].removesuffix(".0")
        path = root / row["image"]
        if not path.is_file():
            continue
        label, group, its_fold = look_up(path)
        if fold is not None and its_fold != fold:
            continue
        label = row["label"] or label or path.parent.name
        named = class_named(label)
        if named is None:
            raise DataError(f"{source}, line {line}: {label!r} is no class; name one in `label`")
        if not named_mask:
            raise DataError(f"{source}, line {line}: no mask is named for {row['image']}")
        mask = folder / named_mask
        mask = mask if mask.suffix else mask.with_name(f"{mask.name}.png")
        if not mask.is_file():
            raise DataError(f"{source}, line {line}: there is no mask {mask}")
        mirrored = row["mirrored"].lower() not in ("0", "0.0", "false", "no", "")
        found.append(
            MaskedPicture(
                row["image"], path, mask, mirrored, named, row["group"] or group, its_fold
            )
        )
    if not found:
        where = "" if fold is None else f" of fold {fold}"
        raise DataError(f"none of the pictures in {source} is{where} in {root}")
    return found


def read_mask(case: MaskedPicture, height: int, width: int) -> NDArray[np.bool_]:
    """Read a mask and lay it over its picture.

    Parameters
    ----------
    case
        The picture and its mask.
    height, width
        Of the picture in pixels.

    Returns
    -------
    numpy.ndarray
        bool, ``(height, width)``: flipped if the picture is, and the nearest pixel of
        the mask at each pixel of the picture.

    Raises
    ------
    DataError
        When the mask has other proportions than the picture, or is empty.
    UnreadableImageError
        When it cannot be read.
    """
    pixels = read_slices(case.mask)[0].pixels
    mask = pixels > pixels.max() / 2
    if not mask.any():
        raise DataError(f"{case.mask} marks nothing")
    rows, columns = mask.shape
    if abs(rows * width / (columns * height) - 1) > _ASPECT:
        raise DataError(
            f"{case.mask} is {columns} × {rows} and {case.path} {width} × {height}: they do not "
            "show the same"
        )
    if case.mirrored:
        mask = mask[:, ::-1]
    y = ((np.arange(height) + 0.5) * rows / height).astype(np.intp)
    x = ((np.arange(width) + 0.5) * columns / width).astype(np.intp)
    return np.asarray(mask[np.ix_(y, x)])


_Known = tuple[str, str, int | None]  # label, group, fold


def _knowledge(manifest: str | os.PathLike[str] | None) -> Callable[[Path], _Known]:
    """Give what looks up label, group and fold of a file."""
    if manifest is None:
        return _of_published
    read = read_manifest(manifest)
    entries = {_place(read.root / e.path): e for e in read.entries}

    def look_up(path: Path) -> _Known:
        entry = entries.get(_place(path))
        return ("", "", None) if entry is None else (entry.corrected_label, entry.group, entry.fold)

    return look_up


def _place(path: Path) -> Path:
    """Name a file in one way, yet not what it links to, which equal files may share."""
    return path.parent.resolve() / path.name


def _of_published(path: Path) -> _Known:
    """Look a file up in the published manifest."""
    row = published().get(hashlib.sha256(path.read_bytes()).hexdigest())
    return ("", "", None) if row is None else (row.label, row.group, row.fold)
