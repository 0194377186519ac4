"""Calibrating a bundle on drawn heads: what is fitted, what is refused, what the card says."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.manifest import make_manifest, read_manifest, write_manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError
from tumorlens.evaluate.calibrate import calibrate, fit_calibration
from tumorlens.evaluate.evaluation import evaluate
from tumorlens.evaluate.looks import LOOKS
from tumorlens.evaluate.run import Answers
from tumorlens.models.card import Card
from tumorlens.publish.verify import verify_bundle

ChangeCard = Callable[..., None]


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight drawn heads in a manifest of two folds, two slices a group.

    One label of each fold is wrong: without a mistake there is nothing to calibrate on.
    """
    root = write_phantoms(tmp_path_factory.mktemp("heads") / "set", training=6, testing=6, size=96)
    made = make_manifest(root, groups="none")
    entries = tuple(
        dataclasses.replace(entry, group=f"G{i // 2}", fold=i // 2 % 2)
        for i, entry in enumerate(made.entries)
    )
    wrong = {i: dataclasses.replace(entries[i], corrected_label="meningioma") for i in (0, 2)}
    entries = tuple(wrong.get(i, entry) for i, entry in enumerate(entries))
    path = root / "m.csv"
    write_manifest(dataclasses.replace(made, entries=entries), path)
    return path


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path, heads: Path, change_card: ChangeCard) -> Path:
    """The small network, with a card that says it was trained on fold 1 of the manifest."""
    made = tmp_path / "bundle"
    made.mkdir()
    for file in tiny_bundle.iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    selection = {"manifest_sha256": read_manifest(heads).sha256, "test_folds": [0]}
    change_card(made, training={"selection": selection, "leaky": False})
    return made


@pytest.fixture
def calibrated(bundle: Path, heads: Path, tmp_path: Path) -> Card:
    return calibrate(bundle, heads, tmp_path / "new", folds=[0], level=0.6)[0]


