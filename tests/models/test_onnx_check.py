"""ONNX files from elsewhere: whatever is more than a plain network is refused before it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tumorlens.errors import ModelError, UnsafeModelError
from tumorlens.models import onnx_check
from tumorlens.models.bundle import Bundle
from tumorlens.models.card import Card
from tumorlens.models.onnx_check import CLASSES_KEY, OPERATORS, check_onnx
from tumorlens.models.session import Session
from tumorlens.models.store import bundled_models, open_bundle

Change = Callable[[onnx.ModelProto], object]


@pytest.fixture
def bundle(spot_bundle: Callable[..., Path]) -> Bundle:
    return open_bundle(spot_bundle())


def spoil(bundle: Bundle, change: Change) -> bytes:
    model = onnx.load_from_string(bundle.onnx)
    change(model)
    return bytes(model.SerializeToString())


def refuse(bundle: Bundle, change: Change, match: str, kind: type = UnsafeModelError) -> None:
    content = spoil(bundle, change)
    with pytest.raises(kind, match=match):
        check_onnx(content, bundle.card, source="it")
    with pytest.raises(kind, match=match):  # and so no session is made of it
        Session(dataclasses.replace(bundle, onnx=content))


@pytest.mark.parametrize("name", bundled_models())
def test_what_ships_passes(name: str) -> None:
    opened = open_bundle(name)
    check_onnx(opened.onnx, opened.card, source=name)


@pytest.mark.parametrize("which", ["tiny_bundle", "tiny_bundle_int8"])
def test_what_is_exported_passes(which: str, request: pytest.FixtureRequest) -> None:
    opened = open_bundle(request.getfixturevalue(which))
    check_onnx(opened.onnx, opened.card, source=which)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_both_layouts_pass(spot_bundle: Callable[..., Path], layout: str) -> None:
    opened = open_bundle(spot_bundle(layout=layout))
    check_onnx(opened.onnx, opened.card, source="it")


def test_a_network_within_the_network_is_refused(bundle: Bundle) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "inner", [], [])
    for kind, names in (("If", ["then_branch"]), ("Loop", ["body"]), ("Scan", ["body"])):
        node = helper.make_node(kind, ["x"], ["z"], **dict.fromkeys(names, inner))
        refuse(bundle, lambda m, n=node: m.graph.node.append(n), f"operator '{kind}' is none")
    hidden = helper.make_node("Relu", ["x"], ["z"], body=inner)
    refuse(bundle, lambda m: m.graph.node.append(hidden), "a network inside the network")
    several = helper.make_node("Relu", ["x"], ["z"], bodies=[inner, inner])
    refuse(bundle, lambda m: m.graph.node.append(several), "a network inside the network")


@pytest.mark.parametrize("domain", ["com.evil", "com.microsoft", "ai.onnx.ml"])
def test_operators_of_other_domains_are_refused(bundle: Bundle, domain: str) -> None:
    node = helper.make_node("Relu", ["x"], ["z"], domain=domain)
    refuse(bundle, lambda m: m.graph.node.append(node), f"'{domain}.Relu' is none")


@pytest.mark.parametrize(
    "kind", ["ConstantOfShape", "Expand", "Tile", "Range", "Upsample", "Relu6"]
)
def test_operators_that_blow_up_or_do_not_exist_are_refused(bundle: Bundle, kind: str) -> None:
    node = helper.make_node(kind, ["x"], ["z"])
    refuse(bundle, lambda m: m.graph.node.append(node), f"operator '{kind}' is none")


def test_functions_of_its_own_are_refused(bundle: Bundle) -> None:
    function = helper.make_function(
        "evil", "Relu", ["x"], ["y"], [helper.make_node("Exp", ["x"], ["y"])], []
    )
    refuse(bundle, lambda m: m.functions.append(function), "functions or training steps")


def external(tensor: TensorProto, path: str) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", path), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)
    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)


def test_tensors_in_other_files_are_refused_and_never_read(bundle: Bundle, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"password")
    refuse(
        bundle,
        lambda m: external(m.graph.initializer[0], str(secret)),
        "the tensor 'kernel' lies in another file",
    )

    def in_a_constant(model: onnx.ModelProto) -> None:
        tensor = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
        external(tensor, "../secret")
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))

    refuse(bundle, in_a_constant, "the tensor 'hidden' lies in another file")

    def without_the_flag(model: onnx.ModelProto) -> None:
        external(model.graph.initializer[0], str(secret))
        model.graph.initializer[0].ClearField("data_location")

    refuse(bundle, without_the_flag, "lies in another file")


@pytest.mark.parametrize("dims", [[2**40], [2**31, 2**31], [9, 1], [2] * 60, [-1]])
def test_tensors_that_claim_more_than_they_hold_are_refused(
    bundle: Bundle, dims: list[int]
) -> None:
    def claim(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].ClearField("dims")
        model.graph.initializer[0].dims.extend(dims)

    refuse(bundle, claim, "the tensor 'kernel' (claims|holds no numbers)")


def test_text_and_sparse_tensors_are_refused(bundle: Bundle) -> None:
    words = helper.make_tensor("words", TensorProto.STRING, [1], [b"word"])
    refuse(bundle, lambda m: m.graph.initializer.append(words), "'words' holds no numbers")
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "v"),
        numpy_helper.from_array(np.zeros(1, np.int64), "i"),
        [10**9],
    )
    refuse(bundle, lambda m: m.graph.sparse_initializer.append(sparse), "sparse tensors")
    node = helper.make_node("Constant", [], ["c"], sparse_value=sparse)
    refuse(bundle, lambda m: m.graph.node.append(node), "or sparse ones")


def test_kernels_and_paddings_beyond_all_pictures_are_refused(bundle: Bundle) -> None:
    for name, kind in (("kernel_shape", "MaxPool"), ("pads", "Conv"), ("strides", "Conv")):
        node = helper.make_node(kind, ["x"], ["z"], **{name: [1, 10**9]})
        refuse(bundle, lambda m, n=node: m.graph.node.append(n), f"{name} reaches beyond 1024")
    negative = helper.make_node("Conv", ["x"], ["z"], pads=[-5, 0])
    refuse(bundle, lambda m: m.graph.node.append(negative), "pads reaches beyond")


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(("pads", "fits"), [([0, 0, 1, 1], True), ([0, 0, 10**9, 1], False)])
def test_paddings_are_read_wherever_they_are_written(
    bundle: Bundle, pads: list[int], fits: bool, raw: bool
) -> None:
    values = np.array(pads, np.int64)
    if raw:
        tensor = numpy_helper.from_array(values, "pads")
    else:
        tensor = helper.make_tensor("pads", TensorProto.INT64, [4], pads)
    pad = helper.make_node("Pad", ["x", "pads"], ["z"])

    def given_as_tensor(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(tensor)
        model.graph.node.append(pad)

    def given_as_constant(model: onnx.ModelProto) -> None:
        model.graph.node.extend([helper.make_node("Constant", [], ["pads"], value=tensor), pad])

    for change in (given_as_tensor, given_as_constant):
        if fits:
            check_onnx(spoil(bundle, change), bundle.card, source="it")
        else:
            refuse(bundle, change, "Pad goes by what it computes, or beyond 1024")
    refuse(bundle, lambda m: m.graph.node.append(pad), "Pad goes by what it computes")


@pytest.mark.parametrize(
    ("scales", "fits"),
    [([1, 1, 2, 2], True), ([1, 1, 1e6, 1], False), ([1, 1, float("inf"), 1], False)],
)
def test_enlarging_is_limited(bundle: Bundle, scales: list[float], fits: bool) -> None:
    def resize(model: onnx.ModelProto) -> None:
        tensor = numpy_helper.from_array(np.array(scales, np.float32), "scales")
        model.graph.initializer.append(tensor)
        model.graph.node.append(helper.make_node("Resize", ["x", "", "scales"], ["z"]))

    if fits:
        check_onnx(spoil(bundle, resize), bundle.card, source="it")
    else:
        refuse(bundle, resize, "Resize goes by what it computes, or beyond 16")


@pytest.mark.parametrize(("scale", "fits"), [(2.0, True), (17.0, False)])
def test_enlarging_is_read_from_lists_too(bundle: Bundle, scale: float, fits: bool) -> None:
    def resize(model: onnx.ModelProto) -> None:
        listed = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, scale, scale])
        model.graph.initializer.append(listed)
        model.graph.node.append(helper.make_node("Resize", ["x", "", "scales"], ["z"]))

    if fits:
        check_onnx(spoil(bundle, resize), bundle.card, source="it")
    else:
        refuse(bundle, resize, "Resize goes by what it computes, or beyond 16")


def test_enlarging_to_a_size_is_refused(bundle: Bundle) -> None:
    def resize(model: onnx.ModelProto) -> None:
        tensor = numpy_helper.from_array(np.array([1, 1, 2, 2], np.int64), "sizes")
        model.graph.initializer.append(tensor)
        model.graph.node.append(helper.make_node("Resize", ["x", "", "", "sizes"], ["z"]))

    refuse(bundle, resize, "Resize goes by a size, or is of an operator set before 11")


def test_enlarging_as_it_was_written_once_is_refused(bundle: Bundle) -> None:
    def resize(model: onnx.ModelProto) -> None:
        tensor = numpy_helper.from_array(np.array([1, 1, 12000, 12000], np.float32), "scales")
        model.graph.initializer.append(tensor)
        model.graph.node.append(helper.make_node("Resize", ["x", "scales"], ["z"]))

    refuse(bundle, resize, "Resize goes by a size, or is of an operator set before 11")


def test_a_field_of_the_wrong_width_is_no_second_name(bundle: Bundle) -> None:
    """ONNX Runtime skips a fixed-width field where text belongs, so we must."""
    node = helper.make_node("Expand", ["x", "x"], ["z"]).SerializeToString()
    node += bytes([0x21]) + b"Identity"  # field 4, the operator, of 64 bits
    graph = bytes([0x0A]) + encode_varint(len(node)) + node  # field 1 of the graph: a node
    model = onnx.load_model_from_string(bundle.onnx)
    inner = model.graph.SerializeToString() + graph
    model.ClearField("graph")
    # Field 7 of the model: the graph.
    content = model.SerializeToString() + bytes([0x3A]) + encode_varint(len(inner)) + inner
    assert onnx.load_model_from_string(content).graph.node[-1].op_type == "Expand"
    with pytest.raises(UnsafeModelError, match="operator 'Expand' is none"):
        check_onnx(content, bundle.card, source="it")


def encode_varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def test_more_operators_than_any_network_has_are_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_check, "_MOST_NODES", 3)
    refuse(bundle, lambda _: None, "more than 3 operators")
    monkeypatch.setattr(onnx_check, "_MOST_FIELDS", 20)
    refuse(bundle, lambda _: None, "more fields than any network")


def shape_of(model: onnx.ModelProto, where: str, i: int) -> object:
    return getattr(model.graph, where)[i].type.tensor_type.shape.dim


WRONG_ENDS: list[tuple[str, Change]] = [
    (
        "does not fit its card: 'x'",
        lambda m: setattr(shape_of(m, "input", 0)[1], "dim_value", 9),
    ),
    ("does not fit its card: 'x'", lambda m: shape_of(m, "input", 0).pop()),
    ("'logits' is", lambda m: setattr(shape_of(m, "output", 0)[1], "dim_value", 3)),
    ("'features' is", lambda m: shape_of(m, "output", 1).pop()),
    (
        "'x' is .* of float32",
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.UINT8),
    ),
    ("one input", lambda m: m.graph.input.append(m.graph.output[0])),
    ("one input", lambda m: m.graph.input.pop()),
    ("the outputs logits and features", lambda m: m.graph.output.pop()),
]


@pytest.mark.parametrize(("match", "change"), WRONG_ENDS, ids=range(len(WRONG_ENDS)))
def test_inputs_and_outputs_must_be_those_of_the_card(
    bundle: Bundle, match: str, change: Change
) -> None:
    refuse(bundle, change, match, ModelError)


def test_weights_named_as_inputs_are_no_inputs(bundle: Bundle) -> None:
    kernel = helper.make_tensor_value_info("kernel", TensorProto.FLOAT, [1, 2])
    check_onnx(spoil(bundle, lambda m: m.graph.input.append(kernel)), bundle.card, source="it")


@pytest.mark.parametrize(
    "content",
    [b"", b"no network", b"\x08\x09" * 50, b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 40, b"\x3b\x00"],
)
def test_what_is_no_protocol_buffer_is_refused(bundle: Bundle, content: bytes) -> None:
    with pytest.raises(ModelError, match="it is no ONNX file"):
        check_onnx(content, bundle.card, source="it")


def test_two_graphs_that_others_would_merge_are_refused(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="it is no ONNX file"):
        check_onnx(bundle.onnx * 2, bundle.card, source="it")


def test_a_field_number_that_others_would_shorten_is_refused(bundle: Bundle) -> None:
    external_graph = b"\xba\x80\x80\x80\x40\x00"  # field 7 again when the high bits are dropped
    with pytest.raises(ModelError, match="it is no ONNX file"):
        check_onnx(bundle.onnx + external_graph, bundle.card, source="it")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_changed_the_answer_is_yes_or_a_model_error(
    tiny_bundle: Path, data: st.DataObject
) -> None:
    opened = open_bundle(tiny_bundle)
    content = bytearray(opened.onnx[:4000])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        check_onnx(bytes(content), opened.card, source="it")


def test_it_sees_what_onnx_itself_sees(tiny_bundle_int8: Path) -> None:
    """The walk and ONNX's own parser agree on every operator and tensor."""
    content = (tiny_bundle_int8 / "model.onnx").read_bytes()
    graph = onnx.load_from_string(content).graph
    reader = onnx_check._Reader("it")
    (inner,) = (value for number, value in reader.fields(memoryview(content)) if number == 7)
    parts = reader.parts(inner)
    kinds = [reader.text(reader.parts(node)[4][0]) for node in parts[1]]
    assert kinds == [node.op_type for node in graph.node]
    assert set(kinds) <= OPERATORS
    names = [reader.text(reader.parts(tensor)[8][0]) for tensor in parts[5]]
    assert names == [tensor.name for tensor in graph.initializer]


