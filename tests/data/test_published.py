"""The published manifest, as it ships."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from importlib import resources

import pytest

from tumorlens.data.folder import CLASSES
from tumorlens.data.published import FILE_NAME, TEST_FOLD, published


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    path = resources.files("tumorlens.data") / "published" / FILE_NAME
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_it_lists_every_file_and_nothing_else_about_it(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 7023
    assert list(rows[0]) == ["sha256", "label", "group", "fold"]
    assert all(re.fullmatch("[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert all(re.fullmatch(r"P\d{3}|C\d{4}", row["group"]) for row in rows)


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
        sizes = Counter(row["fold"] for row in rows if row["label"] == label).values()
        assert len(sizes) == 5
        assert max(sizes) <= 1.02 * min(sizes)


def test_every_fold_has_many_people_of_every_class(rows: list[dict[str, str]]) -> None:
    for label in CLASSES:
        for fold in "01234":
            here = {r["group"] for r in rows if r["label"] == label and r["fold"] == fold}
            assert len(here) >= 8, (label, fold)


def test_it_is_looked_up_by_hash(rows: list[dict[str, str]]) -> None:
    found = published()
    assert set(found) == {row["sha256"] for row in rows}
    row = rows[0]
    one = found[row["sha256"]]
    assert (one.sha256, one.label, one.group, one.fold) == (
        row["sha256"],
        row["label"],
        row["group"],
        int(row["fold"]),
    )
    assert TEST_FOLD in {entry.fold for entry in found.values()}
    with pytest.raises(TypeError):
        found["0" * 64] = one  # type: ignore[index]