def test_a_whole_bundle_comes_out(calibrated: Card, bundle: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert (new / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    assert re.fullmatch(r"1-calibrated-[0-9a-f]{8}", calibrated.version)
    assert set(calibrated.files) == {p.name for p in new.iterdir()} - {"model.json"}
    result = verify_bundle(new)
    assert result.passed
    assert "novelty" in {check.name for check in result.checks}
    found = calibrated.metrics["calibration"]
    assert (found["n"], found["groups"], found["leaky"]) == (24, 12, False)
    assert found["data"]["folds"] == [0]
    assert set(found["per_class"]) == set(CLASSES)
    assert json.loads((new / "model.json").read_text())["temperature"] == calibrated.temperature


def test_looks_widen_what_is_known(bundle: Path, heads: Path, tmp_path: Path) -> None:
    card, _ = calibrate(bundle, heads, tmp_path / "looked", folds=[0], looks=True, level=0.6)
    found = card.metrics["calibration"]
    assert set(found["accepted_under"]) == set(LOOKS)
    assert min(found["accepted_under"].values()) >= 0.75  # of 24, of 12 groups
    assert found["accepted"] >= 0.9


def test_the_new_bundle_uses_what_was_fitted(
    calibrated: Card, bundle: Path, heads: Path, tmp_path: Path
) -> None:
    old, new = load(bundle, threads=1), load(tmp_path / "new", threads=1)
    picture = next((heads.parent / "Testing" / "glioma").iterdir())
    before, after = old.predict(picture), new.predict(picture)
    assert after.label == before.label
    assert after.logits == pytest.approx(before.logits, abs=1e-4)
    scaled = np.exp(np.array(after.logits) / calibrated.temperature)
    assert list(after.probabilities.values()) == pytest.approx((scaled / scaled.sum()).tolist())
    chosen = {
        name
        for name, lowest in zip(CLASSES, calibrated.set_thresholds, strict=True)
        if after.probabilities[name] >= lowest
    }
    assert set(after.prediction_set) == chosen | {after.label}
    assert after.assessable
    assert new.explain(picture).prediction == after


def test_what_lies_beyond_the_limit_is_not_assessable(
    calibrated: Card, change_card: ChangeCard, tmp_path: Path
) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (96, 48))
    assert calibrated.novelty is not None
    for limit, passes in ((0.001, False), (100.0, True)):
        change_card(tmp_path / "new", novelty=dataclasses.replace(calibrated.novelty, limit=limit))
        new = load(tmp_path / "new", threads=1)
        answer = new.predict(stripes)
        assert answer.assessable is passes
        assert passes or "unlike the slices the model knows" in (answer.reason or "")
        assert new.explain(stripes).prediction.assessable is passes
    # What is plain to see is said first.
    assert new.predict(np.zeros((96, 96), np.uint8)).reason == "the picture is blank"


def test_calibrating_twice_starts_anew(calibrated: Card, heads: Path, tmp_path: Path) -> None:
    again, _ = calibrate(tmp_path / "new", heads, tmp_path / "again", folds=[0], level=0.6)
    assert again == calibrated
    other, _ = calibrate(
        tmp_path / "new", heads, tmp_path / "other", folds=[0, 1], seen=True, level=0.6
    )
    assert re.fullmatch(r"1-calibrated-[0-9a-f]{8}", other.version)
    assert other.id != calibrated.id  # it answers differently


def test_what_is_no_calibration_is_refused(
    answers: tuple[Answers, NDArray[np.float32]],
) -> None:
    """A model without a mistake, one of noise, and sets that hold every class."""
    found, vectors = answers
    eye = np.eye(4, dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 100, found.logits.shape).astype(np.float32)
    for logits, level, words in (
        (9 * eye[found.labels], 0.9, "makes 0 mistakes on"),
        (-noise - 500 * eye[found.labels], 0.9, "no minimum from 0.05 to 20"),
        (found.logits, 0.9999, "sets would hold every class"),
    ):
        with pytest.raises(DataError, match=words):
            fit_calibration(
                dataclasses.replace(found, logits=logits), vectors, level=level, accept=0.95
            )


def test_what_trained_the_model_is_refused(bundle: Path, heads: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be calibrated .* Shared with the model's train"):
        calibrate(bundle, heads, tmp_path / "new", folds=[1])
    assert not (tmp_path / "new").exists()
    card, _ = calibrate(
        bundle, heads, tmp_path / "new", folds=[0, 1], seen=True, version="7", level=0.6
    )
    assert card.metrics["calibration"]["leaky"] is True
    assert card.version == "7"


def test_an_evaluation_on_the_same_slices_says_so(
    calibrated: Card, heads: Path, tmp_path: Path
) -> None:
    assert calibrated
    found = evaluate(heads, model=tmp_path / "new", folds=[0], bootstrap=0)
    assert found.leak.leaky is True
    assert found.leak.reason.startswith("The model was calibrated on pictures of this set")


def test_too_few_groups(bundle: Path, tmp_path: Path) -> None:
    few = write_phantoms(tmp_path / "few", training=1, testing=1, size=96)
    with pytest.raises(DataError, match="8 groups are too few to calibrate on"):
        calibrate(bundle, few, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.fixture
def answers() -> tuple[Answers, NDArray[np.float32]]:
    """Answers four times too sure, and features on a plane, of 100 patients of 1 to 9 slices."""
    random = np.random.default_rng(4)
    groups = np.repeat([f"P{i}" for i in range(100)], random.integers(1, 10, 100))
    n = len(groups)
    logits = random.normal(0, 2, (n, 4))
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.minimum((rows.cumsum(axis=1) < random.random((n, 1))).sum(axis=1), 3)
    sure = 4 * logits.astype(np.float32)
    empty: dict[str, Any] = {"unreadable": (), "sha256": "0", "public": {}}
    vectors = (random.normal(size=(n, 3)) @ random.normal(size=(3, 20)) + 5).astype(np.float32)
    return (
        Answers(
            CLASSES,
            [f"{i}" for i in range(n)],
            groups.tolist(),
            [""] * n,
            labels,
            sure,
            rows,
            rows > 0.1,
            np.arange(n) > 2,
            **empty,
        ),
        vectors,
    )


def test_the_report_is_of_slices_that_fitted_nothing(
    answers: tuple[Answers, NDArray[np.float32]],
) -> None:
    found = fit_calibration(*answers, level=0.9, accept=0.95)
    assert found.temperature == pytest.approx(4, rel=0.15)
    report = found.report
    assert report["ece_after"] < 0.08 < report["ece_before"]
    assert report["nll_after"] < report["nll_before"]
    assert report["coverage"] == pytest.approx(0.9, abs=0.05)
    assert report["refused_by_eye"] == 3
    assert report["accepted"] == pytest.approx(0.95, abs=0.04)
    for row, name in zip(found.thresholds, CLASSES, strict=True):
        assert report["per_class"][name]["lowest"] == row.lowest
        assert row.promised == 0.9


def test_the_light_path_stays_light(calibrated: Card, tmp_path: Path) -> None:
    assert calibrated
    code = (
        "import sys, numpy as np, tumorlens;"
        f"c = tumorlens.load({str(tmp_path / 'new')!r});"
        "c.predict(np.eye(64, dtype=np.uint8) * 200);"
        "heavy = {'scipy', 'sklearn', 'keras', 'tensorflow', 'torch', 'crepes'};"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")


def test_a_classifier_without_calibration_is_as_before(classifier: Classifier) -> None:
    assert classifier.card.novelty is None
    assert classifier.card.set_thresholds == ()
