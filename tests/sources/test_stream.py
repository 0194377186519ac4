"""Many files on one machine: read ahead, answered in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tumorlens.classifier import Classifier
from tumorlens.data.phantom import draw_phantom
from tumorlens.models.card import InputFormat
from tumorlens.prediction import Prediction
from tumorlens.sources.failure import Failure
from tumorlens.sources.stream import predict_files, read_files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Thirty files: heads, broken ones and a stack of three, in no order of class."""
    root = tmp_path_factory.mktemp("many")
    labels = ("glioma", "meningioma", "notumor", "pituitary")
    paths = []
    for i in range(30):
        path = root / f"{i:02d}.tif"
        if i % 7 == 3:
            path.write_bytes(b"broken" * i)
        else:
            heads = [
                Image.fromarray(draw_phantom(labels[(i + k) % 4], 200_000 + i).pixels)
                for k in range(3)
            ]
            heads[0].save(path, save_all=True, append_images=heads[1:] if i == 11 else [])
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("batch_size", [1, 4, 16, 100])
def test_answers_come_in_order_and_broken_files_do_not_stop_them(
    classifier: Classifier, files: list[str], batch_size: int
) -> None:
    results = list(predict_files(classifier, files, batch_size=batch_size))
    wanted = [(path, i) for path in files for i in range(3 if path.endswith("11.tif") else 1)]
    assert [(r.path, 0 if isinstance(r, Failure) else r.slice) for r in results] == wanted
    broken = {path for path in files if int(Path(path).stem) % 7 == 3}
    assert {r.path for r in results if isinstance(r, Failure)} == broken
    for result in results[::5]:
        if isinstance(result, Prediction) and not result.path.endswith("11.tif"):
            alone = classifier.predict(result.path)
            assert result.label == alone.label
            assert result.logits == pytest.approx(alone.logits, abs=1e-3)


def test_nothing_gives_nothing(classifier: Classifier) -> None:
    assert list(predict_files(classifier, [])) == []


def test_only_broken_files_give_only_failures(classifier: Classifier, tmp_path: Path) -> None:
    results = list(predict_files(classifier, [str(tmp_path / "no"), str(tmp_path)]))
    assert [type(r) for r in results] == [Failure, Failure]
    assert results[0].to_dict() == {
        "path": str(tmp_path / "no"),
        "error": {
            "type": "UnreadableImageError",
            "message": f"{tmp_path / 'no'}: no such file; check the path",
        },
    }


def test_little_is_read_ahead_and_stopping_stops(files: list[str]) -> None:
    taken: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(files[0])
            yield files[0]

    before = threading.active_count()
    reading = read_files(endless(), InputFormat(64, 1, "NHWC", (0.0, 1.0), "head-crop/2"))
    for _ in range(5):
        next(reading)
    assert len(taken) < 32
    reading.close()
    assert threading.active_count() == before


def test_a_dash_is_standard_input(
    classifier: Classifier, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with picture.open() as stdin:  # as text, which it is not
        monkeypatch.setattr("sys.stdin", stdin)
        (answer,) = predict_files(classifier, ["-"])
    assert isinstance(answer, Prediction)
    assert answer.path == "-"
    assert answer.label == "pituitary"
    with Path(os.devnull).open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        (failure,) = predict_files(classifier, ["-"])
    assert str(failure.error).startswith("-: an empty file; ")
    monkeypatch.setattr("sys.stdin", None)
    (failure,) = predict_files(classifier, ["-"])
    assert str(failure.error).startswith("-: there is no standard input; pipe a file")
