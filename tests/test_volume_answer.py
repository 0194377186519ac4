"""The rule of a volume's answer, on probabilities written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tumorlens.apps.cli.volumes import line_of_volume
from tumorlens.apps.session.words import say_summary
from tumorlens.classifier import load
from tumorlens.data.folder import CLASSES
from tumorlens.models.card import Card
from tumorlens.prediction import Prediction
from tumorlens.report.case_words import headline, volume_facts
from tumorlens.volume_answer import VolumeAnswer, agree


@pytest.fixture
def card(spot_bundle: Callable[..., Path]) -> Card:
    return replace(load(spot_bundle((0.0, 0.0, 0.0, 0.0))).card, classes=CLASSES)


def answer(i: int, glioma: float, meningioma: float = 0.0, reason: str | None = None) -> Prediction:
    p = dict(zip(CLASSES, (glioma, meningioma, 1 - glioma - meningioma, 0.0), strict=True))
    best = max(p, key=p.__getitem__)
    return Prediction(None, i, best, p[best], p, (best,), reason is None, reason, "m", (0.0,) * 4)


def summed(
    card: Card,
    glioma: Sequence[float],
    areas: Sequence[float] | None = None,
    spacing: float = 5.0,
) -> VolumeAnswer:
    answers = [answer(i, p) for i, p in enumerate(glioma)]
    sizes = [100.0] * len(answers) if areas is None else areas
    return agree(answers, sizes, card, slices=len(answers), spacing=spacing)


def test_neighbours_that_agree_name_the_tumour(card: Card) -> None:
    found = summed(card, [0, 0, 0.1, 0.98, 0.9, 0.8, 0.1, 0], spacing=7.0)
    assert (found.label, found.suspect, found.shown) == ("glioma", None, "glioma")
    assert found.run == (3, 5)
    assert found.look_first[0] == 4
    assert set(found.look_first[:3]) == {3, 4, 5}
    assert found.prediction_set[0] == "glioma"
    assert sum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("spacing", [1.0, 3.0, 5.0, 7.0, 12.0])
def test_one_slice_alone_decides_nothing(card: Card, spacing: float) -> None:
    """However sure it is, and however thick the slices are."""
    found = summed(card, [0, 0, 0, 1, 0, 0, 0], spacing=spacing)
    assert (found.label, found.suspect, found.run) == ("notumor", None, None)
    assert 3 in found.look_first
    assert found.confidence is not None
    assert found.confidence > 0.5


def test_thin_slices_need_more_of_them(card: Card) -> None:
    rows = [0.05] * 20 + [0.98] * 3 + [0.05] * 20
    assert summed(card, rows, spacing=7.0).label == "glioma"
    assert summed(card, rows, spacing=1.0).label == "notumor"
    thin = summed(card, [0.05] * 20 + [0.98] * 21 + [0.05] * 20, spacing=1.0)
    assert thin.label == "glioma"
    assert thin.run is not None
    assert set(range(20, 41)) <= set(range(thin.run[0], thin.run[1] + 1))


@pytest.mark.parametrize(("spacing", "slices"), [(1.0, 12), (3.0, 5), (5.0, 3)])
def test_a_tumour_of_some_15_mm_is_not_called_none(card: Card, spacing: float, slices: int) -> None:
    """Too small for a name among neighbours within 10 mm, it is suspected."""
    found = summed(card, [0.0] * 15 + [0.98] * slices + [0.0] * 15, spacing=spacing)
    assert (found.label, found.suspect) == ("notumor", "glioma")
    assert found.run is not None
    assert 15 <= found.run[0] <= found.run[1] < 15 + slices


def test_what_is_likely_but_not_sure_is_undecided_and_says_where_to_look(card: Card) -> None:
    found = summed(card, [0, 0, 0.7, 0.7, 0.7, 0, 0], spacing=7.0)
    assert (found.label, found.suspect, found.shown) == ("notumor", "glioma", "glioma")
    assert found.probabilities["glioma"] == pytest.approx(0.7, abs=0.02)
    assert found.run == (3, 3)
    assert {"glioma", "notumor"} <= set(found.prediction_set)
    assert found.to_dict()["volume"]["suspect"] == "glioma"


@pytest.mark.parametrize("spacing", [1e-9, 0.0, 1e30, float("inf")])
def test_a_spacing_that_cannot_be_makes_the_next_slices_neighbours(
    card: Card, spacing: float
) -> None:
    found = summed(card, [0.0] * 15 + [0.98] * 3 + [0.0] * 15, spacing=spacing)
    assert found.label == "glioma"
    assert found.run == (15, 17)


def test_planes_are_answered_each_by_itself(card: Card) -> None:
    """A tumour in one plane alone stays that plane's answer."""
    ill, well = [0, 0.98, 0.98, 0.98, 0], [0.1] * 5
    assert [summed(card, rows).label for rows in (ill, well)] == ["glioma", "notumor"]


