"""Weights from elsewhere: the reference's network as plain Keras saves it answers the same."""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from checkpoints import change_config, change_weights, rewritten
from tumorlens.checkpoint import import_keras
from tumorlens.checkpoint.import_keras import import_checkpoint, load_checkpoint_weights
from tumorlens.data.folder import CLASSES
from tumorlens.errors import ModelError, OutputError
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.trust.prediction_set import softmax

SIZE = 75
WAVES = np.linspace(0, 6, SIZE)[:, None] * np.arange(1, 7)[:, None, None]
GREY = (0.5 + 0.5 * np.sin(WAVES + 3 * np.linspace(0, 6, SIZE))).astype(np.float32)
GREY *= np.linspace(0.2, 1, 6, dtype=np.float32)[:, None, None]
PICTURES = np.repeat(GREY[..., None], 3, axis=-1)  # as the reference feeds it, from 0 to 1


def reference_network(keras: Any, classes: int = 4, activation: str = "softmax") -> Any:
    """The reference project's network, as anybody would write it, with weights that matter."""
    layers = keras.layers
    base = keras.applications.Xception(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), pooling="max"
    )
    x = layers.Flatten()(base.output)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Dense(classes, activation=activation)(x)
    model = keras.Model(base.input, x)
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = (np.asarray(w) for w in layer.get_weights())
            draw = random.uniform
            layer.set_weights(
                [
                    gamma * draw(0.5, 1.5, gamma.shape),
                    beta + draw(-0.3, 0.3, beta.shape),
                    mean + draw(-0.1, 0.1, mean.shape),
                    variance * draw(0.05, 0.4, variance.shape),
                ]
            )
    # So that the pictures get different answers: logits of mean 0 and spread 1.
    last = model.layers[-1]
    hidden = np.asarray(keras.Model(model.input, last.input)(PICTURES, training=False))
    kernel = np.asarray(last.kernel)
    logits = hidden @ kernel
    last.kernel.assign(kernel / logits.std(axis=0))
    last.bias.assign(-logits.mean(axis=0) / logits.std(axis=0))
    return model


