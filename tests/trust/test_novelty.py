"""The novelty score finds what lies off the plane of what is known."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from tumorlens.errors import ModelError
from tumorlens.trust.novelty import Novelty, fit_novelty, pool_features


def known(n: int, seed: int) -> np.ndarray:
    """Draw vectors of 40 numbers that lie close to a plane of 3 dimensions."""
    plane = np.random.default_rng(0).normal(size=(3, 40))
    random = np.random.default_rng(seed)
    flat = 3 + random.normal(size=(n, 3)) @ plane
    return (flat + random.normal(0, 0.05, (n, 40))).astype(np.float32)


def test_the_score_by_hand() -> None:
    novelty = Novelty(np.zeros(3, np.float32), np.array([[1, 0, 0]], np.float32))
    vectors = np.array([[5, 0, 0], [0, 2, 0], [3, 0, 4], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(novelty.score(vectors), [0, 1, 0.8, 0], atol=1e-6)


def test_strangers_score_higher_than_unseen_kin() -> None:
    groups = [f"P{i // 5}" for i in range(200)]
    novelty, held_out = fit_novelty(known(200, 1), groups)
    kin = novelty.score(known(200, 2))
    strangers = novelty.score(np.random.default_rng(3).normal(size=(200, 40)).astype(np.float32))
    assert strangers.min() > kin.max()
    # Slices that are judged by the others look like slices that were never there.
    assert np.quantile(held_out, 0.9) == pytest.approx(np.quantile(kin, 0.9), rel=0.3)
    assert len(novelty.axes) <= 4


def test_groups_stay_together_when_each_is_judged_by_the_others() -> None:
    vectors = known(60, 1)
    vectors[:20] = np.random.default_rng(9).normal(size=40)  # one odd patient, twenty alike
    groups = ["odd"] * 20 + [f"P{i}" for i in range(40)]
    _, together = fit_novelty(vectors, groups)
    _, apart = fit_novelty(vectors, [""] * 60)
    assert together[:20].min() > 5 * apart[:20].max()


def test_it_is_read_back_and_its_file_is_small() -> None:
    vectors = np.random.default_rng(0).normal(size=(80, 2048)).astype(np.float32)
    novelty, _ = fit_novelty(vectors, [""] * 80)
    content = novelty.to_bytes()
    assert novelty.axes.shape == (64, 2048)  # the most there are
    assert len(content) < 300_000
    again = Novelty.from_bytes(content, source="here")
    np.testing.assert_array_equal(again.score(vectors), novelty.score(vectors))


def test_what_does_not_fit_is_named() -> None:
    novelty = Novelty(np.zeros(3, np.float32), np.zeros((1, 3), np.float32))
    with pytest.raises(ModelError, match="for 3 features, the network has 5"):
        novelty.score(np.zeros((1, 5), np.float32))
    with pytest.raises(ModelError, match="do not fit"):
        Novelty(np.zeros(3, np.float32), np.zeros((1, 4), np.float32))
    with pytest.raises(ModelError, match=r"here holds \['x'\]"):
        Novelty.from_bytes(save({"x": np.zeros(3, np.float32)}), source="here")
    with pytest.raises(ValueError, match="at least two groups"):
        fit_novelty(known(9, 1), ["A"] * 9)


def test_features_are_averaged_over_their_cells() -> None:
    features = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    np.testing.assert_allclose(pool_features(features), features.mean((1, 2)))