def test_a_card_that_promises_other_pictures_is_refused(bundle: Bundle) -> None:
    size = dataclasses.replace(bundle.card.input, size=32)
    card: Card = dataclasses.replace(bundle.card, input=size)
    with pytest.raises(ModelError, match=r"\(any, 64, 64, 1\), the card wants \(any, 32, 32, 1\)"):
        check_onnx(bundle.onnx, card, source="it")


def saying(*values: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for value in values:
            model.metadata_props.add(key=CLASSES_KEY, value=value)

    return change


def test_the_classes_of_the_network_are_those_of_the_card(bundle: Bundle) -> None:
    assert bundle.card.classes == ("a", "b")
    check_onnx(bundle.onnx, bundle.card, source="it")  # as of before: it says none
    check_onnx(spoil(bundle, saying('["a", "b"]')), bundle.card, source="it")


@pytest.mark.parametrize(
    "said",
    [
        '["b", "a"]',
        '["a"]',
        '["a", "b", "c"]',
        '"ab"',
        "",
        "{",
        "[NaN]",
        "[" * 10**5,
        "\x1b" * 9999,
    ],
    ids=lambda said: said[:10],
)
def test_classes_in_another_order_are_refused(bundle: Bundle, said: str) -> None:
    refuse(bundle, saying(said), "does not fit its card: the network answers for", ModelError)
    refuse(bundle, saying('["a", "b"]', said), "does not fit its card", ModelError)
    refuse(bundle, saying(said, '["a", "b"]'), "does not fit its card", ModelError)


@pytest.mark.parametrize("which", ["tiny_bundle", "tiny_bundle_int8"])
def test_a_card_cannot_exchange_the_classes(which: str, request: pytest.FixtureRequest) -> None:
    """Not even one whose every other word was changed to fit."""
    opened = open_bundle(request.getfixturevalue(which))
    values = json.loads(opened.card.to_json())
    values["classes"].reverse()
    values["training"]["classes"] = values["classes"]
    values["probes"]["logits"] = [row[::-1] for row in values["probes"]["logits"]]
    other = Card.from_json(json.dumps(values), source="it")
    with pytest.raises(ModelError, match=r"the network answers for the classes \[\"glioma"):
        Session(dataclasses.replace(opened, card=other))
