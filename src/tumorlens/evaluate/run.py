"""A model's answers for labelled pictures: streamed, so that only rows stay in memory."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.published import Published, published
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import Case, LabelledSet
from tumorlens.files import hash_file
from tumorlens.progress import Progress, silent
from tumorlens.sources.failure import Failure
from tumorlens.sources.stream import predict_files

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


def run_model(classifier: Classifier, data: LabelledSet, *, progress: Progress = silent) -> Answers:
    """Classify every picture of a set; one that cannot be read does not stop the others.

    Of files with several frames the first counts. A folder's files that are in the
    published set, by their SHA-256, get its corrected label, its group and its source.

    Parameters
    ----------
    classifier
        The model.
    data
        The pictures.
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
    reader = _Reader(data, rows)
    before = ""
    for result in predict_files(classifier, reader.paths()):
        if before and f"{result.path}/".startswith(f"{before}/"):
            continue  # of several pictures in a file or an archive, the first counts
        before = str(data.root / reader.waiting[0][0].name)
        if isinstance(result, Failure):
            case, _ = reader.waiting.popleft()
            rows.fail(case, f"{result.error.found}; {result.error.hint}")
        else:
            rows.add(*reader.waiting.popleft(), result)
        progress("classifying", rows.seen, len(data.cases))
    if rows.seen != len(data.cases):  # the last files were refused before they were read
        progress("classifying", rows.seen, len(data.cases))
    return rows.finish(data.name)


class _Reader:
    """Hands out paths and remembers whose answer comes next."""

    def __init__(self, data: LabelledSet, rows: _Rows) -> None:
        self._data, self._rows = data, rows
        self.waiting: deque[tuple[Case, str]] = deque()

    def paths(self) -> Iterator[str]:
        for case in self._data.cases:
            path = self._data.root / case.name
            found = _hash(path)
            if found and case.sha256 not in ("", found):
                reason = "not the file that the manifest lists; make the manifest anew"
                self._rows.fail(case, reason)
                continue
            if known := published().get(found):
                self._rows.public[known.fold] += 1
                if self._data.manifest is None:  # which knows better
                    case = _as_published(case, known)  # noqa: PLW2901
            if case.label not in self._rows.classes:
                self._rows.fail(case, f"it shows {case.label}, which the model does not know")
                continue
            self.waiting.append((case, found))
            yield str(path)


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

    @property
    def seen(self) -> int:
        return len(self._cases) + len(self._bad)

    def fail(self, case: Case, reason: str) -> None:
        self._bad.append((case.name, reason))

    def add(self, case: Case, file_hash: str, answer: Prediction) -> None:
        row = len(self._cases)
        self._cases.append((case.name, case.group, case.source))
        self._labels[row] = self._index[case.label]
        self._logits[row] = answer.logits
        self._probabilities[row] = [answer.probabilities[name] for name in self.classes]
        self._sets[row, [self._index[name] for name in answer.prediction_set]] = True
        self._assessable[row] = answer.assessable
        self._digest.update(f"{case.label} {file_hash}\n".encode())

    def finish(self, name: str) -> Answers:
        n = len(self._cases)
        if not n:
            raise DataError(
                f"none of the {len(self._bad)} files of {name} could be read; the first: "
                f"{': '.join(self._bad[0])}"
            )
        names, groups, sources = (list(column) for column in zip(*self._cases, strict=True))
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
