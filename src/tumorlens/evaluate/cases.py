"""Which pictures to evaluate on, and what is true of each.

A manifest says most: corrected labels, groups, sources, folds. Of a folder only the
classes are known, by the names of its folders or by a map from other people's names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorlens.data.folder import find_examples
from tumorlens.data.manifest import Entry, Manifest, read_manifest
from tumorlens.errors import DataError

__all__ = ["Case", "LabelledSet", "find_cases"]


@dataclass(frozen=True, slots=True)
class Case:
    """One picture with its truth.

    Parameters
    ----------
    name
        Its path below the set's root, with ``/``.
    label
        One of `CLASSES`; the corrected one.
    group, source
        Patient or cluster, and collection; empty where they are not known.
    sha256
        Of the file, where a manifest says so.
    """

    name: str
    label: str
    group: str = ""
    source: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class LabelledSet:
    """The pictures to evaluate on.

    Parameters
    ----------
    name
        Of the folder or manifest.
    root
        The folder that the cases' names start from.
    cases
        One a picture, in order.
    origin
        How they were chosen, for the record.
    external
        Whether the set is somebody else's.
    manifest, chosen
        Where they come from a manifest: all of it, and the entries of the cases.
    """

    name: str
    root: Path
    cases: tuple[Case, ...]
    origin: dict[str, Any]
    external: bool = False
    manifest: Manifest | None = None
    chosen: tuple[Entry, ...] = ()


def find_cases(
    data: str | os.PathLike[str],
    *,
    folds: Sequence[int] = (),
    split: str | None = None,
    external: bool = False,
    class_map: Mapping[str, str] | None = None,
) -> LabelledSet:
    """List the pictures of a data set, or of some of its folds or of one official split.

    Parameters
    ----------
    data
        A manifest, of which what is excluded is left out, or a folder as
        `tumorlens.data.folder.find_examples` takes it.
    folds
        Of a manifest only; everything when there are none.
    split
        One of `tumorlens.data.folder.SPLITS`; everything when ``None``.
    external
        Whether it is somebody else's set, of which the model's card says nothing.
    class_map
        From names of folders to classes; see `tumorlens.data.folder.read_class_map`.

    Raises
    ------
    DataError
        When the data is not as it should be, a folder stands for no class, or nothing
        is left.
    """
    source = Path(data)
    if source.is_dir():
        return _of_folder(source, folds, split, class_map or {}, external=external)
    if external or class_map:
        raise DataError(f"{source} is not a folder; --external and --class-map take one")
    return _of_manifest(source, folds, split)


def _of_manifest(source: Path, folds: Sequence[int], split: str | None) -> LabelledSet:
    manifest = read_manifest(source)
    known = sorted({entry.fold for entry in manifest.counted if entry.fold is not None})
    absent = sorted(set(folds) - set(known))
    if absent:
        raise DataError(
            f"{source} has no fold {absent[0]} (its folds: {', '.join(map(str, known)) or 'none'})"
        )
    chosen = tuple(
        entry
        for entry in manifest.counted
        if (not folds or entry.fold in folds) and split in (None, entry.split)
    )
    if not chosen:
        raise DataError(f"{source} holds no picture of {_asked(folds, split)}; ask for another")
    return LabelledSet(
        name=source.name,
        root=manifest.root,
        cases=tuple(Case(e.path, e.corrected_label, e.group, e.source, e.sha256) for e in chosen),
        origin={
            "kind": "manifest",
            "manifest_sha256": manifest.sha256,
            "folds": sorted(set(folds)) or None,
            "split": split,
            "excluded": manifest.excluded,
        },
        manifest=manifest,
        chosen=chosen,
    )


def _of_folder(
    root: Path,
    folds: Sequence[int],
    split: str | None,
    class_map: Mapping[str, str],
    *,
    external: bool,
) -> LabelledSet:
    if folds:
        raise DataError(
            f"{root} is a folder, which has no folds; make a manifest of it with `tumorlens data "
            "manifest`"
        )
    cases = tuple(
        Case(example.path.relative_to(root).as_posix(), example.label)
        for example in find_examples(root, class_map)
        if split in (None, example.split)
    )
    if not cases:
        raise DataError(f"{root} holds no pictures of {split}; ask for another split")
    return LabelledSet(
        name=root.resolve().name,
        root=root,
        cases=cases,
        origin={
            "kind": "external" if external else "folder",
            "manifest_sha256": None,
            "folds": None,
            "split": split,
            "class_map": dict(class_map) or None,
        },
        external=external,
    )


def _asked(folds: Sequence[int], split: str | None) -> str:
    parts = [f"fold {', '.join(map(str, folds))}"] if folds else []
    return " and ".join([*parts, f"split {split}"] if split else parts)
