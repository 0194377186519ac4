"""``tumorlens evaluate``, as a user runs it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dicoms import write_series
from head_volumes import draw_slices, head_volume, save_nifti
from tumorlens.data.folder import CLASSES
from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.data.split import split_manifest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("data") / "set", training=3, testing=2, size=96)


@pytest.fixture
def run(run: Run) -> Run:
    return partial(run, "evaluate")


def test_the_shipped_model_on_a_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    leaky = ("--model", "mobilenetv2-official", "--bootstrap", 50)
    status, said, err = run(folder, "--split", "testing", "--out", out, *leaky)
    assert status == 0, err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n"] == 8
    assert metrics["per_class"]["glioma"]["support"] == 2
    assert metrics["data"]["split"] == "Testing"
    assert metrics["data"]["leaky"] is True
    assert f"accuracy          {metrics['accuracy']:.4f}" in said
    assert "no groups are known: the intervals are too narrow" in said
    assert "LEAKY: " in said
    assert "classifying 8/8" in err
    assert (out / "report.html").is_file()


def test_folds_of_a_manifest(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    made = make_manifest(folder, groups="none")
    groups = (f"G{i // 2}" for i in range(len(made.entries)))
    entries = tuple(replace(e, group=g) for e, g in zip(made.entries, groups, strict=True))
    write_manifest(split_manifest(replace(made, entries=entries), folds=2), path)
    out = tmp_path / "out"
    status, said, err = run(path, "--fold", 1, "--out", out, "--bootstrap", 20, "--seed", 3)
    assert status == 0, err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["data"]["folds"] == [1]
    assert metrics["data"]["groups"] > 1
    assert metrics["data"]["without_group"] == 0
    assert "too narrow" not in said
    again = tmp_path / "again"
    run(path, "--fold", 1, "--out", again, "--bootstrap", 20, "--seed", 3)
    assert (again / "metrics.json").read_bytes() == (out / "metrics.json").read_bytes()
    assert run(path, "--fold", 9, "--out", tmp_path / "no")[0] == 2


def test_somebody_elses_set_with_broken_files(run: Run, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    names = {"glioma": "GBM", "notumor": "Healthy", "pituitary": "Adenoma"}
    for label, name in names.items():
        (other / name).mkdir(parents=True)
        for path in (folder / "Testing" / label).iterdir():
            (other / name / path.name).write_bytes(path.read_bytes())
    (other / "Scans").mkdir()
    (other / "GBM" / "bad\x1b[31m.png").write_text("no picture")
    out = tmp_path / "out"
    status, _, err = run("--external", other, "--out", out)
    assert status == 2
    assert "Adenoma, GBM, Healthy, Scans" not in err  # Healthy is a name we know
    assert "stand for no class: Adenoma, GBM, Scans" in err
    assert not out.exists()
    class_map = "gbm=glioma,Adenoma=pituitary,Scans=-"
    status, said, err = run("--external", other, "--class-map", class_map, "--out", out)
    assert status == 1
    assert "unreadable  GBM/bad�[31m.png: " in err
    assert "1 files could not be read" in err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n"] == 6
    assert metrics["data"]["kind"] == "external"
    assert metrics["data"]["leaky"] is None
    assert metrics["macro_f1"] is None
    assert metrics["unreadable"][0]["path"] == "GBM/bad\x1b[31m.png"
    assert "auc macro         not defined" in said
    assert list(metrics["per_class"]) == list(CLASSES)


def test_volumes_and_pictures_have_a_table_each(run: Run, folder: Path, tmp_path: Path) -> None:
    values, _ = draw_slices()
    root = tmp_path / "scans"
    write_series(root / "glioma" / "P1", values, series="1.2.3")
    (root / "notumor").mkdir()
    save_nifti(head_volume(), root / "notumor" / "brain.nii.gz")
    out = tmp_path / "out"
    status, said, err = run(root, "--out", out, "--bootstrap", 20)
    assert status == 0, err
    assert " on 2 volumes of scans" in said
    assert "pictures of" not in said
    metrics = json.loads((out / "metrics.json").read_text())
    found = metrics["volumes"]
    assert (found["n"], found["answered"], found["bootstrap"]["units"]) == (2, 2, 2)
    assert found["accuracy"] == found["accuracy_of_all"]
    assert found["intervals"]["accuracy"]
    assert "auc" not in found
    with (out / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["glioma/P1", "notumor/brain.nii.gz"]
    assert [row["slices"] for row in rows] == ["10", "10"]
    assert [row["predicted"] == row["label"] for row in rows].count(True) == found["accuracy"] * 2
    assert "2 volumes with a known answer" in (out / "report.html").read_text()
    for path in (folder / "Testing" / "notumor").iterdir():
        (root / "notumor" / path.name).write_bytes(path.read_bytes())
    both = tmp_path / "both"
    status, said, err = run(root, "--out", both, "--bootstrap", 20)
    assert status == 0, err
    assert said.index(" on 2 pictures of scans") < said.index(" on 2 volumes of scans")
    metrics = json.loads((both / "metrics.json").read_text())
    assert (metrics["n"], metrics["volumes"]) == (2, found)
    assert "2 pictures and 2 volumes" in (both / "report.html").read_text()
    assert len((both / "predictions.csv").read_text().splitlines()) == 5


def test_what_is_left_out_is_told_without_volumes_too(run: Run, tmp_path: Path) -> None:
    values, _ = draw_slices()
    root = tmp_path / "scans"
    localiser = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_series(root / "glioma", values[:2], series="1.2.3", ImageType=localiser)
    write_series(root / "glioma", values[5:6], series="1.2.4")
    out = tmp_path / "out"
    status, said, err = run(root, "--out", out, "--bootstrap", 0)
    assert status == 0, err
    assert "volumes of" not in said
    assert "2 localisers are left out" in err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n"] == 1
    [note] = metrics["notes"]
    assert note in err
    assert note in (out / "report.html").read_text()


def test_wrong_usage_leaves_nothing_behind(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "name either DATA or --external" in run("--out", out)[2]
    assert "name either DATA or --external" in run(folder, "--external", folder, "--out", out)[2]
    assert "there is no model 'nobody'" in run(folder, "--model", "nobody", "--out", out)[2]
    assert "is no pair" in run(folder, "--class-map", "x", "--out", out)[2]
    assert not list(tmp_path.iterdir())
    (out / "old").mkdir(parents=True)
    status, _, err = run(folder, "--out", out)
    assert status == 2
    assert "is not empty" in err
    assert "classifying" not in err


def test_a_stop_leaves_nothing_behind(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tumorlens.evaluate.evaluation.summarise", stop)
    status, _, err = run(folder, "--out", tmp_path / "out")
    assert status == 130
    assert "stopped" in err
    assert not list(tmp_path.iterdir())


def test_without_scikit_learn(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    status, _, err = run(folder, "--out", tmp_path / "out")
    assert status == 2
    assert "pip install 'tumorlens[evaluate]'" in err
    assert "classifying" not in err