def test_slices_without_brain_are_passed_over_and_counted(card: Card) -> None:
    found = summed(card, [0.99, 0.99, 0, 0, 0, 0], [3, 5, 100, 100, 90, 80])
    assert (found.label, found.assessable, found.without_brain) == ("notumor", 4, 2)
    blank = [answer(i, 0.99, reason="the picture is blank") for i in range(2)]
    none = agree(blank, [9, 9], card, slices=2, spacing=5)
    assert (none.label, none.confidence, none.assessable, none.without_brain) == (None, None, 0, 2)
    assert none.to_dict()["volume"]["prediction_set"] == []


def test_a_slice_beside_missing_ones_is_not_outvoting(card: Card) -> None:
    """Slices that could not be read leave their neighbours on their own."""
    answers = [answer(0, 0.0), answer(1, 0.0), answer(5, 0.99), answer(9, 0.1), answer(10, 0.1)]
    found = agree(answers, [1.0] * 5, card, slices=11, spacing=5)
    assert found.label == "notumor"


def test_different_tumours_do_not_add_up(card: Card) -> None:
    both = [answer(i, 0.45, 0.45) for i in range(4)]
    turns = [answer(i, *((0.98, 0.01) if i % 2 else (0.01, 0.98))) for i in range(6)]
    for answers in (both, turns):
        found = agree(answers, [1.0] * len(answers), card, slices=len(answers), spacing=7)
        assert found.label == "notumor"
        assert found.suspect in ("glioma", "meningioma")  # some tumour is sure, its kind is not
        assert {"glioma", "meningioma", "notumor"} <= set(found.prediction_set)


def test_more_evidence_does_not_make_an_undecided_volume_clear(card: Card) -> None:
    """A place where tumours are sure together is not outdone by a weaker one of one kind."""
    rows = [answer(i, *((0.48, 0.48) if 9 <= i <= 11 else (0.0, 0.0))) for i in range(16)]
    rows[3:6] = [answer(i, 0.55) for i in range(3, 6)]
    found = agree(rows, [1.0] * 16, card, slices=16, spacing=7)
    assert found.suspect in ("glioma", "meningioma")
    assert found.run is not None
    assert 9 <= found.run[0] <= found.run[1] <= 11
    line = line_of_volume(found)
    assert "glioma 4" in line
    assert "meningioma 4" in line


@pytest.mark.parametrize("spacing", [5.1, 6.0, 6.5, 7.0])
def test_neighbours_lie_within_ten_millimetres_and_no_further(card: Card, spacing: float) -> None:
    found = summed(card, [0.0] * 6 + [0.97] * 3 + [0.0] * 6, spacing=spacing)
    assert found.label == "glioma"


def test_an_undecided_volume_is_never_said_to_be_clear(card: Card) -> None:
    """Neither on the terminal, nor in the window, nor in a report."""
    found = summed(card, [0, 0, 0.75, 0.75, 0.75, 0.75, 0, 0], spacing=7.0)
    line, window = line_of_volume(found), say_summary(found)
    assert line.startswith("undecided ")
    assert "glioma" in line
    assert "look at slices 3 to 4" in line  # as files count
    assert "undecided, look at slices 4 to 5" in window  # as people count
    assert headline(found).startswith("undecided: glioma or no tumour")
    scan: Any = SimpleNamespace(geometry=SimpleNamespace(spacing=(7.0, 1.0, 1.0)))
    facts = dict(volume_facts(found, scan))
    assert facts["Undecided"].startswith("Suspected is glioma (")
    assert "Nowhere" not in facts.get("Where", "")
