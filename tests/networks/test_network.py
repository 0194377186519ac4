"""Networks: flat, ending in logits, named alike however often they are built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tumorlens.errors import ModelError
from tumorlens.networks.geometry import cell_grid
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.members import join_members
from tumorlens.networks.network import (
    NETWORKS,
    build_network,
    convolution_outputs,
    evidence_output,
    feature_layer,
)
from tumorlens.train.export import keras_head

SIZES = {
    "tiny": 64,
    "tiny-fpn": 64,
    "tiny-fpn-x2": 64,
    "mobilenetv2": 96,
    "mobilenetv2-fpn": 96,
    "mobilenetv2-fpn-x3": 96,
    "efficientnet-lite0-fpn": 96,
    "efficientnet-lite1-fpn": 96,
    "efficientnet-lite2-fpn": 96,
    "xception": 96,
}
COUNTS = {
    "tiny": 4,
    "tiny-fpn": 9,
    "tiny-fpn-x2": 2 * 9 + 1,
    "mobilenetv2": 52,
    "mobilenetv2-fpn": 57,
    "mobilenetv2-fpn-x3": 3 * 57 + 1,
    "efficientnet-lite0-fpn": 54,
    "efficientnet-lite1-fpn": 69,
    "efficientnet-lite2-fpn": 69,
    "xception": 36,
}
POOLING = [name for name, spec in sorted(NETWORKS.items()) if spec.pooling == "lse"]


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest) -> Any:
    return build_network(request.param, size=SIZES[request.param])


def weight_names(model: Any) -> list[str]:
    return [f"{layer.name}/{weight.name}" for layer in model.layers for weight in layer.weights]


def test_there_are_sizes_for_all_networks() -> None:
    assert set(SIZES) == set(NETWORKS)


def test_a_network_is_flat(network: Any, keras: Any) -> None:
    assert not [layer.name for layer in network.layers if isinstance(layer, keras.Model)]
    inner = network.get_layer(feature_layer(network.name))
    probe = keras.Model(network.input, inner.output)  # any layer can be asked for
    assert len(probe.output.shape) == 4


def test_it_is_as_the_registry_says(network: Any, keras: Any) -> None:
    spec = NETWORKS[network.name]
    side = SIZES[network.name]
    assert network.input.shape == (None, side, side, 3)
    assert network.output.shape == (None, 4)
    names = [layer.name for layer in network.layers]
    if spec.pooling == "lse":
        assert names[-3:] == [spec.feature_layer, "drop_logits", "evidence"]
        return
    assert names[names.index("pool") - 1] == spec.feature_layer
    kinds = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
    assert isinstance(network.get_layer("pool"), kinds[spec.pooling])
    behind = network.layers[names.index("pool") + 1 :]
    dropouts = [layer.rate for layer in behind if isinstance(layer, keras.layers.Dropout)]
    dense = [layer.units for layer in behind if isinstance(layer, keras.layers.Dense)]
    assert tuple(dropouts) == spec.dropout
    assert tuple(dense) == (*spec.hidden, 4)


def test_it_gives_logits_and_not_probabilities(network: Any, keras: Any) -> None:
    if network.name in POOLING:
        pytest.skip("its head is tested below")
    last = network.get_layer("logits")
    assert last.activation is keras.activations.linear
    kernel = np.asarray(last.kernel)
    kept = last.get_weights()
    last.set_weights([np.zeros_like(kernel), np.array([-3, 0, 5, 9], np.float32)])
    side = SIZES[network.name]
    answer = np.asarray(network(np.zeros((1, side, side, 3), np.float32), training=False))
    last.set_weights(kept)
    np.testing.assert_allclose(answer, [[-3, 0, 5, 9]])


@pytest.mark.parametrize("name", POOLING)
def test_no_tumour_is_where_there_is_no_evidence(name: str) -> None:
    model = build_network(name, size=SIZES[name])
    side = SIZES[name]
    last = model.get_layer("evidence")
    last.set_weights([np.zeros_like(last.kernel), np.array([-3, 5, 9], np.float32)])
    picture = np.zeros((1, side, side, 3), np.float32)
    answer = np.asarray(model(picture, training=False))
    np.testing.assert_allclose(answer, [[-3, 5, 0, 9]], atol=1e-5)
    maps = evidence_output(model)
    assert maps.shape[1] == maps.shape[2] >= 12


@pytest.mark.parametrize("name", POOLING)
def test_the_head_in_numpy_is_the_networks_own(name: str, keras: Any) -> None:
    model = build_network(name, size=SIZES[name])
    last = model.get_layer("evidence")
    random = np.random.default_rng(0)
    last.set_weights([random.normal(size=w.shape).astype(np.float32) for w in last.get_weights()])
    inner = keras.Model(model.input, model.get_layer(feature_layer(name)).output)
    picture = random.random((1, SIZES[name], SIZES[name], 3), np.float32)
    features = np.asarray(inner(picture, training=False))[0]
    expected = np.asarray(model(picture, training=False))[0]
    np.testing.assert_allclose(keras_head(model, name).logits(features), expected, atol=1e-4)


def test_evidence_is_as_fine_as_the_finest_level() -> None:
    maps = evidence_output(build_network("mobilenetv2-fpn"))
    assert maps.shape == (None, 28, 28, 3)
    assert evidence_output(build_network("tiny")) is None


def test_built_twice_its_weights_have_the_same_names(network: Any) -> None:
    again = build_network(network.name, size=SIZES[network.name])
    assert weight_names(again) == weight_names(network)
    assert len(set(weight_names(network))) == len(weight_names(network))
    assert again.name == network.name


def test_the_reference_ends_as_its_project_has_it() -> None:
    model = build_network("xception", size=96)
    names = [layer.name for layer in model.layers]
    tail = model.layers[names.index("block14_sepconv2_act") + 1 :]
    assert [type(layer).__name__ for layer in tail] == [
        "GlobalMaxPooling2D",
        "Dropout",
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert (tail[1].rate, tail[3].rate) == (0.3, 0.25)
    assert (tail[2].units, tail[4].units) == (128, 4)
    assert tail[2].activation.__name__ == "relu"
    assert NETWORKS["xception"].size == 299
    assert NETWORKS["xception"].value_range == (0.0, 1.0)
    # 20,861,480 of Keras's own Xception without its top, and the two dense layers.
    assert model.count_params() == 20_861_480 + (2048 * 128 + 128) + (128 * 4 + 4)


def test_classes_and_size_can_be_chosen() -> None:
    model = build_network("tiny", classes=7, size=48)
    assert model.input.shape == (None, 48, 48, 3)
    assert model.output.shape == (None, 7)
    assert build_network("tiny").input.shape == (None, NETWORKS["tiny"].size, 64, 3)


def test_precision_is_for_the_network_and_leaves_the_process_as_it_was(keras: Any) -> None:
    before = keras.config.dtype_policy().name
    model = build_network("tiny", precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == before
    assert model.get_layer("conv_1").compute_dtype == "bfloat16"
    assert model.get_layer("conv_1").kernel.dtype == "float32"
    assert model.get_layer("logits").compute_dtype == "float32"
    assert model.output.dtype == "float32"


def test_a_failure_leaves_the_process_as_it_was(keras: Any) -> None:
    before = keras.config.dtype_policy().name
    with pytest.raises(ModelError, match="'tiny' has no ImageNet weights"):
        build_network("tiny", imagenet=True, precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == before


def test_an_unknown_network_is_refused_with_those_there_are() -> None:
    for ask in (build_network, feature_layer):
        with pytest.raises(ModelError, match=r"no network 'vgg'; there are .*mobilenetv2, "):
            ask("vgg")


def test_a_size_that_the_backbone_cannot_take_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot build Xception at 40 pixels"):
        build_network("xception", size=40)


def test_a_download_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = require_keras("a test")

    def offline(**_: object) -> None:
        raise Exception("URL fetch failure on https://example.invalid/weights.h5")  # noqa: TRY002

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ModelError, match=r"cannot be downloaded .*; go online"):
        build_network("mobilenetv2", imagenet=True)


def test_every_named_convolution_has_its_output(network: Any) -> None:
    """As many as there are convolutions, early to late; the last one is pooled."""
    found = convolution_outputs(network)
    assert found[-1] == feature_layer(network.name)
    assert len(set(found)) == len(found)
    order = [layer.name for layer in network.layers]
    assert [order.index(name) for name in found] == sorted(order.index(name) for name in found)
    assert len(found) == COUNTS[network.name]
    for name in found:
        assert len(network.get_layer(name).output.shape) == 4
        cell_grid(network, name)  # has a place in the picture


def test_an_output_is_what_leaves_normalisation_and_activation() -> None:
    found = convolution_outputs(build_network("xception", size=96))
    assert found[:4] == (
        "block1_conv1_act",
        "block1_conv2_act",
        "block2_sepconv2_act",
        "block2_sepconv2_bn",
    )
    assert found[-2:] == ("block14_sepconv1_act", "block14_sepconv2_act")


def test_joined_networks_answer_from_the_mean_of_their_evidence(keras: Any) -> None:
    random = np.random.default_rng(3)
    members = [build_network("tiny-fpn") for _ in range(2)]
    for member in members:
        head = member.get_layer("evidence")
        head.set_weights([random.normal(size=x.shape) for x in head.get_weights()])
        norm = member.get_layer("fused_norm")  # as after training: no network is like another
        norm.set_weights([random.uniform(0.5, 2, x.shape) for x in norm.get_weights()])
    joined = join_members(members, "tiny-fpn-x2")
    pictures = random.uniform(-1, 1, (3, 64, 64, 3)).astype(np.float32)
    views = [keras.Model(m.input, evidence_output(m)) for m in (*members, joined)]
    first, second, both = (np.asarray(view(pictures, training=False)) for view in views)
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-4)
    assert np.abs(first - second).max() > 1e-2
    pooled = np.log(np.exp(both.astype(np.float64)).mean(axis=(1, 2)))
    logits = np.asarray(joined(pictures, training=False))
    np.testing.assert_allclose(np.delete(logits, 2, axis=1), pooled, atol=1e-4)


def test_only_networks_of_a_kind_are_joined() -> None:
    small = build_network("tiny-fpn")
    with pytest.raises(ModelError, match="tiny-fpn-x2 joins 2 networks, not 3"):
        join_members([small] * 3, "tiny-fpn-x2")
    with pytest.raises(ModelError, match="tiny joins 1 networks"):
        join_members([small], "tiny")
    with pytest.raises(ModelError, match="cannot hold tiny at 64 pixels"):
        join_members([small, build_network("tiny")], "tiny-fpn-x2")
    with pytest.raises(ModelError, match="cannot hold tiny-fpn at 96 pixels"):
        join_members([small, build_network("tiny-fpn", size=96)], "tiny-fpn-x2")