@pytest.fixture(scope="module")
def narrow(keras: Any) -> Iterator[None]:
    """Xception with an eighth of its channels, here and where our code builds it.

    All its layers and their names are there. Whole, its export takes 6 GB.
    """
    module = importlib.import_module("keras.src.applications.xception")

    class Narrow:
        def __getattr__(self, name: str) -> Any:
            layer = getattr(keras.layers, name)
            if name not in ("Conv2D", "SeparableConv2D"):
                return layer
            return lambda filters, *rest, **options: layer(filters // 8, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "layers", Narrow())
        yield


@pytest.fixture(scope="module")
def reference(keras: Any, narrow: None) -> Any:
    del narrow
    reference_network(keras)  # so that Keras numbers the layers of the next one from elsewhere
    model = reference_network(keras)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def answers(reference: Any) -> np.ndarray:
    answers = np.asarray(reference(PICTURES, training=False))
    assert np.ptp(answers, axis=0).min() > 0.2  # or equal answers would prove nothing
    return answers


@pytest.fixture(scope="module")
def saved(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    files = {name: folder / f"best.{name}" for name in ("keras", "weights.h5", "h5")}
    reference.save(files["keras"])
    reference.save_weights(files["weights.h5"])
    reference.save(files["h5"])
    return files


def probabilities(model: Any) -> np.ndarray:
    return softmax(np.asarray(model(PICTURES, training=False)), 1.0)


def test_a_keras_file_becomes_a_bundle_with_the_same_answers(
    saved: dict[str, Path], answers: np.ndarray, tmp_path: Path
) -> None:
    bundle, difference = import_checkpoint(
        saved["keras"], tmp_path / "bundle", classes=CLASSES, description="From elsewhere."
    )
    assert difference < 1e-4
    opened = open_bundle(bundle)
    found = softmax(Session(opened).logits(GREY), 1.0)
    np.testing.assert_allclose(found, answers, atol=1e-4)
    card = opened.card
    assert (card.network, card.precision, card.classes) == ("xception", "float32", CLASSES)
    assert (card.input.size, card.input.value_range) == (SIZE, (0.0, 1.0))
    assert card.features.name == "block14_sepconv2_act"
    assert card.metrics == {}
    assert card.licence == "unknown"
    assert "not known until it is measured" in card.limitations
    digest = hashlib.sha256(saved["keras"].read_bytes()).hexdigest()
    assert card.training["imported"] == {
        "sha256": digest,
        "kind": "keras",
        "architecture_compared": True,
    }
    assert card.probes is not None


@pytest.mark.parametrize("kind", ["weights.h5", "h5"])
def test_every_other_format_gives_the_same_answers(
    saved: dict[str, Path], answers: np.ndarray, kind: str
) -> None:
    model, origin = load_checkpoint_weights(saved[kind], "xception", classes=4, size=SIZE)
    np.testing.assert_allclose(probabilities(model), answers, atol=1e-4)
    assert origin["architecture_compared"] is (kind == "h5")


def without_names(weights: h5py.File) -> None:
    """As versions of Keras 3 wrote it that kept no names of layers."""
    for name in weights["layers"]:
        weights["layers"][name]["vars"].attrs.clear()


def as_keras_2(weights: h5py.File) -> None:
    without_names(weights)
    weights.move("layers", "_layer_checkpoint_dependencies")


@pytest.mark.parametrize(("kind", "change"), [("keras", without_names), ("weights.h5", as_keras_2)])
def test_older_files_without_names_give_the_same_answers(
    saved: dict[str, Path],
    answers: np.ndarray,
    kind: str,
    change: Callable[[h5py.File], None],
    tmp_path: Path,
) -> None:
    file = shutil.copy(saved[kind], tmp_path / "old")
    change_weights(file, change)
    model, _ = load_checkpoint_weights(file, "xception", classes=4, size=SIZE)
    np.testing.assert_allclose(probabilities(model), answers, atol=1e-4)


def test_what_keras_2_saved_gives_the_same_answers(
    saved: dict[str, Path], answers: np.ndarray, tmp_path: Path
) -> None:
    """Its ``save_weights("x.h5")``: the layers at the root, weights named ``kernel:0``."""

    def as_it_was(weights: h5py.File) -> None:
        found: list[str] = []
        group = weights["model_weights"]
        group.visititems(lambda n, x: found.append(n) if isinstance(x, h5py.Dataset) else None)
        for name in found:
            group.move(name, f"{name}:0")
        for name in list(group):
            weights.move(f"model_weights/{name}", name)
        del weights["model_weights"], weights["optimizer_weights"]
        weights.attrs.clear()

    file = shutil.copy(saved["h5"], tmp_path / "old.h5")
    change_weights(file, as_it_was)
    model, origin = load_checkpoint_weights(file, "xception", classes=4, size=SIZE)
    np.testing.assert_allclose(probabilities(model), answers, atol=1e-4)
    assert origin["architecture_compared"] is False


# what does not fit


@pytest.fixture(scope="module")
def small(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest network as a ``.keras`` file, with the softmax that others end in."""
    file = tmp_path_factory.mktemp("small") / "small.keras"
    tiny_model.save(file)
    change_config(file, lambda config: layer_of(config, "logits").update(activation="softmax"))
    return file


@pytest.fixture
def file(small: Path, tmp_path: Path) -> Path:
    """A checkpoint of one's own to spoil."""
    return Path(shutil.copy(small, tmp_path / "mine.keras"))


def layer_of(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(x["config"] for x in config["config"]["layers"] if x["config"]["name"] == name)


def refuse(file: Path, match: str, **options: Any) -> None:
    with pytest.raises(ModelError, match=match):
        load_checkpoint_weights(file, "tiny", **{"classes": 4, **options})


def test_what_is_not_spoilt_is_read(file: Path, tiny_model: Any) -> None:
    model, _ = load_checkpoint_weights(file, "tiny", classes=4)
    for found, wanted in zip(model.get_weights(), tiny_model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_wrong_shape_names_the_layer(file: Path) -> None:
    def other_shape(weights: h5py.File) -> None:
        group = weights["layers/conv2d_2/vars"]
        assert group.attrs["name"] == "conv_3"
        del group["0"]
        group["0"] = np.zeros((3, 3, 32, 7), np.float32)

    change_weights(file, other_shape)
    refuse(file, r"the layer 'conv_3' has .*\(3, 3, 32, 7\)\], our 'conv_3' wants \[\(3, 3, 32, 48")


def test_another_number_of_classes_names_the_layer(file: Path) -> None:
    refuse(file, r"the layer 'logits' has .*\(64, 4\).*our 'logits' wants", classes=3)


def test_a_missing_layer_is_named(file: Path) -> None:
    change_weights(file, lambda weights: weights["layers"].pop("conv2d_2"))
    refuse(file, r"for the 1 layers of the kind conv2d \(conv_3\) it has 0 \(none\)")


def test_a_layer_too_many_is_named(file: Path) -> None:
    change_weights(file, lambda w: w.copy("layers/dense", "layers/dense_1"))
    refuse(file, "for the 1 layers of the kind dense .* it has 2")


def test_weights_that_are_no_numbers_are_refused(file: Path) -> None:
    def spoil(weights: h5py.File) -> None:
        weights["layers/dense/vars/1"][2] = np.nan

    change_weights(file, spoil)
    refuse(file, "the layer 'logits' has weights that are no numbers")


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        ("conv_2", "strides", [1, 1]),
        ("conv_1", "padding", "valid"),
        ("norm_3", "epsilon", 0.1),
        ("relu_4", "max_value", 6.0),
        ("logits", "activation", "sigmoid"),
    ],
)
def test_a_setting_that_no_shape_shows_is_compared(
    file: Path, layer: str, key: str, value: object
) -> None:
    change_config(file, lambda config: layer_of(config, layer).update({key: value}))
    refuse(file, f"the layer '{layer}' has {key} .*, tiny's {layer} has")


def test_another_pooling_is_refused(file: Path) -> None:
    def largest(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "GlobalAveragePooling2D":
                layer["class_name"] = "GlobalMaxPooling2D"

    change_config(file, largest)
    refuse(file, "it has 0 layers of the kind GlobalAveragePooling2D, tiny has 1")


def test_another_network_is_refused(saved: dict[str, Path]) -> None:
    refuse(saved["keras"], "is no tiny: it has")
    refuse(saved["weights.h5"], "is no tiny: for the")
    with pytest.raises(ModelError, match="there is no network 'vgg'"):
        load_checkpoint_weights(saved["keras"], "vgg", classes=4)


def test_a_size_that_is_not_the_file_s_is_refused(file: Path) -> None:
    refuse(file, "takes pictures of 64 pixels, not of 299", size=299)


def test_a_size_beyond_all_networks_must_be_confirmed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []

    def note(*_: object, size: int | None, **__: object) -> None:
        built.append(size)
        raise ModelError("far enough")

    def grow(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, 1024, 1024, 3]

    monkeypatch.setattr(import_keras, "build_network", note)
    change_config(file, grow)
    refuse(file, r"wants pictures of 1024 × 1024 pixels.*say so with --size 1024")
    assert built == []
    refuse(file, "far enough", size=1024)
    assert built == [1024]


@pytest.mark.parametrize("size", [0, -1, 7, 1025, 10**9])
def test_a_size_that_cannot_be_is_refused(file: Path, size: int) -> None:
    refuse(file, "`size` must be from 8 to 1024", size=size)


@pytest.mark.parametrize("shape", [[None, 64, 32, 3], [None, 64, 64, 1], [None, None, None, 3], 5])
def test_an_input_of_another_kind_is_refused(file: Path, shape: object) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"] = shape

    change_config(file, change)
    refuse(file, "its input must")


def test_a_network_within_the_network_is_refused(keras: Any, tmp_path: Path) -> None:
    inner = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.Conv2D(4, 3, name="a")], name="inner"
    )
    pool = keras.layers.GlobalMaxPooling2D()
    outer = keras.Sequential([inner, pool, keras.layers.Dense(4, activation="softmax")])
    for name in ("nested.keras", "nested.h5"):
        outer.save(tmp_path / name)
        refuse(tmp_path / name, "'inner' is a network within the network; build it flat")
    outer.save_weights(tmp_path / "nested.weights.h5")
    refuse(tmp_path / "nested.weights.h5", "only flat networks can be read")


# the bundle


@pytest.mark.parametrize("classes", [(), ("one",), ("a", "a", "b", "c"), ("a", "b", "c", "\n")])
def test_labels_must_be_labels(small: Path, tmp_path: Path, classes: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="`classes`"):
        import_checkpoint(small, tmp_path / "out", classes=classes, network="tiny")
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_the_classes_is_the_one_given(small: Path, tmp_path: Path) -> None:
    order = CLASSES[::-1]
    bundle, _ = import_checkpoint(
        small, tmp_path / "out", classes=order, network="tiny", name="mine", version="5"
    )
    card = open_bundle(bundle).card
    assert card.classes == order
    assert card.id == "mine@5"


def test_a_bundle_that_answers_differently_is_not_made(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_keras, "_AGREE", -1.0)
    with pytest.raises(ModelError, match="probabilities differ from Keras's"):
        import_checkpoint(small, tmp_path / "out", classes=CLASSES, network="tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_touched(small: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(OutputError, match="exists and is not empty"):
        import_checkpoint(small, tmp_path, classes=CLASSES, network="tiny")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_rewriting_changes_nothing_else(small: Path, tmp_path: Path) -> None:
    """The tests' own tool: a rewritten archive still imports."""
    copy = rewritten(small, tmp_path / "copy.keras", {})
    load_checkpoint_weights(copy, "tiny", classes=4)
