"""The published manifest, as it ships."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from importlib import resources

import pytest

from tumorlens.data.folder import CLASSES
from tumorlens.data.published import FILE_NAME, TEST_FOLD, facts, published


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    path = resources.files("tumorlens.data") / "published" / FILE_NAME
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_it_lists_every_file_and_nothing_else_about_it(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 7023
    assert list(rows[0]) == ["sha256", "label", "group", "fold", "excluded"]
    assert all(re.fullmatch("[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert all(re.fullmatch(r"P\d{3}|[CN]\d{4}", row["group"]) for row in rows)


def test_equal_files_are_told_the_same(rows: list[dict[str, str]]) -> None:
    told = defaultdict(set)
    for row in rows:
        told[row["sha256"]].add((row["label"], row["group"], row["fold"]))
    assert len(told) == 6726  # the set holds 297 files twice or more often, byte for byte
    assert {len(answers) for answers in told.values()} == {1}


def test_four_labels_are_put_right(rows: list[dict[str, str]]) -> None:
    as_published = {"glioma": 1621, "meningioma": 1645, "notumor": 2000, "pituitary": 1757}
    counts = Counter(row["label"] for row in rows)
    changes = {label: counts[label] - as_published[label] for label in CLASSES}
    assert changes == {"glioma": 0, "meningioma": 4, "notumor": 0, "pituitary": -4}


def test_no_group_lies_in_two_folds_nor_holds_two_classes_of_tumour_and_none(
    rows: list[dict[str, str]],
) -> None:
    folds, labels = defaultdict(set), defaultdict(set)
    for row in rows:
        folds[row["group"]].add(row["fold"])
        labels[row["group"]].add(row["label"])
    assert {len(found) for found in folds.values()} == {1}
    assert {len(found) for found in labels.values()} == {1}


def test_five_folds_hold_each_class_within_two_percent(rows: list[dict[str, str]]) -> None:
    assert {row["fold"] for row in rows} == set("01234")
    for label in CLASSES:
        counted = (r for r in rows if r["label"] == label and not r["excluded"])
        sizes = Counter(row["fold"] for row in counted).values()
        assert len(sizes) == 5
        assert max(sizes) <= 1.02 * min(sizes)


def test_every_fold_has_many_people_of_every_class(rows: list[dict[str, str]]) -> None:
    for label in CLASSES:
        for fold in "01234":
            here = {r["group"] for r in rows if r["label"] == label and r["fold"] == fold}
            assert len(here) >= 8, (label, fold)


def test_what_neither_trains_nor_counts_has_a_reason(rows: list[dict[str, str]]) -> None:
    reasons = Counter((row["label"], row["excluded"]) for row in rows if row["excluded"])
    assert reasons == {
        ("meningioma", "CT"): 10,
        ("meningioma", "copy in another fold"): 1,
        ("notumor", "CT"): 73,
        ("notumor", "looks like a tumour"): 70,
    }


def test_none_and_tumours_are_grouped_apart(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert (row["label"] == "notumor") == row["group"].startswith("N")


def test_every_fold_has_heads_without_tumour_of_every_plane_and_usual_sequence(
    rows: list[dict[str, str]],
) -> None:
    seen = facts()
    for fold in "01234":
        here = [
            seen[row["sha256"]]
            for row in rows
            if row["label"] == "notumor" and row["fold"] == fold and not row["excluded"]
        ]
        planes = Counter(fact.plane for fact in here)
        assert min(planes[plane] for plane in ("axial", "coronal", "sagittal")) >= 9
        sequences = Counter(fact.sequence for fact in here)
        assert min(sequences[name] for name in ("T1", "T2", "FLAIR")) >= 60
        findings = Counter(fact.finding for fact in here)
        assert min(findings[name] for name in ("none", "uncertain", "other finding")) >= 60


def test_something_is_known_of_every_picture(rows: list[dict[str, str]]) -> None:
    seen = facts()
    assert set(seen) == {row["sha256"] for row in rows}
    planes = Counter(seen[row["sha256"]].plane for row in rows if row["label"] != "notumor")
    assert min(planes[plane] for plane in ("axial", "coronal", "sagittal")) > 1500
    assert any(fact.sella for fact in seen.values())


def test_it_is_looked_up_by_hash(rows: list[dict[str, str]]) -> None:
    found = published()
    assert set(found) == {row["sha256"] for row in rows}
    row = rows[0]
    one = found[row["sha256"]]
    assert (one.sha256, one.label, one.group, one.fold, one.excluded) == (
        row["sha256"],
        row["label"],
        row["group"],
        int(row["fold"]),
        row["excluded"],
    )
    assert TEST_FOLD in {entry.fold for entry in found.values()}
    with pytest.raises(TypeError):
        found["0" * 64] = one  # type: ignore[index]
