"""A model's answers for labelled pictures: streamed, so that only rows stay in memory."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.published import Published, published
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import Case, LabelledSet
from tumorlens.evaluate.scans import Found, Scan, Source, answer_whole, by_source, count_several
from tumorlens.files import hash_file
from tumorlens.images.volume import Volume
from tumorlens.progress import Progress, silent
from tumorlens.sources.series import Unit, find_units
from tumorlens.sources.stream import answer_units

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.prediction import Prediction

__all__ = ["Answers", "run_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model answered, and what is true, one row a picture.

    Parameters
    ----------
    classes
        In the order of the columns.
    names
        Paths below the set's root.
    groups, sources
        Of each picture; empty texts where they are not known.
    labels
        int64, ``(n,)``: the truth.
    logits
        float32, ``(n, classes)``, before temperature and softmax.
    probabilities
        float64, ``(n, classes)``.
    sets
        bool, ``(n, classes)``: the prediction set of each picture.
    assessable
        bool, ``(n,)``.
    unreadable
        Name of each file that could not be read, or is not what its manifest says, with
        the reason.
    sha256
        One hash over the labels and the bytes of all files that were read, in order.
    public
        How many pictures are files of the published set, by published fold.
    """

    classes: tuple[str, ...]
    names: list[str]
    groups: list[str]
    sources: list[str]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    sets: NDArray[np.bool_]
    assessable: NDArray[np.bool_]
    unreadable: tuple[tuple[str, str], ...]
    sha256: str
    public: Mapping[int, int]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each picture, ``(n,)``."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


