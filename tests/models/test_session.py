"""Running a network: what comes out, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tumorlens.errors import ModelError
from tumorlens.models.bundle import Bundle
from tumorlens.models.head import HEAD_KEY, Head
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle

PICTURES = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
DOTS = PICTURES.reshape(3, 16, 4, 16, 4)[:, :, :2, :, :2].mean(axis=(2, 4))


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_logits_and_features_are_those_of_the_network(
    spot_bundle: Callable[..., Path], layout: str
) -> None:
    session = Session(open_bundle(spot_bundle((2.0, -1.0, 0.5), layout=layout)))
    logits, features = session.logits_and_features(PICTURES)
    assert features.shape == (3, 16, 16, 1)
    np.testing.assert_allclose(features[..., 0], DOTS, rtol=1e-5)
    wanted = DOTS.mean(axis=(1, 2))[:, None] * [2.0, -1.0, 0.5]
    np.testing.assert_allclose(logits, wanted, rtol=1e-5)
    np.testing.assert_array_equal(session.logits(PICTURES), logits)
    assert logits.dtype == features.dtype == np.float32


def test_the_number_of_threads_changes_nothing(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    answers = [Session(bundle, threads=n).logits(PICTURES) for n in (None, 1, 2)]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], rtol=1e-4, atol=1e-4)


def test_a_picture_has_the_same_answer_to_the_bit_in_any_company(tiny_bundle: Path) -> None:
    session = Session(open_bundle(tiny_bundle), threads=1)
    many = np.concatenate([PICTURES, PICTURES[::-1]])
    alone = [session.logits_features_and_vectors(many[i : i + 1]) for i in range(len(many))]
    for together, single in zip(
        session.logits_features_and_vectors(many), zip(*alone, strict=True), strict=True
    ):
        np.testing.assert_array_equal(together, np.concatenate(single))


def test_outputs_of_other_shapes_for_other_pictures_are_refused(
    spot_bundle: Callable[..., Path],
) -> None:
    def turn(model: onnx.ModelProto) -> None:
        node = onnx.helper.make_node(
            "Transpose", [rename(model, "features")], ["features"], perm=[1, 0, 2, 3]
        )
        model.graph.node.append(node)

    with pytest.raises(ModelError, match="outputs of other shapes"):
        Session(spoilt(spot_bundle(), turn)).logits_and_features(PICTURES)


def test_the_head_comes_with_the_network(spot_bundle: Callable[..., Path]) -> None:
    head = Session(open_bundle(spot_bundle((2.0, -1.0)))).head()
    assert head.pooling == "avg"
    np.testing.assert_array_equal(head.layers[0][0], [[2.0, -1.0]])


def spoilt(folder: Path, change: Callable[[onnx.ModelProto], object]) -> Bundle:
    """A bundle with another network in it; its hash was checked when it was opened."""
    bundle = open_bundle(folder)
    model = onnx.load_from_string(bundle.onnx)
    change(model)
    return dataclasses.replace(bundle, onnx=model.SerializeToString())


def test_a_network_without_its_head_says_so(spot_bundle: Callable[..., Path]) -> None:
    session = Session(spoilt(spot_bundle(), lambda model: model.metadata_props.pop()))
    assert session.logits(PICTURES).shape == (3, 2)
    with pytest.raises(ModelError, match="spot@3 carries no head; export it again"):
        session.head()


def test_a_network_with_a_damaged_head_says_so(spot_bundle: Callable[..., Path]) -> None:
    def damage(model: onnx.ModelProto) -> None:
        assert model.metadata_props[0].key == HEAD_KEY
        model.metadata_props[0].value = "{"

    with pytest.raises(ModelError, match="head in the model file is damaged"):
        Session(spoilt(spot_bundle(), damage)).head()


def test_a_network_without_features_is_refused(spot_bundle: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="one input and the outputs logits and features"):
        Session(spoilt(spot_bundle(), lambda model: model.graph.output.pop()))


@pytest.mark.parametrize("content", [b"", b"no network at all", b"\x08\x09" * 50])
def test_what_is_no_network_is_refused(spot_bundle: Callable[..., Path], content: bytes) -> None:
    bundle = dataclasses.replace(open_bundle(spot_bundle()), onnx=content)
    with pytest.raises(ModelError, match=r"model\.onnx is no ONNX file"):
        Session(bundle)


def test_a_network_that_does_not_fit_together_is_refused(spot_bundle: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="ONNX Runtime refuses the model"):
        Session(spoilt(spot_bundle(), lambda model: model.graph.node.pop(0)))


def test_a_card_that_promises_other_classes_is_refused(
    spot_bundle: Callable[..., Path], change_card: Callable[..., None]
) -> None:
    folder = spot_bundle()
    change_card(folder, classes=("a", "b", "c"))
    with pytest.raises(ModelError, match=r"'logits' is \(any, 2\), the card wants \(any, 3\)"):
        Session(open_bundle(folder))


def test_logits_of_another_number_than_promised_are_refused(
    spot_bundle: Callable[..., Path], change_card: Callable[..., None]
) -> None:
    folder = spot_bundle()
    change_card(folder, classes=("a", "b", "c"))

    def hide(model: onnx.ModelProto) -> None:
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "many"

    with pytest.raises(ModelError, match=r"gave logits \(2, 2\) for 2 pictures and 3 classes"):
        Session(spoilt(folder, hide)).logits(PICTURES)


def test_texts_that_are_none_are_refused(spot_bundle: Callable[..., Path]) -> None:
    bundle = open_bundle(spot_bundle())
    content = bundle.onnx.replace(b'"pooling"', b'"pool\xffng"')
    assert content != bundle.onnx
    with pytest.raises(ModelError, match="ONNX Runtime refuses the model"):
        Session(dataclasses.replace(bundle, onnx=content))


def rename(model: onnx.ModelProto, name: str) -> str:
    """Call an output otherwise, so that another node can make it."""
    for node in model.graph.node:
        node.output[:] = ["before" if one == name else one for one in node.output]
    return "before"


def test_features_of_another_number_of_pictures_are_refused(
    spot_bundle: Callable[..., Path],
) -> None:
    def merge(model: onnx.ModelProto) -> None:
        node = onnx.helper.make_node(
            "ReduceMean", [rename(model, "features")], ["features"], axes=[0], keepdims=1
        )
        model.graph.node.append(node)

    with pytest.raises(ModelError, match=r"gave features \(2, 16, 16, 1\) for 3 pictures"):
        Session(spoilt(spot_bundle(), merge)).logits_and_features(PICTURES)


def test_logits_that_are_no_numbers_are_refused(spot_bundle: Callable[..., Path]) -> None:
    def divide(model: onnx.ModelProto) -> None:
        zero = onnx.helper.make_tensor("zero", onnx.TensorProto.FLOAT, [1], [0.0])
        model.graph.initializer.append(zero)
        node = onnx.helper.make_node("Div", [rename(model, "logits"), "zero"], ["logits"])
        model.graph.node.append(node)

    session = Session(spoilt(spot_bundle(), divide))
    with pytest.raises(ModelError, match="gave logits that are no numbers"):
        session.logits(PICTURES)


def test_a_head_for_other_classes_is_refused(spot_bundle: Callable[..., Path]) -> None:
    head = Head("avg", ((np.ones((1, 3), np.float32), np.zeros(3, np.float32)),))
    with pytest.raises(ModelError, match="a head of 3 logits for 2 classes"):
        Session(open_bundle(spot_bundle(head=head))).head()


def test_pictures_of_another_size_are_refused(spot_bundle: Callable[..., Path]) -> None:
    session = Session(open_bundle(spot_bundle()))
    with pytest.raises(ModelError, match=r"spot@3 cannot run on .* \(2, 32, 32, 1\)"):
        session.logits(PICTURES[:, :32, :32])
