"""What a worker of a cluster does: it opens the model once, and answers for block after block."""

from __future__ import annotations

import os
import platform
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tumorlens.archive.blocks import Block
from tumorlens.archive.fetched import Fetched
from tumorlens.archive.lanes import Answered, Place, answer_some
from tumorlens.archive.maps import Maps
from tumorlens.archive.run import PORTION, with_series
from tumorlens.archive.shards import Count, write_shard
from tumorlens.archive.store import Store, is_address
from tumorlens.errors import TumorLensError
from tumorlens.explain.explainer import Explainable
from tumorlens.explain.explanation import Explanation
from tumorlens.extras import require

__all__ = ["SEEN", "Actor", "Task"]

SEEN: Final = ".tumorlens-seen"
"""A file in each folder to write to, by which a worker knows that it sees the same folder."""


@dataclass(frozen=True, slots=True)
class Task:
    """What all workers are told.

    Parameters
    ----------
    roots
        The paths that were given, or their addresses.
    there
        Those of them that are on the disk.
    folder
        The folder that they are relative to; ``None`` where none is relative.
    out, maps
        Where rows and maps go: a folder, or an address with its keys.
    token
        What `SEEN` holds in folders.
    about
        The job.
    """

    roots: tuple[str, ...]
    there: tuple[str, ...]
    folder: str | None
    out: str
    maps: str | None
    token: bytes
    about: dict[str, Any]


class Actor:
    """The classifier on a worker.

    Parameters
    ----------
    classifier
        The model.
    task
        The work.
    """

    def __init__(self, classifier: Explainable, task: Task) -> None:
        self._classifier = classifier
        self._task = task
        self._out = Store.of(task.out)
        self._stores = {i: Store.of(x) for i, x in enumerate(task.roots) if is_address(x)}
        self._maps = _maps(task)
        self._trouble = self._look()

    def __call__(self, batch: Any) -> Any:
        """Answer for the files of a block, write its rows, and say how many they are.

        Parameters
        ----------
        batch
            A table of one row: the block's name, its files and by which root each was found.
        """
        names = [os.fsdecode(x) for x in batch["path"][0].as_py()]
        roots = batch["root"][0].as_py()
        block = Block(batch["name"][0].as_py(), [Place(*x) for x in zip(roots, names, strict=True)])
        count, trouble = Count(0, 0, 0), self._trouble
        if trouble is None:
            try:
                count = self._answer(block)
            except TumorLensError as error:  # of this worker, not of a file: all comes to an end
                trouble = f"{error} (on {platform.node()})"
        row = {name: [value] for name, value in count._asdict().items()}
        text = require("pyarrow", "--engine ray", "ray").array([trouble], "string")
        return require("pyarrow", "--engine ray", "ray").table({**row, "trouble": text})

    def _look(self) -> str | None:
        """Go to the folder that paths are relative to; say what cannot be seen from here."""
        task = self._task
        if task.folder is not None:
            try:
                os.chdir(task.folder)
            except OSError:
                return _unseen(task.folder)
        for root in task.there:
            if not os.path.lexists(root):
                return _unseen(root)
        for folder in (task.out, task.maps):
            if folder is None or is_address(folder):
                continue
            try:
                same = Path(folder, SEEN).read_bytes() == task.token
            except OSError:
                same = False
            if not same:
                return _unseen(folder)
        return None

    def _answer(self, block: Block) -> Count:
        """Answer for a block's files, and write their rows when all are there."""
        answered: list[Answered] = []
        with tempfile.TemporaryDirectory(prefix="tumorlens-") as folder:
            fetched = Fetched(self._stores, Path(folder))
            places = with_series(block.places, fetched.is_dicom)
            while some := list(islice(places, PORTION)):
                answered += answer_some(
                    self._classifier, some, PORTION, self._maps, opened=fetched.opened
                )
        results = [result for one in answered for result in one.results]
        count = Count(len(block.places), sum(one.failed for one in answered), len(results))
        classes = self._classifier.card.classes
        write_shard(self._out, block.name, results, count, classes, self._task.about)
        return count


@dataclass(frozen=True, slots=True)
class _StoredMaps(Maps):
    """Maps in a store. A record counts when its manifest is there, which is written last."""

    store: Store

    def put(self, explanation: Explanation, place: Path) -> None:
        """Write a record; a store has no folders to move."""
        with tempfile.TemporaryDirectory(prefix="tumorlens-") as folder:
            record = Path(folder, "record")
            explanation.save(record)
            files = sorted(record.iterdir(), key=lambda path: path.name == "manifest.json")
            for file in files:
                self.store.write(f"{place.as_posix()}/{file.name}", file.read_bytes())


def _maps(task: Task) -> Maps | None:
    shown = tuple(Store.of(x).name if is_address(x) else x for x in task.roots)
    if task.maps is None:
        return None
    if is_address(task.maps):
        return _StoredMaps(Path(), shown, Store.of(task.maps))
    return Maps(Path(task.maps), shown)


def _unseen(path: str) -> str:
    return (
        f"{path} cannot be seen on {platform.node()}; give a folder that all nodes of the cluster "
        "share, or an address such as s3://bucket/folder"
    )
