"""Which pictures to evaluate on, and what is true of each.

A manifest says most: corrected labels, groups, sources, folds. Of a folder only the
classes are known, by the names of its folders or by a map from other people's names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tumorlens.data.folder import CLASSES, class_named
from tumorlens.data.manifest import Entry, Manifest, read_manifest
from tumorlens.errors import DataError
from tumorlens.files import find_files

__all__ = ["SKIP", "Case", "LabelledSet", "find_cases", "read_class_map"]

SKIP: Final = "-"
"""Stands in a class map for folders to leave out."""

_PARTS: Final = {
    "training": "Training",
    "train": "Training",
    "testing": "Testing",
    "test": "Testing",
    "validation": "Validation",
    "val": "Validation",
}


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
        A manifest; or a folder of class folders, or of ``Training`` and ``Testing`` (also
        ``Validation``) with class folders in them. A class may be missing.
    folds
        Of a manifest only; everything when there are none.
    split
        ``"Training"`` or ``"Testing"``; everything when ``None``.
    external
        Whether it is somebody else's set, of which the model's card says nothing.
    class_map
        From names of folders to classes, or to `SKIP`; see `read_class_map`.

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


def read_class_map(text: str) -> dict[str, str]:
    """Read a class map: which folder holds which class.

    Parameters
    ----------
    text
        ``"name=class,name=class"``, or the path of a JSON file with an object of the same.
        The class is one of `CLASSES`, or `SKIP` for folders to leave out.

    Returns
    -------
    dict
        From the folders' names, in lower case, to classes or `SKIP`.

    Raises
    ------
    DataError
        When it cannot be read or names no class.
    """
    pairs = _read_json_map(Path(text)) if text.lower().endswith(".json") else _split_pairs(text)
    found = {}
    for name, value in pairs:
        label = SKIP if value.strip() == SKIP else class_named(value)
        if not label or not name.strip():
            raise DataError(
                f"the class map sends {name!r} to {value!r}, which is no class; name "
                f"{', '.join(CLASSES)}, or - to leave it out"
            )
        found[_key(name)] = label
    return found


def _read_json_map(path: Path) -> list[tuple[str, str]]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as a class map: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise DataError(f'{path} is no class map; write {{"folder": "class", ...}}')
    return list(values.items())


def _split_pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.rpartition("=")
        if not equals:
            raise DataError(
                f"{pair!r} in the class map is no pair; write name=class,name=class, or name "
                "a .json file"
            )
        pairs.append((name, value))
    if not pairs:
        raise DataError("the class map is empty; write name=class,name=class")
    return pairs


def _of_manifest(source: Path, folds: Sequence[int], split: str | None) -> LabelledSet:
    manifest = read_manifest(source)
    known = sorted({entry.fold for entry in manifest.entries if entry.fold is not None})
    absent = sorted(set(folds) - set(known))
    if absent:
        raise DataError(
            f"{source} has no fold {absent[0]} (its folds: {', '.join(map(str, known)) or 'none'})"
        )
    chosen = tuple(
        entry
        for entry in manifest.entries
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
    parts = _parts(root, class_map)
    if split is not None:
        parts = [(part, folder) for part, folder in parts if part == split]
    cases = [
        Case(Path(path).relative_to(root).as_posix(), label)
        for _, folder in parts
        for sub, label in _class_folders(folder, class_map)
        for path in find_files([str(sub)])
        if path != str(sub)  # the folder is empty
    ]
    if not cases:
        what = "no pictures" if split is None else f"no pictures of {split}"
        raise DataError(
            f"{root} holds {what}; expected folders named {', '.join(CLASSES)} in it, or a class "
            "map that says what its folders hold"
        )
    return LabelledSet(
        name=root.resolve().name,
        root=root,
        cases=tuple(cases),
        origin={
            "kind": "external" if external else "folder",
            "manifest_sha256": None,
            "folds": None,
            "split": split,
            "class_map": dict(class_map) or None,
        },
        external=external,
    )


def _parts(root: Path, class_map: Mapping[str, str]) -> list[tuple[str, Path]]:
    """Find the folders that hold class folders, with the split each stands for."""
    folders = [sub for sub in _folders(root) if class_map.get(_key(sub.name)) != SKIP]
    named = [(_PARTS[_key(sub.name)], sub) for sub in folders if _key(sub.name) in _PARTS]
    if not named:
        return [("", root)]
    others = [sub.name for sub in folders if _key(sub.name) not in _PARTS]
    if others:
        raise DataError(
            f"{root} holds {', '.join(others)} beside {named[0][1].name}; move it elsewhere, or "
            f"leave it out with the class map {others[0]}=-"
        )
    return named


def _class_folders(root: Path, class_map: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    labels = {sub: class_map.get(_key(sub.name)) or class_named(sub.name) for sub in _folders(root)}
    unknown = [sub.name for sub, label in labels.items() if label is None]
    if unknown:
        raise DataError(
            f"{root} holds folders that stand for no class: {', '.join(unknown)}; say what they "
            f"hold, as in --class-map '{unknown[0]}=glioma', or {unknown[0]}=- to leave it out "
            f"(classes: {', '.join(CLASSES)})"
        )
    return ((sub, label) for sub, label in labels.items() if label and label != SKIP)


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _key(name: str) -> str:
    return name.strip().lower()


def _asked(folds: Sequence[int], split: str | None) -> str:
    parts = [f"fold {', '.join(map(str, folds))}"] if folds else []
    return " and ".join([*parts, f"split {split}"] if split else parts)
