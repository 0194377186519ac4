"""Which pictures a data folder holds, and of which class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tumorlens.errors import DataError

__all__ = ["CLASSES", "Example", "find_examples", "read_labels"]

CLASSES: Final = ("glioma", "meningioma", "notumor", "pituitary")
"""The four classes, in the order of every output of every model trained here."""

_SPELLINGS: Final = {
    "notumor": ("no", "no_tumor", "no_tumour", "notumour", "normal", "healthy"),
    "glioma": ("glioma_tumor", "glioma_tumour"),
    "meningioma": ("meningioma_tumor", "meningioma_tumour"),
    "pituitary": ("pituitary_tumor", "pituitary_tumour"),
}
_CLASS_OF: Final = {spelling: name for name in CLASSES for spelling in (name, *_SPELLINGS[name])}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled picture on disk."""

    path: Path
    label: str


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


def read_labels(examples: Sequence[Example]) -> list[int]:
    """Position of each example's class in `CLASSES`."""
    return [CLASSES.index(example.label) for example in examples]


def _class_of(folder: Path) -> str:
    name = folder.name.lower().replace("-", "_").replace(" ", "_")
    if name not in _CLASS_OF:
        raise DataError(
            f"{folder} is not named after a class; name it one of {', '.join(CLASSES)} "
            f"(also accepted: {', '.join(sorted(set(_CLASS_OF) - set(CLASSES)))})"
        )
    return _CLASS_OF[name]


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
