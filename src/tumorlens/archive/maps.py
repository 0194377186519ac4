"""Maps beside a table: a record for each slice, at a place that its path decides."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tumorlens.errors import OutputError
from tumorlens.explain.batch import folder_name
from tumorlens.explain.explainer import Explainable, Question, explain_slices
from tumorlens.explain.explanation import Explanation
from tumorlens.files import replaced_folder
from tumorlens.images.slice import Slice
from tumorlens.prediction import Prediction
from tumorlens.records import read_record

__all__ = ["Maps"]


@dataclass(frozen=True, slots=True)
class Maps:
    """Where the records go.

    A record lies where its file lies below the path that was given, so that work that is gone on
    with finds those of files it does again, and puts new ones in their place.

    Parameters
    ----------
    folder
        The folder for all of them.
    roots
        The paths that were given. With several, each has a folder of its own, by its number.
    """

    folder: Path
    roots: tuple[str, ...]

    def explain(
        self, classifier: Explainable, pictures: Sequence[Slice], roots: Sequence[int]
    ) -> list[Prediction]:
        """Explain slices at the last layer, save their records, and give the answers.

        Parameters
        ----------
        classifier
            The model.
        pictures
            Slices of files.
        roots
            By which of the paths that were given each was found, from 0.
        """
        explained = explain_slices(classifier, pictures, Question())
        answers = []
        for explanation, root in zip(explained, roots, strict=True):
            self.put(explanation, self.place(root, explanation.picture))
            answers.append(explanation.prediction)
        return answers

    def put(self, explanation: Explanation, place: Path) -> None:
        """Save a record, in the place of one of the same file; that of another is left.

        Two archives may have files of one name below them, and one folder for their maps.
        """
        if _is_of_another(place, explanation):
            place = place.with_name(f"{place.name}-{_digest(explanation.picture.name)}")
        if place.exists():
            with replaced_folder(place) as work:
                explanation.save(work)
        else:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot write {place}: {error.strerror or error}") from error
            explanation.save(place)

    def place(self, root: int, picture: Slice) -> Path:
        """Say where the record of a slice lies."""
        path, given = picture.name, self.roots[root]
        inside = os.path.relpath(path, given) if path != given else PurePath(path).name
        parents = [_named(part) for part in PurePath(inside).parts[:-1] if part != ".."]
        number = [f"{root + 1}"] if len(self.roots) > 1 else []
        name = _named(PurePath(inside).name, f"-slice{picture.index}-gradcam")
        return self.folder.joinpath(*number, *parents, name)


def _is_of_another(place: Path, explanation: Explanation) -> bool:
    """Say whether the record that is there is of another file."""
    old = read_record(place)
    return old is not None and old.get("path") != explanation.manifest()["path"]


def _named(name: str, suffix: str = "") -> str:
    """Name a folder after a file or folder; where not all of the name can be kept, with a hash."""
    plain = folder_name(name + ".x", suffix)
    if plain == name + suffix:
        return plain
    return folder_name(name + ".x", f"-{_digest(name)}{suffix}")


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
