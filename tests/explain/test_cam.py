"""The formulas, worked by hand, against the papers' equations in plain loops and against
automatic differentiation."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tumorlens.classifier import Classifier
from tumorlens.data.folder import CLASSES
from tumorlens.explain import cam
from tumorlens.explain.cam import METHODS, scale_map
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.train.batches import as_tensors

Array = NDArray[Any]

# Two channels on two by two cells; the second has a negative activation.
A = np.array([[[1, 0], [2, 1]], [[0, 3], [1, -1]]], np.float32)
G = np.array([[[4, 0], [0, -4]], [[0, 1], [0, -5]]], np.float32)


def test_grad_cam_worked_by_hand() -> None:
    # Mean gradients 1 and -2: 1 - 0, 2 - 2, 0 - 6, 1 + 2, and nothing below zero.
    np.testing.assert_array_equal(cam.grad_cam(A, G), [[1, 0], [0, 3]])


def test_grad_cam_plus_plus_worked_by_hand() -> None:
    # Channel 1: its sum is 4, its one positive gradient 4: 16 / (32 + 4 * 64) * 4 = 4 / 18.
    # Channel 2: its sum is 3, its one positive gradient 1: 1 / (2 + 3) * 1 = 1 / 5.
    first, second = 4 / 18, 1 / 5
    wanted = [[first, 2 * first + second], [3 * second, first - second]]
    np.testing.assert_allclose(cam.grad_cam_plus_plus(A, G), wanted, rtol=1e-6)


def test_hires_cam_worked_by_hand() -> None:
    np.testing.assert_array_equal(cam.hires_cam(A, G), [[4, 0], [3, 5]])


def test_layer_cam_worked_by_hand() -> None:
    # The gradient of -5 at the activation of -1 counts for nothing here.
    np.testing.assert_array_equal(cam.layer_cam(A, G), [[4, 0], [3, 0]])


def test_eigen_cam_worked_by_hand() -> None:
    # One direction, (3, 4) / 5, holds everything; its lengths are the map.
    lengths = np.array([[5, 10], [0, 15]])
    activations = (lengths[..., None] * np.array([0.6, 0.8])).astype(np.float32)
    np.testing.assert_allclose(cam.eigen_cam(activations), lengths, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(cam.eigen_cam(-activations), lengths, rtol=1e-5, atol=1e-5)


def test_score_cam_worked_by_hand() -> None:
    # softmax(log 3, 0) = 3/4, 1/4.
    wanted = [[0.75, 1.75], [0.75, 0.5]]
    found = cam.score_cam(A, np.log([3, 1]).astype(np.float32))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_channel_may_be_left_out_of_score_cam() -> None:
    found = cam.score_cam(A, np.array([7, -np.inf], np.float32))
    np.testing.assert_allclose(found, A[..., 0])
    nothing = cam.score_cam(A, np.array([-np.inf, -np.inf], np.float32))
    assert scale_map(nothing) == (pytest.approx(np.zeros((2, 2))), True)


def test_occlusion_worked_by_hand() -> None:
    hidden = np.array([[5, 7], [2, 5.5]], np.float32)
    np.testing.assert_array_equal(cam.occlusion(5.5, hidden), [[0.5, 0], [3.5, 0]])


def loops(a: Array, weight: Callable[[int, int, int], float]) -> Array:
    """Add up weighted activations place by place and cut the negative off."""
    result = np.zeros(a.shape[:2])
    for i, j in np.ndindex(*a.shape[:2]):
        result[i, j] = max(0.0, sum(weight(i, j, k) * a[i, j, k] for k in range(a.shape[2])))
    return result


def grad_cam_in_loops(a: Array, g: Array) -> Array:
    places = a.shape[0] * a.shape[1]
    alpha = [
        sum(g[i, j, k] for i, j in np.ndindex(*a.shape[:2])) / places for k in range(a.shape[2])
    ]
    return loops(a, lambda _i, _j, k: alpha[k])


def grad_cam_plus_plus_in_loops(a: Array, g: Array) -> Array:
    """With Y = exp(S), S chosen so that exp(S) is 1: dY, d2Y, d3Y are g, g**2, g**3."""
    weights = []
    for k in range(a.shape[2]):
        total = 0.0
        for i, j in np.ndindex(*a.shape[:2]):
            second, third = g[i, j, k] ** 2, g[i, j, k] ** 3
            below = 2 * second + sum(a[p, q, k] * third for p, q in np.ndindex(*a.shape[:2]))
            alpha = second / below if below != 0 else 0.0
            total += alpha * max(g[i, j, k], 0.0)
        weights.append(total)
    return loops(a, lambda _i, _j, k: weights[k])


def eigen_cam_by_svd(a: Array, _: Array) -> Array:
    flat = a.reshape(-1, a.shape[2])
    vectors = np.linalg.svd(flat, full_matrices=False)[2]
    projection = (flat @ vectors[0]).reshape(a.shape[:2])
    return np.maximum(projection if projection.sum() > 0 else -projection, 0)


IN_LOOPS = {
    "gradcam": grad_cam_in_loops,
    "gradcam++": grad_cam_plus_plus_in_loops,
    "hirescam": lambda a, g: loops(a, lambda i, j, k: g[i, j, k]),
    "layercam": lambda a, g: loops(a, lambda i, j, k: max(g[i, j, k], 0.0)),
    "eigencam": eigen_cam_by_svd,
}


def test_every_formula_of_gradients_is_checked() -> None:
    assert set(IN_LOOPS) == {name for name, method in METHODS.items() if method.formula}
    assert list(METHODS) == [*IN_LOOPS, "scorecam", "occlusion"]


@pytest.mark.parametrize("method", IN_LOOPS)
@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-4, 1.0, 30.0]),
)
def test_it_is_the_papers_equation(
    method: str, shape: tuple[int, int, int], seed: int, scale: float
) -> None:
    random = np.random.default_rng(seed)
    a = np.maximum(random.normal(size=shape), 0)  # behind a ReLU
    a[0, 0, 0] = 1.0  # one place speaks, or Eigen-CAM has no direction
    if method == "eigencam" and min(a.size // shape[2], shape[2]) > 1:
        values = np.linalg.svd(a.reshape(-1, shape[2]), compute_uv=False)
        assume(values[0] > 1.01 * values[1])  # else there is no first direction
    g = scale * random.normal(size=shape) * (random.random(shape) < 0.7)
    formula = METHODS[method].formula
    assert formula is not None
    found = formula(a.astype(np.float32), g.astype(np.float32))
    wanted = IN_LOOPS[method](a, g)
    assert found.shape == shape[:2]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=2e-5 * max(wanted.max(), 1e-9), rtol=1e-3)


@pytest.mark.parametrize("method", IN_LOOPS)
@settings(deadline=None)
@given(seed=st.integers(0, 1000), flip=st.booleans())
def test_a_flipped_layer_gives_a_flipped_map(method: str, seed: int, flip: bool) -> None:
    random = np.random.default_rng(seed)
    a, g = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    a = np.abs(a)
    formula = METHODS[method].formula
    assert formula is not None
    turn = np.s_[::-1] if flip else np.s_[:, ::-1]
    np.testing.assert_allclose(formula(a[turn], g[turn]), formula(a, g)[turn], atol=1e-5)


def test_small_gradients_do_not_vanish_in_grad_cam_plus_plus() -> None:
    """Their square would, in single precision."""
    small = np.full((2, 2, 1), 1e-30, np.float32)
    found, flat = scale_map(cam.grad_cam_plus_plus(np.ones((2, 2, 1), np.float32), small))
    assert not flat
    np.testing.assert_allclose(found, 1)


@pytest.mark.parametrize("method", IN_LOOPS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_give_a_flat_map(method: str, bad: float) -> None:
    activations = A.copy()
    activations[0, 1, 1] = bad
    formula = METHODS[method].formula
    assert formula is not None
    with np.errstate(invalid="ignore"):
        scaled, flat = scale_map(formula(activations, G))
    assert flat
    assert not scaled.any()


@pytest.mark.parametrize("method", IN_LOOPS)
def test_a_layer_of_zeros_gives_a_flat_map(method: str) -> None:
    formula = METHODS[method].formula
    assert formula is not None
    nothing = np.zeros((3, 4, 2), np.float32)
    assert scale_map(formula(nothing, nothing))[1]


@pytest.mark.parametrize("shapes", [((2, 2), (2, 2)), ((2, 2, 3), (2, 3, 2)), ((1, 2, 2, 3),) * 2])
@pytest.mark.parametrize(
    "formula", [cam.grad_cam, cam.grad_cam_plus_plus, cam.hires_cam, cam.layer_cam]
)
def test_wrong_shapes_are_refused(
    formula: Callable[[Array, Array], Array], shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    one, other = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match=r"must both have shape \(height, width, channels\), got"):
        formula(one, other)


def test_scores_must_be_one_a_channel() -> None:
    with pytest.raises(ValueError, match=r"`rises` must have shape \(2,\)"):
        cam.score_cam(A, np.zeros(3, np.float32))


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
    for path, method in itertools.product([paths[0] for paths in testing.values()], IN_LOOPS):
        picture = read_slices(path)[0]
        pixels = np.rint(prepare(picture, 64).pixels * 255).astype(np.uint8)
        tensor = as_tensors(pixels[None], "tiny")
        with tf.GradientTape() as tape:
            features, logits = both(tf.constant(tensor), training=False)
            score = logits[0, CLASSES.index(target)]  # before softmax
        gradient = tape.gradient(score, features).numpy()[0].astype(np.float64)
        features = features.numpy()[0]
        wanted = IN_LOOPS[method](features.astype(np.float64), gradient)
        # The Keras side saw the picture in 256 greys; this is all that may differ.
        one = np.eye(4, dtype=np.float32)[CLASSES.index(target)]
        formula = METHODS[method].formula
        assert formula is not None
        exact = formula(features, classifier.head.gradient(features, one))
        np.testing.assert_allclose(exact, wanted, atol=1e-4 * max(1, wanted.max()))
        if method == "gradcam":
            explained = classifier.explain(picture, target=target)
            np.testing.assert_allclose(explained.cells, wanted, atol=0.05 * max(1, wanted.max()))
