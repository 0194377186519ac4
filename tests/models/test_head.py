"""The head in NumPy: its logits, and its gradient against differences."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorlens.classifier import Classifier
from tumorlens.errors import ModelError
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.models.head import Head

Array = NDArray[np.float32]
Layers = tuple[tuple[Array, Array], ...]


def layers(*sizes: int, seed: int = 0) -> Layers:
    """Random dense layers from `sizes[0]` channels to `sizes[-1]` classes."""
    random = np.random.default_rng(seed)
    return tuple(
        (
            random.normal(size=(a, b)).astype(np.float32),
            random.normal(size=b).astype(np.float32),
        )
        for a, b in itertools.pairwise(sizes)
    )


def differences(head: Head, features: Array, weights: Array, step: float = 1e-2) -> Array:
    """The gradient by trying: exact up to rounding, for the head is piecewise linear."""
    result = np.zeros_like(features)
    for where in np.ndindex(features.shape):
        up, down = features.copy(), features.copy()
        up[where] += step
        down[where] -= step
        result[where] = (head.logits(up) - head.logits(down)) @ weights / (2 * step)
    return result


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("sizes", [(5, 4), (5, 7, 4), (5, 6, 3, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_the_logits(
    pooling: str, sizes: tuple[int, ...], seed: int
) -> None:
    random = np.random.default_rng((9, seed))
    # A grid of values: nothing lies so close together that a step would change its order.
    steps = random.permutation(3 * 4 * 5).reshape(3, 4, 5)
    features = (steps / 10 - 2).astype(np.float32)
    head = Head(pooling, layers(*sizes, seed=seed))
    for weights in (np.eye(4, dtype=np.float32)[seed], np.array([1, -1, 0, 0], np.float32)):
        found = head.gradient(features, weights)
        assert found.shape == features.shape
        assert found.any() or len(sizes) == 4  # every unit of two hidden layers may be off
        np.testing.assert_allclose(found, differences(head, features, weights), atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_pooled_evidence_has_the_gradient_of_its_logits(seed: int) -> None:
    random = np.random.default_rng((10, seed))
    features = random.normal(size=(3, 4, 5)).astype(np.float32)
    head = Head("lse", layers(5, 4, seed=seed))
    for weights in (np.eye(4, dtype=np.float32)[seed], np.array([1, -1, 0, 0], np.float32)):
        found = head.gradient(features, weights)
        np.testing.assert_allclose(found, differences(head, features, weights), atol=2e-3)


def test_grad_cam_of_pooled_evidence_is_the_evidence() -> None:
    features = np.random.default_rng(3).normal(size=(3, 4, 5)).astype(np.float32)
    kernel, _ = layers(5, 4)[0]
    head = Head("lse", ((kernel, np.zeros(4, np.float32)),))
    evidence = features @ kernel
    for c in range(4):
        gradient = head.gradient(features, np.eye(4, dtype=np.float32)[c])
        cam = features @ gradient.mean(axis=(0, 1))
        np.testing.assert_allclose(cam * 12, evidence[..., c], rtol=1e-4, atol=1e-5)


def test_a_logit_of_pooled_evidence_lies_between_its_mean_and_its_maximum() -> None:
    evidence = np.zeros((2, 2, 1), np.float32)
    evidence[0, 0] = 8.0
    head = Head("lse", ((np.ones((1, 1), np.float32), np.zeros(1, np.float32)),))
    expected = np.log((np.exp(8.0) + 3) / 4)
    np.testing.assert_allclose(head.logits(evidence), [expected], rtol=1e-6)
    assert evidence.mean() < expected < evidence.max()
    huge = np.full((2, 2, 1), 500.0, np.float32)  # the exponential alone would overflow
    np.testing.assert_allclose(head.logits(huge), [500.0])


def test_pooled_evidence_has_one_layer() -> None:
    with pytest.raises(ModelError, match="has one layer, not 2"):
        Head("lse", layers(5, 6, 4))


def test_two_places_that_share_the_maximum_share_its_gradient() -> None:
    head = Head("max", layers(2, 6, 3))
    features = np.zeros((2, 3, 2), np.float32)
    features[0, 1, 0] = features[1, 2, 0] = 1.5  # a tie in the first channel
    features[1, 0, 1] = 2.0
    weights = np.array([0, 1, 0], np.float32)
    found = head.gradient(features, weights)
    assert found[0, 1, 0] == found[1, 2, 0] != 0
    assert np.count_nonzero(found[..., 0]) == 2
    assert np.count_nonzero(found[..., 1]) == 1
    np.testing.assert_allclose(found, differences(head, features, weights), atol=2e-3)


def test_a_flat_map_shares_the_gradient_between_all_places() -> None:
    kernel = np.array([[2.0], [-3.0]], np.float32)
    head = Head("max", ((kernel, np.zeros(1, np.float32)),))
    found = head.gradient(np.zeros((2, 2, 2), np.float32), np.ones(1, np.float32))
    np.testing.assert_array_equal(found, np.broadcast_to([0.5, -0.75], (2, 2, 2)))


def test_a_unit_that_is_off_passes_nothing_on() -> None:
    hidden = (np.array([[1.0, 1.0]], np.float32), np.array([0.0, -9.0], np.float32))
    last = (np.array([[2.0], [100.0]], np.float32), np.zeros(1, np.float32))
    head = Head("avg", (hidden, last))
    features = np.full((2, 2, 1), 3.0, np.float32)
    np.testing.assert_allclose(head.logits(features), [6.0])
    np.testing.assert_allclose(head.gradient(features, np.ones(1, np.float32)), 0.5)


def test_logits_worked_by_hand() -> None:
    kernel = np.array([[1.0, 0.0], [0.0, 10.0]], np.float32)
    bias = np.array([0.5, -1.0], np.float32)
    features = np.array([[[1, 2], [3, 4]]], np.float32)
    np.testing.assert_allclose(Head("avg", ((kernel, bias),)).logits(features), [2.5, 29.0])
    np.testing.assert_allclose(Head("max", ((kernel, bias),)).logits(features), [3.5, 39.0])


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_a_head_travels_as_text_without_loss(pooling: str) -> None:
    head = Head(pooling, layers(5, 7, 4))
    again = Head.from_text(head.to_text())
    assert again.pooling == pooling
    for (kernel, bias), (kernel_again, bias_again) in zip(head.layers, again.layers, strict=True):
        assert kernel_again.dtype == bias_again.dtype == np.float32
        np.testing.assert_array_equal(kernel, kernel_again)
        np.testing.assert_array_equal(bias, bias_again)


def test_the_head_in_a_bundle_gives_the_networks_own_logits(
    classifier: Classifier, testing: dict[str, list]
) -> None:
    for paths in testing.values():
        picture = read_slices(paths[0])[0]
        answers, features = classifier.features([picture], [prepare(picture, 64)])
        np.testing.assert_allclose(
            classifier.head.logits(features[0]), answers[0].logits, rtol=1e-4, atol=1e-4
        )


GOOD = json.loads(Head("avg", layers(2, 3)).to_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**GOOD, "pooling": "sum"}),
        json.dumps({**GOOD, "layers": []}),
        json.dumps({**GOOD, "layers": [{"kernel": 5, "bias": 5}]}),
        json.dumps({**GOOD, "layers": [{**GOOD["layers"][0], "bias": {"shape": [3]}}]}),
        json.dumps(
            {**GOOD, "layers": [{"kernel": GOOD["layers"][0]["bias"], "bias": {"shape": 3}}]}
        ),
        Head("avg", layers(2, 3)).to_text().replace("[2, 3]", "[2, 4]"),
        Head("avg", layers(2, 3)).to_text().replace('"float32": "', '"float32": "!'),
    ],
)
def test_a_damaged_head_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="head"):
        Head.from_text(text)


def test_what_does_not_fit_is_refused() -> None:
    kernel, bias = layers(2, 3)[0]
    with pytest.raises(ModelError, match="pooling must be avg, max or lse, got 'sum'"):
        Head("sum", ((kernel, bias),))
    with pytest.raises(ModelError, match="no layers"):
        Head("avg", ())
    with pytest.raises(ModelError, match="does not fit"):
        Head("avg", ((kernel, bias[:2]),))
    with pytest.raises(ModelError, match=r"layer \(2, 3\) does not follow \(2, 3\)"):
        Head("avg", ((kernel, bias), (kernel, bias)))
    with pytest.raises(ModelError, match="not finite"):
        Head("avg", ((kernel * np.float32(np.nan), bias),))


@pytest.mark.parametrize("pooling", ["avg", "max", "lse"])
@pytest.mark.parametrize("shape", [(4, 4, 5), (0, 4, 2), (4, 2)])
def test_features_of_other_channels_are_refused(pooling: str, shape: tuple[int, ...]) -> None:
    head, features = Head(pooling, layers(2, 3)), np.ones(shape, np.float32)
    with pytest.raises(ModelError, match="the head takes 2 channels"):
        head.logits(features)
    with pytest.raises(ModelError, match="the head takes 2 channels"):
        head.gradient(features, np.ones(3, np.float32))


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"pooling": ' + "[" * 200 + "]" * 200 + "}", "[1e999]"]
)
def test_a_head_that_no_program_can_read_is_damaged(text: str) -> None:
    with pytest.raises(ModelError, match="head in the model file is damaged"):
        Head.from_text(text)
