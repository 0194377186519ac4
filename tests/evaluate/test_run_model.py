"""Answers are paired with their truth, whatever is broken in between, and stay small."""

from __future__ import annotations

import gc
import hashlib
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.manifest import Entry, Manifest
from tumorlens.data.published import Published
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import Case, LabelledSet, find_cases
from tumorlens.evaluate.run import run_model
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_picture(path: Path, side: int = 64, grey: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side), grey, dtype=np.uint8)
    pixels[side // 4 : side // 2] = 200
    Image.fromarray(pixels).save(path)
    return path


def test_rows_are_what_predict_says(folder: Path, classifier_of_one_answer: Classifier) -> None:
    steps: list[tuple[int, int]] = []
    data = find_cases(folder)
    found = run_model(
        classifier_of_one_answer,
        data,
        progress=lambda _stage, done, total, _note="": steps.append((done, total)),
    )
    assert found.names == [case.name for case in data.cases]
    assert [CLASSES[c] for c in found.labels] == [case.label for case in data.cases]
    assert set(found.predicted.tolist()) == {CLASSES.index("meningioma")}
    for i, name in enumerate(found.names):
        answer = classifier_of_one_answer.predict(folder / name)
        assert found.logits[i] == pytest.approx(answer.logits, abs=1e-5)
        assert dict(zip(CLASSES, found.probabilities[i], strict=True)) == pytest.approx(
            answer.probabilities, abs=1e-5
        )
        assert {CLASSES[c] for c in np.flatnonzero(found.sets[i])} == set(answer.prediction_set)
        assert found.assessable[i] == answer.assessable
    assert steps[-1] == (8, 8)
    lines = "".join(
        f"{label} {hash_of(folder / name)}\n"
        for name, label in ((case.name, case.label) for case in data.cases)
    )
    assert found.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_broken_files_are_listed_and_the_rest_goes_on(
    folder: Path, classifier_of_one_answer: Classifier
) -> None:
    place = folder / "Testing" / "glioma"
    (place / "a.png").write_bytes(b"no picture")
    (place / "z.png").symlink_to(folder / "nowhere.png")
    frames = [Image.new("L", (64, 64), grey) for grey in (10, 90, 200)]
    frames[0].save(folder / "Testing/pituitary/many.tif", save_all=True, append_images=frames[1:])
    blank = write_picture(folder / "Testing/notumor/blank.png")
    Image.new("L", (64, 64), 5).save(blank)
    found = run_model(classifier_of_one_answer, find_cases(folder, split="Testing"))
    assert [name for name, _ in found.unreadable] == [
        "Testing/glioma/a.png",
        "Testing/glioma/z.png",
        "Testing/pituitary/many.tif",
    ]
    assert "no such file" in found.unreadable[1][1]
    assert "3 pictures in one file; evaluate its folder" in found.unreadable[2][1]
    assert len(found.names) == 5
    assert not found.assessable[found.names.index("Testing/notumor/blank.png")]


def test_a_file_that_changed_since_its_manifest_is_refused(
    tmp_path: Path, entry: Callable[..., Entry], classifier_of_one_answer: Classifier
) -> None:
    good, bad = write_picture(tmp_path / "good.png"), write_picture(tmp_path / "bad.png", grey=50)
    rows = (entry("bad.png"), entry("good.png", sha256=hash_of(good), group="P1"), entry("no.png"))
    cases = tuple(Case(e.path, e.label, e.group, e.source, e.sha256) for e in rows)
    data = LabelledSet("m", tmp_path, cases, {}, False, Manifest(rows, tmp_path), rows)
    found = run_model(classifier_of_one_answer, data)
    assert found.names == ["good.png"]
    assert found.groups == ["P1"]
    reasons = dict(found.unreadable)
    assert reasons["bad.png"].startswith("not the file that the manifest lists")
    assert "no such file" in reasons["no.png"]
    bad.unlink()
    good.unlink()
    with pytest.raises(DataError, match="none of the 3 files of m could be read"):
        run_model(classifier_of_one_answer, data)


def test_published_files_bring_their_truth(
    folder: Path, classifier_of_one_answer: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = next((folder / "Testing" / "pituitary").iterdir())
    row = Published(hash_of(known), "meningioma", "P007", 3)
    monkeypatch.setattr("tumorlens.evaluate.run.published", lambda: {row.sha256: row})
    found = run_model(classifier_of_one_answer, find_cases(folder / "Testing"))
    at = found.names.index(known.relative_to(folder / "Testing").as_posix())
    assert CLASSES[found.labels[at]] == "meningioma"
    assert (found.groups[at], found.sources[at]) == ("P007", "figshare 1512427")
    assert sum(map(bool, found.groups)) == 1
    assert found.public == {3: 1}


def test_a_class_the_model_does_not_know(folder: Path, spot_bundle: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"holds glioma, .* which spot@3 does not know"):
        run_model(load(spot_bundle(), threads=1), find_cases(folder))


def test_only_rows_stay_in_memory(tmp_path: Path, classifier_of_one_answer: Classifier) -> None:
    picture = write_picture(tmp_path / "set" / "glioma" / "0.png", side=200)
    for i in range(1, 200):
        (picture.parent / f"{i}.png").symlink_to(picture)
    data = find_cases(tmp_path / "set")
    assert len(data.cases) == 200
    alive: list[int] = []

    def count(_stage: str, done: int, _total: int, _note: str = "") -> None:
        if done % 25 == 0:
            alive.append(sum(isinstance(thing, Slice | Prepared) for thing in gc.get_objects()))

    run_model(classifier_of_one_answer, replace(data, cases=data.cases[:1]))  # what loads once
    gc.collect()
    gc.freeze()  # what other tests left is not counted each time
    tracemalloc.start()
    found = run_model(classifier_of_one_answer, data, progress=count)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.unfreeze()
    assert len(found.names) == 200
    assert len(alive) == 8
    assert max(alive) <= 2 * (16 + 8 + 2)  # a batch, and what is read ahead
    assert kept < 2e6  # the pictures alone would be 8 MB, prepared another 3 MB


def test_stopping_halfway_leaves_nothing_running(
    folder: Path, classifier_of_one_answer: Classifier
) -> None:
    def stop(_stage: str, done: int, _total: int, _note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_model(classifier_of_one_answer, find_cases(folder), progress=stop)
