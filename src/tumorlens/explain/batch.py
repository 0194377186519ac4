"""Explaining many files: a record for each slice, named after file, method and class."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from tumorlens.errors import UnreadableImageError
from tumorlens.explain.explainer import Explainable, Question, explain_slices
from tumorlens.files import free_folder, replaced_folder
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume
from tumorlens.prediction import Prediction
from tumorlens.progress import Progress, silent
from tumorlens.records import read_record
from tumorlens.sources.failure import STANDARD_INPUT, Failure, read_or_fail

__all__ = [
    "Chosen",
    "Records",
    "Saved",
    "Work",
    "explain_files",
    "find_records",
    "find_same",
    "folder_name",
    "is_whole",
    "name_question",
    "save_records",
    "volume_name",
]

_LONGEST: Final = 120  # bytes of a folder's name; some disks take 143, and numbers may follow
_RESERVED: Final = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10)))
)
"""Names of devices on Windows, with any ending."""

_ASKED: Final = ("path", "slice", "first", "plane", "model", "method", "layer", "target", "versus")
_CLOSE: Final = 1e-3  # probabilities; the same picture in another batch differs by less

_FILES: Final = (("map.npy", "overlay.png"), ("maps.npz", "layers.png"), ("evidence.nii.gz",))
"""What a record holds beside its manifest: of a slice, of several layers, of a volume."""

Records: TypeAlias = Sequence[tuple[Path, dict[str, Any]]]
"""Folders of records, with what their manifests say."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Some slices of a volume, to be explained.

    Parameters
    ----------
    volume
        The volume.
    indices
        Which of its slices.
    """

    volume: Volume
    indices: Sequence[int]


Work: TypeAlias = "str | Chosen | Failure | Sequence[Slice]"
"""A file, slices of a volume, what could not be read, or pictures of a file that is open."""


class Record(Protocol):
    """What is saved of a slice: an `Explanation`, or one of several layers."""

    @property
    def prediction(self) -> Prediction:
        """The answer for the slice."""

    def manifest(self) -> dict[str, Any]:
        """Describe it."""

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write it into a new folder."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An explained slice and the folder of its record.

    Parameters
    ----------
    record
        The explanation.
    folder
        Where it is; ``None`` when nothing was to be written.
    kept
        True when the same record was there before, so that nothing was written.
    """

    record: Record
    folder: Path | None
    kept: bool = False

    @property
    def prediction(self) -> Prediction:
        """The answer for the slice."""
        return self.record.prediction


def explain_files(
    classifier: Explainable,
    paths: Iterable[Work],
    out: str | os.PathLike[str] | None,
    question: Question,
    *,
    progress: Progress = silent,
    **options: Any,
) -> Iterator[Saved | Failure]:
    """Explain every slice of every file and save its record.

    Parameters
    ----------
    classifier
        The model.
    paths, out
        As `save_records` takes them; so are the options.
    question
        What to explain.
    progress
        Told of the passes through the network where a slice needs many.
    """

    def explain(pictures: Sequence[Slice]) -> Iterator[Record]:
        return explain_slices(classifier, pictures, question, progress=progress)

    return save_records(explain, paths, out, name_question(question), **options)


def find_records(out: str | os.PathLike[str]) -> Records:
    """List the records in a folder, which may not be there yet."""
    try:
        folders = sorted(Path(out).iterdir())
    except OSError:
        return []
    found = ((folder, read_record(folder)) for folder in folders)
    return [(folder, manifest) for folder, manifest in found if manifest is not None]


