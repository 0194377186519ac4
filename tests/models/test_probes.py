"""Probes: drawn the same everywhere, and sensitive to what a network has learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tumorlens.models.probes import DRAWING, draw_probes, largest_change, take_probes
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
        assert largest_change(Session(opened, threads=threads), probes) < probes.tolerance / 10


@pytest.mark.parametrize("name", bundled_models())
def test_whatever_ships_answers_as_it_did(name: str) -> None:
    opened = open_bundle(name)
    assert opened.card.probes is not None
    assert largest_change(Session(opened), opened.card.probes) <= opened.card.probes.tolerance


def test_another_network_does_not_pass(spot_bundle: Callable[..., Path]) -> None:
    one, other = (Session(open_bundle(spot_bundle(w))) for w in ((9.0, -9.0), (9.0, -8.5)))
    probes = take_probes(one)
    assert largest_change(one, probes) < 1e-5
    assert largest_change(other, probes) > probes.tolerance
    assert probes.tolerance == pytest.approx(1e-3 * np.abs(probes.logits).max(), rel=0.01)


def test_int8_is_allowed_more(spot_bundle: Callable[..., Path]) -> None:
    bundle = open_bundle(spot_bundle())
    float_one, int8_one = (
        take_probes(Session(dataclasses.replace(bundle, card=card)))
        for card in (bundle.card, dataclasses.replace(bundle.card, precision="int8"))
    )
    assert int8_one.logits == float_one.logits
    assert int8_one.tolerance == 100 * float_one.tolerance
