"""The right pictures with the right truth, or an error that says what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.data.folder import CLASSES, read_class_map
from tumorlens.data.manifest import Entry, Manifest, write_manifest
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import find_cases

Row = Callable[..., Entry]


def test_a_split_folder_and_a_plain_one(folder: Path) -> None:
    both = find_cases(folder)
    assert [case.label for case in both.cases] == list(CLASSES) * 2
    testing = find_cases(folder, split="Testing")
    assert {case.name.split("/")[0] for case in testing.cases} == {"Testing"}
    assert testing.origin["split"] == "Testing"
    plain = find_cases(folder / "Testing")
    assert [case.name.split("/")[0] for case in plain.cases] == list(CLASSES)
    assert plain.name == "Testing"


def test_a_class_may_be_missing_or_empty(folder: Path) -> None:
    shutil.rmtree(folder / "Testing" / "glioma")
    (next((folder / "Testing" / "notumor").iterdir())).unlink()
    labels = [case.label for case in find_cases(folder / "Testing").cases]
    assert labels == ["meningioma", "pituitary"]


def test_hidden_files_are_passed_over_and_broken_links_are_not(folder: Path) -> None:
    place = folder / "Testing" / "glioma"
    (place / ".DS_Store").write_text("x")
    (place / "gone.png").symlink_to(folder / "nowhere.png")
    names = [case.name for case in find_cases(folder, split="Testing").cases]
    assert "Testing/glioma/gone.png" in names
    assert not any(".DS_Store" in name for name in names)


def test_a_manifest_brings_labels_groups_and_sources(tmp_path: Path, entry: Row) -> None:
    rows = (
        entry("a.png", "pituitary", corrected_label="meningioma", group="P1", source="x", fold=0),
        entry("b.png", fold=1, split="Testing"),
        entry("c.png", split="Testing"),
    )
    path = tmp_path / "m.csv"
    write_manifest(Manifest(rows, tmp_path), path)
    everything = find_cases(path)
    first = everything.cases[0]
    assert (first.label, first.group, first.source) == ("meningioma", "P1", "x")
    assert first.sha256 == rows[0].sha256
    assert everything.manifest is not None
    assert everything.origin["manifest_sha256"] == everything.manifest.sha256
    assert [case.name for case in find_cases(path, folds=[0, 1]).cases] == ["a.png", "b.png"]
    assert [case.name for case in find_cases(path, split="Testing").cases] == ["b.png", "c.png"]
    both = find_cases(path, folds=[1], split="Testing")
    assert [case.name for case in both.cases] == ["b.png"]
    assert both.origin["folds"] == [1]
    with pytest.raises(DataError, match=r"no fold 3 \(its folds: 0, 1\)"):
        find_cases(path, folds=[3])
    with pytest.raises(DataError, match="no picture of fold 0 and split Testing"):
        find_cases(path, folds=[0], split="Testing")
    with pytest.raises(DataError, match="is not a folder"):
        find_cases(path, external=True)


def test_other_peoples_names(tmp_path: Path) -> None:
    for part in ("train", "val", "extra"):
        for name in ("GBM", "Healthy Brain", "pituitary_tumor", "Metastasis"):
            place = tmp_path / part / name / "patient 1"
            place.mkdir(parents=True)
            (place / "x.png").write_bytes(b"")
    chosen = read_class_map("gbm=Glioma, healthy brain=no tumor,Metastasis=-,extra=-")
    found = find_cases(tmp_path, external=True, class_map=chosen)
    assert [(case.name, case.label) for case in found.cases] == [
        (f"{part}/{name}/patient 1/x.png", label)
        for part in ("train", "val")
        for name, label in (
            ("GBM", "glioma"),
            ("Healthy Brain", "notumor"),
            ("pituitary_tumor", "pituitary"),
        )
    ]
    assert found.external
    assert found.origin["kind"] == "external"
    validation = find_cases(tmp_path, class_map=chosen, split="Validation")
    assert len(validation.cases) == 3
    with pytest.raises(DataError, match="no class: GBM, Healthy Brain, Metastasis; name them"):
        find_cases(tmp_path, external=True, class_map={"extra": "-"})
    with pytest.raises(DataError, match="holds extra beside train"):
        find_cases(tmp_path, external=True)


def test_a_map_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"GBM": "glioma", "Other": "-"}))
    assert read_class_map(str(path)) == {"gbm": "glioma", "other": "-"}
    path.write_text("[1]")
    with pytest.raises(DataError, match="is no class map"):
        read_class_map(str(path))
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read as a class map"):
        read_class_map(str(path))
    with pytest.raises(DataError, match="cannot be read as a class map"):
        read_class_map(str(tmp_path / "absent.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GBM", "is no pair"),
        ("", "is empty"),
        (",", "is empty"),
        ("GBM=cancer", "which is no class"),
        ("=glioma", "which is no class"),
    ],
)
def test_wrong_maps(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_class_map(text)


@given(st.text())
def test_any_text_is_a_map_or_our_error(text: str) -> None:
    if "\0" in text or text.lower().endswith(".json"):
        return
    try:
        found = read_class_map(text)
    except DataError:
        return
    assert set(found.values()) <= {*CLASSES, "-"}


def test_sets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures; expected folders named"):
        find_cases(tmp_path)
    with pytest.raises(DataError, match="cannot be read as a manifest"):
        find_cases(tmp_path / "absent")
    (tmp_path / "glioma").mkdir()
    (tmp_path / "glioma" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="no pictures of Testing"):
        find_cases(tmp_path, split="Testing")
    with pytest.raises(DataError, match="has no folds; make a manifest"):
        find_cases(tmp_path, folds=[0])