def save_records(
    explain: Callable[[Sequence[Slice]], Iterator[Record]],
    paths: Iterable[Work],
    out: str | os.PathLike[str] | None,
    suffix: str,
    *,
    before: Records = (),
    overwrite: bool = False,
    batch_size: int = 16,
) -> Iterator[Saved | Failure]:
    """Explain every slice of every file and save its record.

    Parameters
    ----------
    explain
        Explains some slices, in order.
    paths
        Files and slices of volumes.
    out
        Folder for the records. Each is named after its file and what was asked, and has a
        number behind it when another record has that name. ``None`` writes none.
    suffix
        What was asked, for the name.
    before
        Records that were there when the work began. One that says the same of the same
        slice is kept; nothing is written beside it.
    overwrite
        Replace such records, even where the answer has changed.
    batch_size
        Slices that go through the network together.

    Yields
    ------
    Saved or Failure
        One for each slice; or what was wrong with a file.
    """
    for batch in _batches(paths, batch_size):
        explained = explain([item[0] for item in batch if not isinstance(item, Failure)])
        for item in batch:
            if isinstance(item, Failure):
                yield item
                continue
            record = next(explained)
            if out is None:
                yield Saved(record, None)
                continue
            old = find_same(record.manifest(), before, answer=not overwrite)
            if old is None:
                with free_folder(out, folder_name(item[1], item[2] + suffix)) as folder:
                    record.save(folder)
            elif overwrite or not is_whole(old):
                with replaced_folder(old) as folder:
                    record.save(folder)
            else:
                yield Saved(record, old, kept=True)
                continue
            yield Saved(record, old or folder)


def folder_name(path: str, suffix: str = "") -> str:
    """Name a record after its file, without what a folder's name should not hold.

    Parameters
    ----------
    path
        The file; only its name counts, without its ending.
    suffix
        Follows whole, however long the file's name is.
    """
    name = "stdin" if path == STANDARD_INPUT else path
    stem = _clean(Path(name).stem).strip(". ") or "slice"
    if stem.split(".")[0].strip().lower() in _RESERVED:
        stem = f"_{stem}"
    room = _LONGEST - len(_clean(suffix).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + _clean(suffix)


def volume_name(volume: Volume) -> str:
    """Name a volume as `folder_name` takes it: by its file, or the folder of its series."""
    path = (volume.path or "<memory>").removesuffix(".gz")
    return path if Path(path).name not in ("", "..") else str(Path(path).resolve())


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in text)


def name_question(question: Question) -> str:
    """Say in a folder's name what was asked: method, and layer and classes if they were named."""
    parts = [question.method, question.layer, question.target]
    versus = [] if question.versus is None else ["versus", question.versus]
    return "".join(f"-{part[:24]}" for part in [*parts, *versus] if part is not None)


_Item: TypeAlias = "tuple[Slice, str, str] | Failure"


def _batches(paths: Iterable[Work], size: int) -> Iterator[list[_Item]]:
    """Gather slices, each with its name and which of several it is, and failures."""
    items = (item for path in paths for item in _items(path))
    while batch := list(itertools.islice(items, size)):
        yield batch


def _items(work: Work) -> Iterator[_Item]:
    if isinstance(work, Chosen):
        yield from _chosen(work.volume, work.indices)
        return
    if isinstance(work, Failure):
        yield work
        return
    found = read_or_fail(work) if isinstance(work, str) else list(work)
    pictures: Counter[str | None] = Counter(x.path for x in found if not isinstance(x, Failure))
    for x in found:
        if isinstance(x, Failure):
            yield x
        else:
            yield x, x.name, f"-slice{x.index}" if pictures[x.path] > 1 else ""


def _chosen(volume: Volume, indices: Iterable[int]) -> Iterator[_Item]:
    name, plane = volume_name(volume), volume.geometry.plane
    for index in indices:
        try:
            picture = volume[index]
        except UnreadableImageError as error:
            yield Failure(error.source, error)
            continue
        yield picture, name, f"-{plane}-slice{index}" if len(volume) > 1 else ""


def find_same(new: dict[str, Any], before: Records, *, answer: bool) -> Path | None:
    """Find the record of the same slice or volume, and question.

    Parameters
    ----------
    new
        What the new record says of it.
    before
        The records to look among.
    answer
        Whether the answer must be the same too.
    """
    for folder, old in before:
        asked = all(old.get(name) == new.get(name) for name in _ASKED)
        layers = list(old.get("layers", ())) == list(new.get("layers", ()))
        if asked and layers and not (answer and _differ(old, new)):
            return folder
    return None


def is_whole(folder: Path) -> bool:
    """Say whether a record has its files still: some may have been deleted, or moved away."""
    return any(all((folder / name).is_file() for name in names) for names in _FILES)


def _differ(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Say whether two records of one model answer differently: the picture has changed."""
    was = old["probabilities"]
    try:
        return any(abs(was[name] - p) > _CLOSE for name, p in new["probabilities"].items())
    except (KeyError, TypeError):  # somebody has edited it
        return True
