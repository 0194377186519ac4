"""Pictures whose tumour somebody has outlined: which mask belongs to which, and how it lies."""

from __future__ import annotations

import csv
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
        The folder that the table's pictures are named from.
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
    look_up = _knowledge(manifest)
    found = []
    for line, row in enumerate(_rows(source, mask_column), start=2):
        path = root / (row["image"] or "")
        if not path.is_file():
            continue
        label, group, its_fold = look_up(path)
        if fold is not None and its_fold != fold:
            continue
        label = row.get("label") or label or path.parent.name
        named = class_named(label)
        if named is None:
            raise DataError(f"{source}, line {line}: {label!r} is no class; name one in `label`")
        if not row[mask_column]:
            raise DataError(f"{source}, line {line}: no mask is named for {row['image']}")
        mask = folder / str(row[mask_column])
        mask = mask if mask.suffix else mask.with_name(f"{mask.name}.png")
        if not mask.is_file():
            raise DataError(f"{source}, line {line}: there is no mask {mask}")
        mirrored = (row.get("mirrored") or "0").strip() not in ("0", "false", "no", "")
        found.append(
            MaskedPicture(
                row["image"] or "", path, mask, mirrored, named, row.get("group") or group, its_fold
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


def _rows(source: Path, mask_column: str) -> list[dict[str, str | None]]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source} cannot be read as a table of masks: {error}") from error
    missing = [name for name in ("image", mask_column) if name not in columns]
    if missing:
        raise DataError(
            f"{source} lacks the columns {', '.join(missing)}; it has {', '.join(columns)}. "
            "The masks' column may be named with --mask-column"
        )
    return rows


def _knowledge(manifest: str | os.PathLike[str] | None) -> Callable[[Path], _Known]:
    """Give what looks up label, group and fold of a file."""
    if manifest is None:
        return _of_published
    read = read_manifest(manifest)
    entries = {(read.root / e.path).resolve(): e for e in read.entries}

    def look_up(path: Path) -> _Known:
        entry = entries.get(path.resolve())
        return ("", "", None) if entry is None else (entry.corrected_label, entry.group, entry.fold)

    return look_up


def _of_published(path: Path) -> _Known:
    """Look a file up in the published manifest."""
    row = published().get(hashlib.sha256(path.read_bytes()).hexdigest())
    return ("", "", None) if row is None else (row.label, row.group, row.fold)
