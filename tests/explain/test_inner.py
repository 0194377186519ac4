"""Inner layers: the same as the closed form, in the right place, or a plain refusal."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from float_bundles import look_at_brightness, write_float_bundle
from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import MissingExtraError, ModelError
from tumorlens.explain.cam import METHODS
from tumorlens.explain.explainer import Question, explain_layers
from tumorlens.explain.place import place_map
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.models.card import FeatureLayer
from tumorlens.networks.network import NETWORKS, Network, build_network

FORMULAS = [name for name, method in METHODS.items() if method.formula]


@pytest.fixture(scope="module")
def pair(
    tiny_model: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Classifier]]:
    """A classifier for each kind of head, whose two engines have the same numbers.

    The second has the head of Xception: the maximum, and a hidden layer. The third pools
    evidence.
    """
    NETWORKS["tiny-max"] = Network("Tiny", "max", (24,), (0.0, 0.0), "relu_4", (0.0, 1.0), 64)
    folder = tmp_path_factory.mktemp("floats")
    maximum = build_network("tiny-max")
    random = np.random.default_rng(1)
    for layer in maximum.layers:
        layer.set_weights([random.normal(0.05, 0.4, w.shape) ** 2 for w in layer.get_weights()])
    last = maximum.get_layer("logits")
    last.set_weights([random.normal(size=w.shape) for w in last.get_weights()])
    evidence = build_network("tiny-fpn")
    for layer in evidence.layers:
        layer.set_weights([random.normal(0.05, 0.4, w.shape) ** 2 for w in layer.get_weights()])
    last = evidence.get_layer("evidence")
    last.set_weights([random.normal(size=w.shape) for w in last.get_weights()])
    yield {
        "avg": load(write_float_bundle(tiny_model, "tiny", folder / "avg"), threads=1),
        "max": load(write_float_bundle(maximum, "tiny-max", folder / "max"), threads=1),
        "lse": load(write_float_bundle(evidence, "tiny-fpn", folder / "lse"), threads=1),
    }
    del NETWORKS["tiny-max"]


@pytest.mark.parametrize("head", ["avg", "max", "lse"])
@pytest.mark.parametrize("versus", [None, "notumor"])
def test_both_engines_give_the_same_last_layer_map(
    pair: dict[str, Classifier], head: str, versus: str | None
) -> None:
    classifier = pair[head]
    assert classifier.head.pooling == head
    lit = 0
    for label in CLASSES[:2]:
        for method in FORMULAS:
            picture = read_slices(draw_phantom(label, 100_003).pixels)[0]
            closed = classifier.explain(picture, method=method, target=label, versus=versus)
            question = Question(method, target=label, versus=versus)
            name = classifier.layers[-1]
            (keras,) = explain_layers(classifier, picture, question, [name])
            assert (closed.engine, closed.float_label) == ("onnxruntime", None)
            assert keras.engine.startswith("keras-")
            assert (keras.layer, keras.float_label) == (name, closed.prediction.label)
            np.testing.assert_allclose(keras.map, closed.map, atol=1e-4)
            scale = max(1, closed.cells.max())
            np.testing.assert_allclose(keras.cells, closed.cells, atol=1e-4 * scale)
            lit += not closed.flat
    assert lit >= 6


def test_a_layer_is_asked_for_by_name(pair: dict[str, Classifier]) -> None:
    classifier = pair["avg"]
    assert classifier.layers == ("relu_1", "relu_2", "relu_3", "relu_4")
    picture = draw_phantom("meningioma", 100_004).pixels
    for i, name in enumerate(classifier.layers):
        explained = classifier.explain(picture, layer=name, method="layercam")
        assert explained.layer == explained.manifest()["layer"] == name
        assert explained.cells.shape == (32 >> i, 32 >> i)
        assert explained.map.shape == picture.shape
        assert explained.map.max() == 1
        inner = name != "relu_4"
        assert explained.engine.startswith("keras-" if inner else "onnxruntime")
        assert ("keras" in explained.manifest()["versions"]) is inner


def test_all_layers_in_one_pass_are_those_asked_for_one_by_one(
    pair: dict[str, Classifier],
) -> None:
    classifier = pair["avg"]
    picture = read_slices(draw_phantom("glioma", 100_005).pixels)[0]
    together = explain_layers(classifier, picture, Question("gradcam++"))
    assert tuple(one.layer for one in together) == classifier.layers
    for one in together[:-1]:
        alone = classifier.explain(picture, method="gradcam++", layer=one.layer)
        np.testing.assert_allclose(alone.map, one.map, atol=1e-5)


@pytest.mark.parametrize("layer", ["relu_1", "relu_2"])
def test_the_gradient_is_that_of_differences(pair: dict[str, Classifier], layer: str) -> None:
    """Against Keras run forward only, from the layer's own output on."""
    classifier = pair["avg"]
    network = classifier.float_network
    pixels = prepare(read_slices(draw_phantom("glioma", 3).pixels)[0], 64).pixels[None]
    weights = np.array([[1, -1, 0, 0]], np.float32)
    (look,) = network.look(pixels, [layer], weights)
    model = build_network("tiny")
    model.set_weights(network._model.get_weights())
    names = [one.name for one in model.layers]
    later = model.layers[names.index(layer) + 1 :]

    def score(x: Any) -> float:
        for one in later:
            x = one(x, training=False)
        return float((np.asarray(x) * weights).sum())

    # Uphill at every cell: no large parts cancel, and few units change sides on so short a way.
    length = np.random.default_rng(0).random(look.activations.shape, np.float32)
    direction = length * np.sign(look.gradients)
    step = 3e-4
    slope = (
        score(look.activations + step * direction) - score(look.activations - step * direction)
    ) / (2 * step)
    assert slope == pytest.approx(float((look.gradients * direction).sum()), rel=0.01)


