"""Work of many passes within a slice tells how far it is."""

from __future__ import annotations

from pathlib import Path

from tumorlens.classifier import Classifier
from tumorlens.explain.batch import explain_files
from tumorlens.explain.explainer import Question


def test_occlusion_tells_of_its_places(
    classifier: Classifier, picture: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []

    def listen(stage: str, done: int, total: int, note: str = "") -> None:
        del stage, note
        told.append((done, total))

    question = Question("occlusion")
    list(explain_files(classifier, [str(picture)], tmp_path, question, progress=listen))
    assert len(told) > 2
    assert told[-1] == (told[-1][1], told[-1][1])
    assert told == sorted(told)
