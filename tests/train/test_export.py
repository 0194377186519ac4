"""Bundles: the trained network, unchanged, with a card that tells the truth."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tumorlens.classifier import Classifier, load
from tumorlens.data.download import DATASET
from tumorlens.data.folder import CLASSES, find_examples
from tumorlens.data.published import Published
from tumorlens.errors import ModelError, OutputError, RunError
from tumorlens.models.card import Card
from tumorlens.models.head import HEAD_KEY, Head
from tumorlens.models.onnx_check import CLASSES_KEY
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.networks.geometry import cell_grid
from tumorlens.networks.network import build_network
from tumorlens.networks.weights import load_weights, read_weights
from tumorlens.publish.hub_card import hub_card
from tumorlens.train import export
from tumorlens.train.batches import as_tensors
from tumorlens.train.export import export_run, keras_head
from tumorlens.train.pictures import Pictures, load_pictures
from tumorlens.train.recipe import Recipe


@pytest.fixture(scope="module")
def pictures(phantom_data: Path) -> Pictures:
    return load_pictures(find_examples(phantom_data / "Testing"), 64)


@pytest.fixture(scope="module")
def keras_logits(tiny_model: Any, pictures: Pictures) -> np.ndarray:
    return np.asarray(tiny_model.predict(as_tensors(pictures.pixels, "tiny"), verbose=0))


def onnx_logits(bundle: Path, pictures: Pictures) -> np.ndarray:
    return Session(open_bundle(bundle)).logits(pictures.pixels.astype(np.float32) / 255)


def test_the_float_bundle_is_the_keras_network(
    tiny_bundle: Path, pictures: Pictures, keras_logits: np.ndarray
) -> None:
    np.testing.assert_allclose(onnx_logits(tiny_bundle, pictures), keras_logits, atol=1e-4)


def test_int8_agrees_on_nearly_all_pictures(
    tiny_bundle_int8: Path, pictures: Pictures, keras_logits: np.ndarray
) -> None:
    found = onnx_logits(tiny_bundle_int8, pictures)
    assert (found.argmax(axis=1) == keras_logits.argmax(axis=1)).mean() > 0.9
    assert np.abs(found - keras_logits).max() > 1e-3  # it was quantised
    kinds = {node.op_type for node in onnx.load(tiny_bundle_int8 / "model.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


@pytest.mark.parametrize("which", ["tiny_bundle", "tiny_bundle_int8"])
def test_a_bundle_has_the_outputs_and_the_head(which: str, request: Any, tiny_model: Any) -> None:
    bundle = request.getfixturevalue(which)
    graph = onnx.load(bundle / "model.onnx")
    assert {output.name for output in graph.graph.output} == {"logits", "features"}
    assert len(graph.graph.input) == 1
    (classes,) = [entry.value for entry in graph.metadata_props if entry.key == CLASSES_KEY]
    assert json.loads(classes) == list(CLASSES)
    (text,) = [entry.value for entry in graph.metadata_props if entry.key == HEAD_KEY]
    kernel, bias = Head.from_text(text).layers[0]
    np.testing.assert_array_equal(kernel, np.asarray(tiny_model.get_layer("logits").kernel))
    # What int8 moves all logits of a class by is taken off in the head.
    nearly = 0.5 if "int8" in which else 0.0
    np.testing.assert_allclose(bias, tiny_model.get_layer("logits").bias, rtol=0, atol=nearly)
    assert np.array_equal(bias, tiny_model.get_layer("logits").bias) == (nearly == 0)


def test_int8_is_off_to_no_side(
    tiny_bundle_int8: Path, pictures: Pictures, keras_logits: np.ndarray
) -> None:
    session = Session(open_bundle(tiny_bundle_int8))
    logits, features = session.logits_and_features(pictures.pixels.astype(np.float32) / 255)
    rounding = logits - keras_logits
    assert (np.abs(rounding.mean(axis=0)) < 0.5 * np.abs(rounding).mean(axis=0)).all()
    head = [session.head().logits(one) for one in features]
    np.testing.assert_allclose(head, logits, atol=1e-4)
    graph = onnx.load(tiny_bundle_int8 / "model.onnx").graph
    made_by = {name: node for node in graph.node for name in node.output}
    weighed = [made_by.get(n.input[1]) for n in graph.node if n.op_type == "Conv"]
    assert weighed[0] is None  # the first ones stay in float
    assert weighed[-1] is not None
    assert weighed[-1].op_type == "DequantizeLinear"


@pytest.mark.parametrize("which", ["tiny_bundle", "tiny_bundle_int8"])
def test_the_card_tells_the_truth(
    which: str, request: Any, tiny_model: Any, tiny_recipe: Recipe, pictures: Pictures
) -> None:
    bundle = request.getfixturevalue(which)
    card = Card.from_json((bundle / "model.json").read_bytes(), source="it")
    assert card.id == {"tiny_bundle": "tiny-float@1", "tiny_bundle_int8": "tiny-int8@1"}[which]
    assert card.precision == ("int8" if "int8" in which else "float32")
    assert (card.network, card.classes) == ("tiny", CLASSES)
    assert (card.input.size, card.input.channels, card.input.layout) == (64, 3, "NHWC")
    assert card.input.value_range == (-1.0, 1.0)
    grid = cell_grid(tiny_model, "relu_4")
    assert (card.features.name, card.features.stride) == ("relu_4", 16)
    assert card.features.offset == grid.start
    files = {p.name: p.read_bytes() for p in bundle.iterdir() if p.name != "model.json"}
    assert card.files == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }
    assert set(files) == {"model.onnx", "weights.safetensors"}
    assert card.training["epoch"] == 20
    assert Recipe.from_dict(card.training["recipe"]) == tiny_recipe
    assert str(bundle.parent.parent) not in (bundle / "model.json").read_text()  # nobody's disk
    guesses = onnx_logits(bundle, pictures).argmax(axis=1)
    right = guesses == pictures.labels
    assert card.metrics["n"] == 48
    assert card.metrics["accuracy"] == pytest.approx(right.mean())
    assert card.metrics["data_sha256"] == pictures.sha256
    confusion = np.array(card.metrics["confusion_matrix"])
    assert confusion.sum(axis=1).tolist() == [12] * 4
    assert np.trace(confusion) == right.sum()
    for i, name in enumerate(CLASSES):
        assert confusion[i, i] == (right & (pictures.labels == i)).sum()
        assert card.metrics["recall"][name] == pytest.approx(confusion[i, i] / 12)


def test_the_float_weights_beside_rebuild_the_network(
    tiny_bundle_int8: Path, pictures: Pictures, keras_logits: np.ndarray
) -> None:
    model = build_network("tiny", size=64)
    load_weights(model, read_weights(tiny_bundle_int8 / "weights.safetensors"))
    found = np.asarray(model.predict(as_tensors(pictures.pixels, "tiny"), verbose=0))
    np.testing.assert_allclose(found, keras_logits, atol=0.02 * np.abs(keras_logits).max())
    assert (found.argmax(axis=1) == keras_logits.argmax(axis=1)).mean() > 0.95


def test_a_bundle_answers_from_files(tiny_bundle_int8: Path, testing: dict[str, list]) -> None:
    classifier = load(tiny_bundle_int8)
    right = [classifier.classify(path) == label for label in testing for path in testing[label]]
    assert np.mean(right) > 0.9


def test_int8_explains_where_float_does(
    tiny_bundle_int8: Path, classifier: Classifier, testing: dict[str, list]
) -> None:
    small = load(tiny_bundle_int8)
    alike = []
    for paths in testing.values():
        for path in paths[:3]:
            maps = [c.explain(path, target="pituitary") for c in (small, classifier)]
            if not any(found.flat for found in maps):  # faint evidence may be rounded away
                alike.append(np.corrcoef(maps[0].map.ravel(), maps[1].map.ravel())[0, 1])
    assert len(alike) >= 4
    assert min(alike) > 0.9


def test_an_unfinished_run_says_which_epoch_it_is(
    tiny_run: Path, phantom_data: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    lines = (run / "log.csv").read_text().splitlines(keepends=True)
    (run / "log.csv").write_text("".join(lines[:4]))  # three of twenty epochs
    last = export_run(run, tmp_path / "last", precision="float32", weights=False)
    second = export_run(
        run, tmp_path / "second", precision="float32", epoch=2, data=phantom_data, version="9"
    )
    cards = [json.loads((bundle / "model.json").read_text()) for bundle in (last, second)]
    assert [card["training"]["epoch"] for card in cards] == [3, 2]
    assert [card["version"] for card in cards] == ["1", "9"]
    assert set(cards[0]["files"]) == {"model.onnx"}
    hashes = {card["files"]["model.onnx"]["sha256"] for card in cards}
    assert len(hashes) == 2


def test_the_card_names_the_data_set_when_its_files_are_known(
    tiny_run: Path, phantom_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = export_run(tiny_run, tmp_path / "bare", precision="float32", weights=False)
    assert "datasets" not in open_bundle(bare).card.training
    file = max((phantom_data / "Training" / "notumor").iterdir())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = Published(digest, "notumor", "C1", 1)
    monkeypatch.setattr(export, "published", lambda: {digest: entry})
    known = export_run(tiny_run, tmp_path / "known", precision="float32", weights=False)
    assert open_bundle(known).card.training["datasets"] == [DATASET]
    assert f"datasets:\n- {DATASET}\n" in hub_card(open_bundle(known).card, "lab/tiny")


def test_without_test_pictures_there_are_no_scores(
    tiny_run: Path, phantom_data: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(phantom_data / "Training", data / "Training")
    bundle = export_run(tiny_run, tmp_path / "out", precision="float32", data=data)
    assert open_bundle(bundle).card.metrics == {}


def test_nothing_is_left_of_an_export_that_failed(
    tiny_run: Path, phantom_data: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(phantom_data, tmp_path / "data")
    shutil.rmtree(data / "Training" / "glioma")
    with pytest.raises(Exception, match="holds no pictures of glioma to train on"):
        export_run(tiny_run, tmp_path / "out", precision="float32", data=data)
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_what_cannot_be_exported_is_refused(
    tiny_run: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="`precision` must be int8 or float32, got 'int4'"):
        export_run(tiny_run, tmp_path / "out", precision="int4")
    with pytest.raises(RunError, match="there is no epoch 99"):
        export_run(tiny_run, tmp_path / "out", epoch=99)
    with pytest.raises(RunError, match="is no run folder"):
        export_run(tmp_path, tmp_path / "out")
    with pytest.raises(OutputError, match="exists and is not empty"):
        export_run(tiny_run, tiny_bundle, precision="float32")
    assert open_bundle(tiny_bundle).card.name == "tiny-float"
    assert list(tmp_path.iterdir()) == []


def test_a_head_with_a_hidden_layer_is_collected(keras: Any) -> None:
    model = build_network("xception", size=96)
    head = keras_head(model, "xception")
    assert head.pooling == "max"
    assert [kernel.shape for kernel, _ in head.layers] == [(2048, 128), (128, 4)]
    features = np.random.default_rng(0).random((3, 3, 2048)).astype(np.float32)
    entry = keras.Input((3, 3, 2048))
    x = entry
    names = [layer.name for layer in model.layers]
    for layer in model.layers[names.index("pool") :]:
        x = layer(x)
    wanted = np.asarray(keras.Model(entry, x)(features[None], training=False))[0]
    np.testing.assert_allclose(head.logits(features), wanted, rtol=1e-4, atol=1e-4)
