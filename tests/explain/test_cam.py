"""The formulas, worked by hand and against automatic differentiation."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorlens.classify import Classifier
from tumorlens.data.folder import CLASSES
from tumorlens.explain.cam import METHODS, grad_cam, scale_map
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.train.batches import as_tensors


def test_grad_cam_worked_by_hand() -> None:
    activations = np.array([[[1, 0], [2, 1]], [[0, 3], [1, 1]]], np.float32)
    gradients = np.array([[[4, 0], [0, -4]], [[0, 0], [0, -4]]], np.float32)
    # Mean gradients 1 and -2: 1 - 0, 2 - 2, 0 - 6, 1 - 2, and nothing below zero.
    np.testing.assert_array_equal(grad_cam(activations, gradients), [[1, 0], [0, 0]])
    assert grad_cam(activations, gradients).dtype == np.float32


@pytest.mark.parametrize("shapes", [((2, 2), (2, 2)), ((2, 2, 3), (2, 3, 2)), ((1, 2, 2, 3),) * 2])
def test_wrong_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    one, other = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match=r"must both have shape \(height, width, channels\), got"):
        grad_cam(one, other)


def test_scaling_puts_the_peak_at_one() -> None:
    scaled, flat = scale_map(np.array([[0.0, 2.0], [5.0, 1.0]], np.float32))
    np.testing.assert_allclose(scaled, [[0, 0.4], [1, 0.2]])
    assert not flat
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e-40])
def test_a_map_without_evidence_is_flat_and_zero(value: float) -> None:
    scaled, flat = scale_map(np.full((3, 2), value, np.float32))
    assert flat
    np.testing.assert_array_equal(scaled, np.zeros((3, 2)))


def test_one_number_that_is_not_finite_spoils_the_map() -> None:
    raw = np.ones((3, 3), np.float32)
    raw[1, 1] = np.nan
    scaled, flat = scale_map(raw)
    assert flat
    assert not scaled.any()


@pytest.mark.parametrize("target", CLASSES)
def test_grad_cam_is_that_of_automatic_differentiation(
    target: str, classifier: Classifier, tiny_model: Any, keras: Any, testing: dict[str, list[Path]]
) -> None:
    if keras.config.backend() != "tensorflow":
        pytest.skip("the gradient is taken with TensorFlow")
    tf = importlib.import_module("tensorflow")
    both = keras.Model(tiny_model.input, [tiny_model.get_layer("relu_4").output, tiny_model.output])
    for paths in testing.values():
        picture = read_slices(paths[0])[0]
        explained = classifier.explain(picture, target=target)
        pixels = np.rint(prepare(picture, 64).pixels * 255).astype(np.uint8)
        tensor = as_tensors(pixels[None], "tiny")
        with tf.GradientTape() as tape:
            features, logits = both(tf.constant(tensor), training=False)
            score = logits[0, CLASSES.index(target)]  # before softmax
        gradient = tape.gradient(score, features).numpy()[0]
        features = features.numpy()[0]
        wanted = np.maximum((features * gradient.mean(axis=(0, 1))).sum(axis=-1), 0)
        # The Keras side saw the picture in 256 greys; this is all that may differ.
        exact = METHODS["gradcam"](
            features,
            classifier.head.gradient(features, np.eye(4, dtype=np.float32)[CLASSES.index(target)]),
        )
        np.testing.assert_allclose(exact, wanted, atol=1e-4 * max(1, wanted.max()))
        np.testing.assert_allclose(explained.cells, wanted, atol=0.05 * max(1, wanted.max()))
