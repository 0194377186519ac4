"""Which pictures a folder holds, and of which class: the one reader of labelled folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tumorlens.errors import DataError
from tumorlens.files import find_files

__all__ = [
    "CLASSES",
    "SKIP",
    "SPLITS",
    "Example",
    "class_name",
    "class_named",
    "find_examples",
    "read_class_map",
]

CLASSES: Final = ("glioma", "meningioma", "notumor", "pituitary")
"""The four classes, in the order of every output of every model trained here."""

SPLITS: Final = ("Training", "Validation", "Testing")
"""The parts that folders may be sorted into, above the classes."""

SKIP: Final = "-"
"""Stands in a class map for folders to leave out."""

_SPELLINGS: Final = {
    "notumor": ("no", "no_tumor", "no_tumour", "notumour", "normal", "healthy"),
    "glioma": ("glioma_tumor", "glioma_tumour"),
    "meningioma": ("meningioma_tumor", "meningioma_tumour"),
    "pituitary": ("pituitary_tumor", "pituitary_tumour"),
}
_CLASS_OF: Final = {spelling: name for name in CLASSES for spelling in (name, *_SPELLINGS[name])}
_SPLIT_OF: Final = {
    **{name.lower(): name for name in SPLITS},
    "train": "Training",
    "val": "Validation",
    "test": "Testing",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled picture on disk.

    Parameters
    ----------
    path
        The file.
    label
        One of `CLASSES`.
    split
        One of `SPLITS` where the folders say so.
    group
        Of which patient or cluster, where that is known.
    sha256
        Of the file, where a manifest says so.
    fold
        Where a manifest says so.
    """

    path: Path
    label: str
    split: str = ""
    group: str = ""
    sha256: str = ""
    fold: int | None = None


def find_examples(
    folder: str | os.PathLike[str], class_map: Mapping[str, str] = MappingProxyType({})
) -> list[Example]:
    """List the pictures of a data set, whether it is split by folders or not.

    What is hidden is passed over, and so are files beside the class folders. Everything
    below them counts as a picture, broken links too, for whoever reads it to report.

    Parameters
    ----------
    folder
        Holds class folders (``glioma``, ``meningioma``, ``notumor``, ``pituitary``, or
        another accepted spelling), or some of ``Training``, ``Validation`` and
        ``Testing`` (or ``train``, ``val``, ``test``) with class folders in them. A class
        may be missing.
    class_map
        From other names of folders to classes, or to `SKIP`; see `read_class_map`.

    Returns
    -------
    list of Example
        By split in the order of `SPLITS`, then by class, then by path.

    Raises
    ------
    DataError
        When the folder is missing, holds no pictures, or one in it stands for no class.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder; expected folders named {', '.join(CLASSES)} in it"
        )
    examples = [
        Example(Path(path), label, split)
        for split, part in _parts(root, class_map)
        for sub, label in _class_folders(part, class_map)
        for path in find_files([str(sub)])
        if path != str(sub)  # the folder is empty
    ]
    if not examples:
        raise DataError(
            f"{root} holds no pictures; expected folders named {', '.join(CLASSES)} in it, or a "
            "class map that says what its folders hold"
        )
    order = {name: i for i, name in enumerate(("", *SPLITS))}
    return sorted(examples, key=lambda e: (order[e.split], e.label, str(e.path)))


def class_name(label: str) -> str:
    """Name a class as people write it, in every page, figure and window."""
    return "no tumour" if label == "notumor" else label


def class_named(name: str) -> str | None:
    """Give the class that a name stands for, in whatever accepted spelling."""
    return _CLASS_OF.get(name.strip().lower().replace("-", "_").replace(" ", "_"))


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


def _parts(root: Path, class_map: Mapping[str, str]) -> list[tuple[str, Path]]:
    """Find the folders that hold class folders, with the split each stands for."""
    folders = [sub for sub in _folders(root) if class_map.get(_key(sub.name)) != SKIP]
    named = [(_SPLIT_OF[_key(sub.name)], sub) for sub in folders if _key(sub.name) in _SPLIT_OF]
    if not named:
        return [("", root)]
    others = [sub.name for sub in folders if _key(sub.name) not in _SPLIT_OF]
    if others:
        raise DataError(
            f"{root} holds {', '.join(others)} beside {named[0][1].name}; move it elsewhere, or "
            f"leave it out with the class map {others[0]}=-"
        )
    return named


def _class_folders(root: Path, class_map: Mapping[str, str]) -> list[tuple[Path, str]]:
    labels = {sub: class_map.get(_key(sub.name)) or class_named(sub.name) for sub in _folders(root)}
    unknown = [sub.name for sub, label in labels.items() if label is None]
    if unknown:
        raise DataError(
            f"{root} holds folders that stand for no class: {', '.join(unknown)}; name them "
            f"{', '.join(CLASSES)}, or say what they hold, as in the class map "
            f"'{unknown[0]}=glioma', or {unknown[0]}=- to leave it out"
        )
    return [(sub, label) for sub, label in labels.items() if label and label != SKIP]


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _key(name: str) -> str:
    return name.strip().lower()