def centre_of(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    y, x = np.indices(heat.shape)
    return np.array([(heat * y).sum(), (heat * x).sum()], np.float64) / heat.sum()


@pytest.mark.parametrize("layer", ["relu_1", "relu_2", "relu_3", "relu_4"])
def test_a_planted_spot_is_explained_where_it_is(layer: str, tmp_path: Path) -> None:
    """From the file's pixels through preparation and network and back, at every depth."""
    model = build_network("tiny")
    look_at_brightness(model)
    classifier = load(write_float_bundle(model, "tiny", tmp_path / "spot"), threads=1)
    off, naively_off = [], []
    y, x = np.mgrid[:220, :240]
    head = np.where(np.hypot((x - 110) / 70, (y - 105) / 80) < 1, 60, 0)
    for spot in [(88, 130), (150, 120), (104, 91), (121, 149), (95, 111), (133, 101)]:
        distance = np.hypot(y - spot[0], x - spot[1])
        pixels = np.where(distance < 9, 255, head).astype(np.uint8)
        explained = classifier.explain(pixels, layer=layer, target="glioma")
        assert not explained.flat
        prepared = prepare(explained.picture, 64)
        stride = 64 / len(explained.cells)
        cell = stride / 64 * (prepared.box[2] - prepared.box[0])  # in pixels of the slice
        off.append((centre_of(explained.map) - spot) / cell)
        naive = FeatureLayer(layer, stride, (stride - 1) / 2, "NHWC")
        stretched = place_map(explained.cells, naive, prepared, 220, 240)
        naively_off.append((centre_of(stretched) - spot) / cell)
        peak = np.unravel_index(explained.map.argmax(), explained.map.shape)
        assert np.hypot(*(np.array(peak) - spot)) < max(9, 0.75 * cell)
    assert np.abs(np.mean(off, axis=0)).max() < 0.12
    assert np.abs(np.mean(naively_off, axis=0)).min() > 0.2  # what the true geometry is for


def test_the_same_picture_gives_the_same_bytes(pair: dict[str, Classifier], tmp_path: Path) -> None:
    picture = draw_phantom("glioma", 100_001).pixels
    records = []
    for name in ("one", "two"):
        folder = pair["avg"].explain(picture, layer="relu_2").save(tmp_path / name)
        records.append({p.name: p.read_bytes() for p in folder.iterdir()})
    assert records[0] == records[1]


def test_another_answer_of_the_float_network_is_told(pair: dict[str, Classifier]) -> None:
    explained = pair["avg"].explain(draw_phantom("glioma", 100_001).pixels, layer="relu_2")
    object.__setattr__(explained, "float_label", "pituitary")
    assert "its float network says pituitary" in explained.describe()
    assert explained.manifest()["float_label"] == "pituitary"


def test_score_cam_knows_inner_layers_too(pair: dict[str, Classifier]) -> None:
    explained = pair["avg"].explain(
        draw_phantom("pituitary", 100_001).pixels, method="scorecam", layer="relu_2"
    )
    assert explained.cells.shape == (16, 16)
    assert not explained.flat


def test_without_the_extra_it_is_named(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = load(tiny_bundle, threads=1)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    pixels = draw_phantom("glioma", 1).pixels
    assert classifier.layers == ("relu_1", "relu_2", "relu_3", "relu_4")  # named all the same
    with pytest.raises(MissingExtraError, match=r"explaining an inner layer .*tumorlens\[train\]"):
        classifier.explain(pixels, layer="relu_2")
    assert classifier.explain(pixels, layer="relu_4").layer == "relu_4"


def test_without_float_weights_there_is_only_the_last_layer(
    tiny_bundle: Path, tmp_path: Path, change_card: Callable[..., None]
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (bundle / "weights.safetensors").unlink()
    classifier = load(bundle, threads=1)
    assert classifier.layers == ("relu_4",)
    with pytest.raises(ValueError, match="no layer 'relu_2' to explain; there are relu_4"):
        classifier.explain(draw_phantom("glioma", 1).pixels, layer="relu_2")
    with pytest.raises(ModelError, match="cannot read"):
        _ = classifier.float_network
    files = json.loads((bundle / "model.json").read_text())["files"]
    del files["weights.safetensors"]
    change_card(bundle, files=files, layers=())
    with pytest.raises(ModelError, match="has no float weights"):
        _ = load(bundle).float_network


def test_weights_that_are_not_those_of_the_card_are_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    path = bundle / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="not the file its card describes"):
        load(bundle).explain(draw_phantom("glioma", 1).pixels, layer="relu_1")
