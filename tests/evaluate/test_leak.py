"""What a model has seen is said, and what is not known is not claimed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tumorlens.data.manifest import Entry
from tumorlens.evaluate.cases import Case, LabelledSet
from tumorlens.evaluate.leak import judge_leak
from tumorlens.models.card import Card
from tumorlens.models.store import open_bundle

Row = Callable[..., Entry]
Make = Callable[..., LabelledSet]


def card(**training: Any) -> Card:
    return dataclasses.replace(open_bundle().card, training=training, metrics={})


@pytest.fixture
def rows(entry: Row) -> tuple[Entry, ...]:
    return (
        entry("a.png", group="P1", fold=0),
        entry("b.png", group="P2", fold=1),
        entry("c.png", group="P2"),
    )


def kept(data: LabelledSet, *folds: int) -> Card:
    assert data.manifest is not None
    return card(selection={"manifest_sha256": data.manifest.sha256, "test_folds": list(folds)})


def test_the_kept_fold_is_clean(rows: tuple[Entry, ...], labelled: Make) -> None:
    data = labelled(*rows, chosen=rows[:1])
    assert judge_leak(kept(data, 0), data, {}).leaky is False


def test_another_fold_is_leaky(rows: tuple[Entry, ...], labelled: Make) -> None:
    data = labelled(*rows, chosen=rows[1:2])
    found = judge_leak(kept(data, 0), data, {})
    assert found.leaky is True
    assert "pixel by pixel" in found.reason


def test_a_group_of_the_training_is_leaky_without_a_fold(
    rows: tuple[Entry, ...], labelled: Make
) -> None:
    data = labelled(*rows, chosen=rows[2:])
    found = judge_leak(kept(data, 0), data, {})
    assert found.leaky is True
    assert "1 groups on both sides (such as P2)" in found.reason


def test_another_manifest_is_not_known(rows: tuple[Entry, ...], labelled: Make) -> None:
    data = labelled(*rows, chosen=rows[:1])
    other = card(selection={"manifest_sha256": "0" * 64, "test_folds": [0]})
    assert judge_leak(other, data, {}).leaky is None


def test_a_published_fold_that_no_training_saw_is_clean_in_any_manifest(
    rows: tuple[Entry, ...], labelled: Make
) -> None:
    cases = (Case("a.png", "glioma"), Case("b.png", "glioma"))
    data = dataclasses.replace(labelled(*rows, chosen=rows[:2]), cases=cases)
    selection = {
        "manifest_sha256": "0" * 64,
        "test_folds": [0, 5],
        "published_folds_kept": [0],
        "published_version": 2,
    }
    other = card(selection=selection)
    assert judge_leak(other, data, {0: 2}).leaky is False
    assert judge_leak(other, data, {0: 1}).leaky is None  # nothing is known of the other one
    assert judge_leak(other, data, {0: 1, 1: 1}).leaky is True
    odd = card(selection={**selection, "published_folds_kept": "0"})
    assert judge_leak(odd, data, {0: 2}).leaky is None


@pytest.mark.parametrize(
    ("calibration", "leaky"),
    [
        ({"data": {"published_folds": [1]}}, False),
        ({"data": {"published_folds": [0, 1]}}, None),
        ({"data": {"published_folds": None}}, None),  # on pictures that may be anybody's
        ({"data": {}}, None),
        ({}, None),
        ("odd", None),
    ],
)
def test_a_fold_that_calibrated_is_not_called_unseen_in_another_manifest(
    rows: tuple[Entry, ...], labelled: Make, calibration: Any, leaky: bool | None
) -> None:
    cases = (Case("a.png", "glioma"), Case("b.png", "glioma"))
    data = dataclasses.replace(labelled(*rows, chosen=rows[:2]), cases=cases)
    trained = card(
        selection={"test_folds": [0, 1], "published_folds_kept": [0, 1], "published_version": 2}
    )
    calibrated = dataclasses.replace(trained, metrics={"calibration": calibration})
    assert judge_leak(calibrated, data, {0: 2}).leaky is leaky


def test_a_leaky_card(rows: tuple[Entry, ...], labelled: Make) -> None:
    leaky = card(leaky=True)
    assert judge_leak(leaky, labelled(*rows), {}).leaky is True
    assert judge_leak(leaky, labelled(), {}).leaky is True
    assert "--external" in judge_leak(leaky, labelled(), {}).reason
    assert "--external" not in judge_leak(leaky, labelled(), {1: 1}).reason
    outside = labelled(external=True)
    assert judge_leak(leaky, outside, {}).leaky is None
    assert judge_leak(leaky, outside, {3: 5}).leaky is True  # they are of the published set


def test_published_pictures_in_a_folder(labelled: Make) -> None:
    model = card(selection={"manifest_sha256": "0" * 64, "test_folds": [0]})
    found = judge_leak(model, labelled(), {0: 3, 2: 4})
    assert found.leaky is True
    assert found.reason.startswith("4 of the pictures")
    clean = judge_leak(model, labelled(), {0: 3})
    assert clean.leaky is None
    assert "3 of the pictures are of the published set" in clean.reason


@pytest.mark.parametrize("selection", [None, 3, {}, {"test_folds": 0}, {"test_folds": None}])
def test_cards_from_elsewhere(selection: Any, rows: tuple[Entry, ...], labelled: Make) -> None:
    assert judge_leak(card(selection=selection), labelled(*rows), {1: 2}).leaky is None


def test_a_model_of_the_first_published_folds_may_have_seen_copies(
    rows: tuple[Entry, ...], labelled: Make
) -> None:
    cases = (Case("a.png", "glioma"), Case("b.png", "notumor"))
    data = dataclasses.replace(labelled(*rows, chosen=rows[:2]), cases=cases)
    first = card(selection={"test_folds": [0], "published_folds_kept": [0]})
    found = judge_leak(first, data, {0: 2})
    assert found.leaky is True
    assert "first version" in found.reason
