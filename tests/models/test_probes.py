"""Probes: drawn the same everywhere, and sensitive to what a network has learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tumorlens.errors import ModelError
from tumorlens.models.head import Head
from tumorlens.models.probes import DRAWING, compare_probes, draw_probes, take_probes
from tumorlens.models.session import Session
from tumorlens.models.store import bundled_models, open_bundle


@pytest.mark.parametrize("size", [8, 64, 299])
def test_they_are_prepared_pictures(size: int) -> None:
    drawn = draw_probes(size)
    assert drawn.shape == (4, size, size)
    assert drawn.dtype == np.float32
    assert drawn.min() == 0
    assert 0.5 < drawn.max() <= 1
    np.testing.assert_array_equal(drawn, draw_probes(size))
    assert len(np.unique(drawn.reshape(4, -1), axis=0)) == 4


def test_the_formula_is_the_one_of_its_version() -> None:
    """A change of the formula must change its name, or old bundles would look broken."""
    assert DRAWING == "probe/1"
    drawn = draw_probes(64).astype(float)
    np.testing.assert_allclose(drawn.mean(axis=(1, 2)), PROBE_1_MEANS, atol=1e-6)
    np.testing.assert_allclose(drawn[:, 20, 40], PROBE_1_PIXELS, atol=1e-6)


PROBE_1_MEANS = [0.1899238, 0.1957952, 0.2044199, 0.2120186]
PROBE_1_PIXELS = [0.450902, 0.389763, 0.4408231, 0.9594651]


def test_soft_edges_keep_last_digits_small() -> None:
    """A hundredth of a pixel's shift changes no pixel by much."""
    fine, coarse = draw_probes(301)[:, ::3, ::3], draw_probes(101)
    np.testing.assert_allclose(fine, coarse, atol=1e-5)


@pytest.mark.parametrize("which", ["tiny_bundle", "tiny_bundle_int8"])
def test_an_exported_bundle_carries_its_answers(which: str, request: pytest.FixtureRequest) -> None:
    opened = open_bundle(request.getfixturevalue(which))
    probes = opened.card.probes
    assert probes is not None
    assert probes.drawing == DRAWING
    assert np.shape(probes.logits) == (4, 4)
    for threads in (1, 2):
        found = compare_probes(Session(opened, threads=threads), probes)
        assert found.change < found.allowed / 10


@pytest.mark.parametrize("name", bundled_models())
def test_whatever_ships_answers_as_it_did(name: str) -> None:
    opened = open_bundle(name)
    assert opened.card.probes is not None
    assert compare_probes(Session(opened), opened.card.probes).passed


def test_another_network_does_not_pass(spot_bundle: Callable[..., Path]) -> None:
    one, other = (Session(open_bundle(spot_bundle(w))) for w in ((9.0, -9.0), (9.0, -8.5)))
    probes = take_probes(one)
    assert compare_probes(one, probes).change < 1e-5
    assert not compare_probes(other, probes).passed
    assert probes.tolerance == pytest.approx(1e-3 * np.abs(probes.logits).max(), rel=0.01)


def test_int8_is_allowed_more(spot_bundle: Callable[..., Path]) -> None:
    bundle = open_bundle(spot_bundle())
    float_one, int8_one = (
        take_probes(Session(dataclasses.replace(bundle, card=card)))
        for card in (bundle.card, dataclasses.replace(bundle.card, precision="int8"))
    )
    assert int8_one.logits == float_one.logits
    assert int8_one.tolerance == 100 * float_one.tolerance


def test_a_card_may_be_stricter_and_never_laxer(spot_bundle: Callable[..., Path]) -> None:
    one, other = (Session(open_bundle(spot_bundle(w))) for w in ((9.0, -9.0), (9.0, -8.9)))
    probes = take_probes(one)
    for tolerance in (0.5, 1e300):
        lax = dataclasses.replace(probes, tolerance=tolerance)
        found = compare_probes(other, lax)
        assert not found.passed
        assert found.allowed == pytest.approx(probes.tolerance, rel=0.02)
    strict = dataclasses.replace(probes, tolerance=1e-30)
    assert compare_probes(one, strict).allowed == 1e-30


@pytest.mark.parametrize(("precision", "share"), [("float32", 1e-3), ("int8", 0.1), ("odd", 1e-3)])
def test_what_is_allowed_goes_by_the_precision(
    spot_bundle: Callable[..., Path], precision: str, share: float
) -> None:
    bundle = open_bundle(spot_bundle((90.0, -9.0)))
    session = Session(
        dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, precision=precision))
    )
    lax = dataclasses.replace(take_probes(session), tolerance=1e9)
    largest = np.abs(lax.logits).max()
    assert largest > 1
    assert compare_probes(session, lax).allowed == pytest.approx(share * largest, rel=1e-4)


def test_answers_that_are_no_numbers_do_not_pass(spot_bundle: Callable[..., Path]) -> None:
    session = Session(open_bundle(spot_bundle((3e38, -3e38))))
    probes = dataclasses.replace(take_probes(session), tolerance=1e300)
    assert compare_probes(session, probes).passed
    plain = Head("avg", ((np.ones((1, 2), np.float32), np.zeros(2, np.float32)),))
    for weight in (float("nan"), float("inf")):
        odd = Session(open_bundle(spot_bundle((weight, 1.0), head=plain)))
        with pytest.raises(ModelError, match="gave logits that are no numbers"):
            compare_probes(odd, probes)
