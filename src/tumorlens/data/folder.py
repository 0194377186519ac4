"""Which pictures a data folder holds, and of which class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tumorlens.errors import DataError

__all__ = ["CLASSES", "Example", "class_named", "find_all", "find_examples"]

CLASSES: Final = ("glioma", "meningioma", "notumor", "pituitary")
"""The four classes, in the order of every output of every model trained here."""

_SPELLINGS: Final = {
    "notumor": ("no", "no_tumor", "no_tumour", "notumour", "normal", "healthy"),
    "glioma": ("glioma_tumor", "glioma_tumour"),
    "meningioma": ("meningioma_tumor", "meningioma_tumour"),
    "pituitary": ("pituitary_tumor", "pituitary_tumour"),
}
_PARTS: Final = {
    "training": "Training",
    "train": "Training",
    "testing": "Testing",
    "test": "Testing",
}
_CLASS_OF: Final = {spelling: name for name in CLASSES for spelling in (name, *_SPELLINGS[name])}


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
        ``"Training"`` or ``"Testing"`` where the folders say so.
    group
        Of which patient or cluster, where that is known.
    sha256
        Of the file, where a manifest says so.
    """

    path: Path
    label: str
    split: str = ""
    group: str = ""
    sha256: str = ""


def find_examples(folder: str | os.PathLike[str]) -> list[Example]:
    """List the pictures below the class folders of a folder.

    Parameters
    ----------
    folder
        Holds one folder for each class: ``glioma``, ``meningioma``,
        ``notumor``, ``pituitary``, or another accepted spelling.

    Returns
    -------
    list of Example
        Sorted by class, then by path.

    Raises
    ------
    DataError
        When the folder is missing, a folder's name is no class, a class is
        missing, or one is empty.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder; expected folders named {', '.join(CLASSES)} in it"
        )
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    examples = [Example(path, _class_of(sub)) for sub in folders for path in _files(sub)]
    missing = sorted(set(CLASSES) - {example.label for example in examples})
    if missing:
        raise DataError(f"{root} holds no pictures of {', '.join(missing)}")
    return sorted(examples, key=lambda e: (e.label, str(e.path)))


def find_all(folder: str | os.PathLike[str]) -> list[Example]:
    """List the pictures of a data set, whether it is split by folders or not.

    Parameters
    ----------
    folder
        Holds ``Training`` and ``Testing`` (or one of them, or ``train`` and ``test``)
        with class folders in them, or class folders.

    Returns
    -------
    list of Example
        Training pictures first, each part sorted by class, then by path.

    Raises
    ------
    DataError
        As `find_examples`; and when there are other folders beside the parts.
    """
    root = Path(folder)
    if not root.is_dir():
        return find_examples(root)  # which says what is wrong
    parts: list[tuple[str, Path]] = []
    others: list[Path] = []
    for sub in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        part = _PARTS.get(sub.name.lower())
        if part:
            parts.append((part, sub))
        else:
            others.append(sub)
    if not parts:
        return find_examples(root)
    if others:
        raise DataError(
            f"{others[0]} lies beside {parts[0][1].name} and is neither Training nor Testing; "
            "move it elsewhere"
        )
    return [
        Example(example.path, example.label, part)
        for part, sub in sorted(parts, reverse=True)
        for example in find_examples(sub)
    ]


def class_named(name: str) -> str | None:
    """Give the class that a name stands for, in whatever accepted spelling."""
    return _CLASS_OF.get(name.strip().lower().replace("-", "_").replace(" ", "_"))


def _class_of(folder: Path) -> str:
    name = class_named(folder.name)
    if name is None:
        raise DataError(
            f"{folder} is not named after a class; name it one of {', '.join(CLASSES)} "
            f"(also accepted: {', '.join(sorted(set(_CLASS_OF) - set(CLASSES)))})"
        )
    return name


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
