"""Explaining many files: a record folder for each slice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tumorlens.explain.explainer import Explainable, Question, explain_slices
from tumorlens.explain.explanation import Explanation
from tumorlens.images.slice import Slice
from tumorlens.sources.failure import Failure, read_or_fail

__all__ = ["explain_files", "free_folder", "name_slices"]


def explain_files(
    classifier: Explainable,
    paths: Iterable[str],
    out: str | os.PathLike[str],
    question: Question,
    *,
    batch_size: int = 16,
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
    question
        What to explain.
    batch_size
        Slices that go through the network together.

    Yields
    ------
    tuple or Failure
        The explanation and its folder, or what was wrong with a file.
    """
    for batch in _batches(paths, batch_size):
        pictures = [item[0] for item in batch if not isinstance(item, Failure)]
        explained = explain_slices(classifier, pictures, question)
        for item in batch:
            if isinstance(item, Failure):
                yield item
                continue
            explanation = next(explained)
            yield explanation, explanation.save(free_folder(Path(out), item[1]))


def name_slices(path: str) -> list[tuple[Slice, str]] | Failure:
    """Read a file's slices and name a record for each, or say what was wrong."""
    slices = read_or_fail(path)
    if isinstance(slices, Failure):
        return slices
    several = len(slices) > 1
    return [
        (picture, folder_name(path) + (f"-slice{picture.index}" if several else ""))
        for picture in slices
    ]


def _batches(paths: Iterable[str], size: int) -> Iterator[list[tuple[Slice, str] | Failure]]:
    """Gather slices until they fill a batch, and the failures between them."""
    batch: list[tuple[Slice, str] | Failure] = []
    for path in paths:
        found = name_slices(path)
        batch += [found] if isinstance(found, Failure) else found
        while len(batch) >= size:
            yield batch[:size]
            batch = batch[size:]
    if batch:
        yield batch


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
