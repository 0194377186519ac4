"""The temperature undoes a network that is too sure, or not sure enough."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.trust.prediction_set import softmax
from tumorlens.trust.temperature import fit_temperature


def draw(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits whose softmax is the truth, and labels from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, 4)).astype(np.float32)
    rows = softmax(logits, 1.0)
    labels = (rows.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return logits, np.minimum(labels, 3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_it_finds_by_how_much_logits_were_scaled(scale: float) -> None:
    logits, labels = draw(20_000)
    found = fit_temperature(logits * np.float32(scale), labels, np.full(20_000, 1 / 20_000))
    assert found == pytest.approx(scale, rel=0.05)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    logits, labels = draw(300, seed=1)
    weights = np.random.default_rng(2).random(300)

    def loss(temperature: float) -> float:
        return float(-weights @ np.log(softmax(logits, temperature)[np.arange(300), labels]))

    found = fit_temperature(logits, labels, weights)
    assert loss(found) <= min(loss(t) for t in np.geomspace(0.05, 20, 400)) + 1e-6


def test_slices_that_do_not_count_do_not_matter() -> None:
    logits, labels = draw(4000)
    both = np.concatenate([logits, 9 * logits])
    weights = np.repeat([1.0, 0.0], 4000)
    assert fit_temperature(both, np.tile(labels, 2), weights) == pytest.approx(
        fit_temperature(logits, labels, np.ones(4000)), rel=1e-3
    )


def test_a_network_that_is_always_right_gets_a_finite_temperature() -> None:
    logits = np.array([[9.0, 0, 0, 0], [0, 9.0, 0, 0]], np.float32)
    assert 0.04 < fit_temperature(logits, np.array([0, 1]), np.full(2, 0.5)) < 0.5