def run_model(
    classifier: Classifier,
    data: LabelledSet,
    *,
    scans: list[Scan] | None = None,
    note: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Answers:
    """Classify every picture of a set; one that cannot be read does not stop the others.

    A folder's files that are in the published set, by their SHA-256, get its corrected label,
    its group and its source.

    Parameters
    ----------
    classifier
        The model.
    data
        The pictures.
    scans
        Gets the volumes of a folder, with their answers. When ``None``, a file of several
        pictures counts as one that cannot be read, and each DICOM file is a picture.
    note
        Told of what is left out of a series, and what else is to know of it.
    progress
        Told of each file.

    Raises
    ------
    DataError
        When the model does not know a class of the set, or nothing can be read.
    """
    classes = classifier.card.classes
    strange = sorted({case.label for case in data.cases} - set(classes))
    if strange:
        raise DataError(
            f"{data.name} holds {', '.join(strange)}, which {classifier.card.id} does not know "
            f"(it knows {', '.join(classes)}); name another model"
        )
    rows = _Rows(classes, len(data.cases))
    reader = _Reader(data, rows, scans if data.manifest is None else None, note)
    done, total = 0, len(data.cases)
    for source, found in by_source(answer_units(classifier, reader.units()), reader.waiting):
        reader.settle(classifier, source, found)
        done += source.files
        progress("classifying", min(done + reader.refused, total), total)
    if done + reader.refused < total:  # the last files were refused, or are no pictures
        progress("classifying", total, total)
    return rows.finish(data.name, some=bool(scans))


class _Reader:
    """Hands out files and series, and remembers whose answer comes next."""

    def __init__(
        self,
        data: LabelledSet,
        rows: _Rows,
        scans: list[Scan] | None,
        note: Callable[[str], None],
    ) -> None:
        self._data, self._rows, self._scans, self._note = data, rows, scans, note
        self.waiting: deque[Source] = deque()
        self.refused = 0

    def units(self) -> Iterator[Unit]:
        """Give what is to be read; the files of a series lie in one class folder."""
        if self._scans is None:
            yield from (str(self._data.root / c.name) for c in self._data.cases if self._put(c))
            return
        for _, cases in itertools.groupby(self._data.cases, _class_folder):
            by_path = {str(self._data.root / case.name): case for case in cases}
            for units in _by_file(find_units(list(by_path), self._tell), list(by_path)):
                for unit in self._without_loose(units, by_path):
                    if isinstance(unit, str):
                        if self._put(by_path[unit]):
                            yield unit
                        continue
                    paths = _paths_of(unit)
                    case = by_path[paths[0]]
                    digest = hashlib.sha256("".join(_hash(Path(p)) for p in paths).encode())
                    self.waiting.append(Source(case, unit, digest.hexdigest(), len(paths)))
                    yield unit

    def _without_loose(self, units: list[Unit], by_path: dict[str, Case]) -> list[Unit]:
        """Leave out single slices of a file that holds more: a picture is a file of one slice."""
        volumes = [unit for unit in units if isinstance(unit, Volume)]
        loose = [volume for volume in volumes if len(volume) == 1]
        if not loose or len(volumes) == 1:
            return units
        path = _paths_of(loose[0])[0]
        if len(loose) == len(volumes):
            reason = f"{len(loose)} pictures in one file, which are no volume; export its slices"
            self._refuse(by_path[path], f"{reason} as pictures")
        else:
            self._tell(f"{path}: slices beside its volumes are left out: {len(loose)}")
        return [unit for unit in units if not any(unit is one for one in loose)]

    def _put(self, case: Case) -> bool:
        """Remember a file, unless it is refused."""
        path = self._data.root / case.name
        found = _hash(path)
        if found and case.sha256 not in ("", found):
            return self._refuse(
                case, "not the file that the manifest lists; make the manifest anew"
            )
        if known := published().get(found):
            self._rows.public[known.fold] += 1
            if self._data.manifest is None:  # which knows better
                case = _as_published(case, known)
        if case.label not in self._rows.classes:
            return self._refuse(case, f"it shows {case.label}, which the model does not know")
        self.waiting.append(Source(case, str(path), found))
        return True

    def _refuse(self, case: Case, reason: str) -> bool:
        self.refused += 1
        self._rows.fail(case.name, reason)
        return False

    def settle(self, classifier: Classifier, source: Source, found: Found) -> None:
        """Take what was answered for a source as a picture or as a volume."""
        for failure in found.failures:
            name = self._below(failure.path) if found.rows else source.case.name
            self._rows.fail(name, f"{failure.error.found}; {failure.error.hint}")
        if not found.rows:
            return
        if found.single:
            self._rows.add(source.case, source.sha256, found.rows[0][0])
            return
        if self._scans is None:
            what = "evaluate its folder as a volume, or export its slices as pictures"
            self._rows.fail(source.case.name, f"{count_several(found)} in one file; {what}")
            return
        answer = answer_whole(classifier, source, found)
        if answer is None:
            hint = "unpack it, so that each picture and each volume has its own place"
            self._rows.fail(source.case.name, f"an archive of {count_several(found)}; {hint}")
            return
        name = source.case.name
        for volume in found.volumes:
            for text in volume.notes:
                self._tell(f"{name}: {text}")
        series = isinstance(source.unit, Volume) and bool(source.unit.paths)
        place = self._below(str(answer.path)) if series else name
        self._scans.append(Scan(place, source.case.label, answer, name if series else ""))
        self._rows.hash(source.case, source.sha256)

    def _below(self, path: str) -> str:
        inside = Path(path).is_relative_to(self._data.root)
        return Path(path).relative_to(self._data.root).as_posix() if inside else path

    def _tell(self, text: str) -> None:
        self._note(text.replace(str(self._data.root / "_")[:-1], ""))


def _class_folder(case: Case) -> tuple[str, str]:
    return case.label, case.name.partition("/")[0]


def _by_file(units: Iterable[Unit], paths: Sequence[str]) -> Iterator[list[Unit]]:
    """Put together what stands where one file stood; a series stands at its first."""
    order = {path: i for i, path in enumerate(paths)}

    def place(unit: Unit) -> int:
        return min(order[path] for path in _paths_of(unit))

    return (list(some) for _, some in itertools.groupby(units, place))


def _paths_of(unit: Unit) -> tuple[str, ...]:
    if isinstance(unit, Volume):
        return unit.paths or (str(unit.path),)
    return (unit,) if isinstance(unit, str) else (unit.path,)


class _Rows:
    """The answers while they come in."""

    def __init__(self, classes: tuple[str, ...], most: int) -> None:
        self._index = {name: c for c, name in enumerate(classes)}
        self.classes = classes
        self._cases: list[tuple[str, str, str]] = []
        self._labels = np.empty(most, dtype=np.int64)
        self._logits = np.empty((most, len(classes)), dtype=np.float32)
        self._probabilities = np.empty((most, len(classes)))
        self._sets = np.zeros((most, len(classes)), dtype=np.bool_)
        self._assessable = np.empty(most, dtype=np.bool_)
        self._bad: list[tuple[str, str]] = []
        self._digest = hashlib.sha256()
        self.public: Counter[int] = Counter()

    def fail(self, name: str, reason: str) -> None:
        self._bad.append((name, reason))

    def hash(self, case: Case, file_hash: str) -> None:
        self._digest.update(f"{case.label} {file_hash}\n".encode())

    def add(self, case: Case, file_hash: str, answer: Prediction) -> None:
        row = len(self._cases)
        self._cases.append((case.name, case.group, case.source))
        self._labels[row] = self._index[case.label]
        self._logits[row] = answer.logits
        self._probabilities[row] = [answer.probabilities[name] for name in self.classes]
        self._sets[row, [self._index[name] for name in answer.prediction_set]] = True
        self._assessable[row] = answer.assessable
        self.hash(case, file_hash)

    def finish(self, name: str, *, some: bool) -> Answers:
        """Give the rows; where there are volumes there need be none."""
        n = len(self._cases)
        if not n and not some:
            raise DataError(
                f"none of the {len(self._bad)} files of {name} could be read; the first: "
                f"{': '.join(self._bad[0])}"
            )
        names, groups, sources = ([case[i] for case in self._cases] for i in range(3))
        return Answers(
            classes=self.classes,
            names=names,
            groups=groups,
            sources=sources,
            labels=self._labels[:n],
            logits=self._logits[:n],
            probabilities=self._probabilities[:n],
            sets=self._sets[:n],
            assessable=self._assessable[:n],
            unreadable=tuple(self._bad),
            sha256=self._digest.hexdigest(),
            public=dict(self.public),
        )


def _as_published(case: Case, known: Published) -> Case:
    return Case(case.name, known.label, known.group, known.source, known.sha256)


def _hash(path: Path) -> str:
    """Hash a file; an empty text where there is none to read, as its reader will report."""
    try:
        if not path.is_file():  # a pipe would keep us waiting
            return ""
        return hash_file(path)
    except (OSError, ValueError):
        return ""
