"""Explaining many files: a record folder for each slice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.explain.explanation import Explanation, explain_slice
from tumorlens.scale.stream import Failure, read_or_fail

if TYPE_CHECKING:
    from tumorlens.classify import Classifier

__all__ = ["explain_files", "free_folder"]


def explain_files(
    classifier: Classifier,
    paths: Iterable[str],
    out: str | os.PathLike[str],
    *,
    method: str,
    target: str | None,
) -> Iterator[tuple[Explanation, Path] | Failure]:
    """Explain every slice of every file and save its record.

    Parameters
    ----------
    classifier
        The model.
    paths
        Files.
    out
        Folder for the records, each named after its file.
    method, target
        As `explain_slice` takes them.

    Yields
    ------
    tuple or Failure
        The explanation and its folder, or what was wrong with a file.
    """
    for path in paths:
        slices = read_or_fail(path)
        if isinstance(slices, Failure):
            yield slices
            continue
        for picture in slices:
            explanation = explain_slice(classifier, picture, method=method, target=target)
            name = folder_name(path) + (f"-slice{picture.index}" if len(slices) > 1 else "")
            yield explanation, explanation.save(free_folder(Path(out), name))


def folder_name(path: str) -> str:
    """Name a record after its file, without what a folder's name should not hold."""
    clean = "".join(
        c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in Path(path).stem
    )
    return clean.strip(". ")[:100] or "slice"


def free_folder(parent: Path, name: str) -> Path:
    """Name a folder that does not exist yet: ``name``, else ``name-2``, ``name-3`` and so on."""
    candidate, count = parent / name, 1
    while candidate.exists():
        count += 1
        candidate = parent / f"{name}-{count}"
    return candidate
