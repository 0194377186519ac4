"""Cards: read back as written, and refused with the name of what is wrong."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from tumorlens.errors import ModelError
from tumorlens.images.prepare import PREPARATION
from tumorlens.models.card import SCHEMA, Card, FeatureLayer, InputFormat, NoveltyLimit, Probes

CARD = Card(
    name="model",
    version="7",
    network="tiny",
    classes=("glioma", "meningioma", "notumor", "pituitary"),
    input=InputFormat(64, 3, "NHWC", (-1.0, 1.0), PREPARATION),
    features=FeatureLayer("relu_4", 16.0, 15.0, "NHWC"),
    files={"model.onnx": {"sha256": "ab" * 32, "bytes": 12}, "far.safetensors": {"bytes": 5}},
    precision="int8",
    temperature=1.5,
    set_level=0.9,
    training={"epochs": 3},
    metrics={"accuracy": 0.5},
    description="Größe × 2",
    limitations="many",
    layers=("relu_1", "relu_4"),
    probes=Probes("probe/1", ((1.5, -2.0, 0.0, 3.0), (0.0, 0.0, 1.0, 0.0)), 0.1),
    set_thresholds=(0.3, 0.25, 0.5, 0.0),
    novelty=NoveltyLimit("far.safetensors", 0.4, 0.99),
)


def test_a_card_is_read_back_as_it_was_written() -> None:
    again = Card.from_json(CARD.to_json(), source="here")
    assert again == CARD
    assert Card.from_json(again.to_json().encode(), source="here") == CARD
    assert again.id == "model@7"


def test_a_card_without_layers_knows_none() -> None:
    older = values()
    del older["layers"]
    assert Card.from_json(json.dumps(older), source="here").layers == ()


def values() -> dict[str, Any]:
    return copy.deepcopy(json.loads(CARD.to_json()))


def test_the_text_is_plain_json_with_a_schema() -> None:
    assert values()["schema"] == SCHEMA
    assert values()["classes"] == list(CARD.classes)
    assert CARD.to_json().endswith("}\n")


WRONG: list[tuple[str, Any]] = [
    ("schema", SCHEMA + 1),
    ("schema", 0),
    ("schema", "1"),
    ("files", {"../model.onnx": {"bytes": 5}}),
    ("files", {"/etc/passwd": {"bytes": 5}}),
    ("files", {"..": {"bytes": 5}}),
    ("files", {"a\\b": {"bytes": 5}}),
    ("probes", 5),
    ("probes.drawing", ""),
    ("probes.logits", []),
    ("probes.logits", 5),
    ("probes.logits", [[1.0, 2.0]]),
    ("probes.logits", [[1.0, 2.0, 3.0, "four"]]),
    ("probes.tolerance", 0),
    ("set_thresholds", 5),
    ("set_thresholds", [0.5]),
    ("set_thresholds", [0.5, 0.5, 0.5, 1.5]),
    ("set_thresholds", [0.5, 0.5, 0.5, "half"]),
    ("novelty", 5),
    ("novelty.file", "other.npz"),
    ("novelty.file", "../far.safetensors"),
    ("novelty.limit", 0),
    ("novelty.limit", "far"),
    ("novelty.accepted", 1.5),
    ("novelty.others", "CT"),
    ("novelty.others", [5]),
    ("novelty.others", ["CT", "CT"]),
    ("novelty.others", ["C\nT"]),
    ("classes", ["one"]),
    ("classes", ["one", "one"]),
    ("classes", []),
    ("classes", 5),
    ("temperature", 0),
    ("temperature", -1.0),
    ("temperature", float("nan")),
    ("temperature", "warm"),
    ("set_level", 0),
    ("layers", "relu_4"),
    ("layers", ["relu_1"]),
    ("layers", ["relu_4", "relu_4"]),
    ("layers", [7, "relu_4"]),
    ("layers", ["two\nlines", "relu_4"]),
    ("set_level", 1.1),
    ("set_level", None),
    ("input.size", 4),
    ("input.size", 5000),
    ("input.size", 64.5),
    ("input.size", "64"),
    ("input.channels", 2),
    ("input.layout", "HWC"),
    ("input.value_range", [1.0, 1.0]),
    ("input.value_range", [0.0, 0.5, 1.0]),
    ("input.value_range", ["black", "white"]),
    ("input.value_range", 1.0),
    ("input.preparation", "squash/1"),
    ("name", "x" * 201),
    ("version", "x" * 201),
    ("classes", ["x" * 201, "b", "c", "d"]),
    ("classes", [str(i) for i in range(1001)]),
    ("layers", ["x" * 201, "relu_4"]),
    ("features.name", "x" * 201),
    ("features.name", "\x1b]0;owned"),
    ("features.name", 5),
    ("features.stride", 0),
    ("features.stride", "wide"),
    ("features.offset", "left"),
    ("features.layout", "CHW"),
    ("files", ["model.onnx"]),
    ("files", {"model.onnx": 5}),
    ("input.value_range", [0.0, 1e30]),
    ("name", ""),
    ("name", None),
    ("name", "two\nlines"),
    ("classes", ["a", "b", "", "d"]),
    ("classes", ["gl\x1b[31mioma", "b"]),
    ("description", 5),
    ("metrics", None),
    ("training", []),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=str)
def test_a_wrong_field_is_refused_by_name(field: str, value: Any) -> None:
    wrong = values()
    *path, last = field.split(".")
    inner = wrong[path[0]] if path else wrong
    inner[last] = value
    with pytest.raises(ModelError) as caught:
        Card.from_json(json.dumps(wrong), source="a/model.json")
    message = str(caught.value)
    assert message.startswith("a/model.json is not a usable model card: ")
    said = {"preparation": "prepared as 'squash/1'", "temperature": "NaN is no JSON"}
    assert last in message or said[last] in message


@pytest.mark.parametrize(
    "field", ["schema", "name", "version", "classes", "input", "features", "files", "precision"]
)
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    wrong = values()
    del wrong[field]
    with pytest.raises(ModelError, match=rf"a/model\.json is not a usable model card.*{field}"):
        Card.from_json(json.dumps(wrong), source="a/model.json")


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="magic"):
        Card.from_json(json.dumps({**values(), "magic": 1}), source="here")
    wrong = values()
    wrong["input"]["magic"] = 1
    with pytest.raises(ModelError, match="magic"):
        Card.from_json(json.dumps(wrong), source="here")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "null", '"card"', b"\xff\xfe\x00", "[" * 100_000, "{}"]
)
def test_what_is_no_card_is_refused(text: str | bytes) -> None:
    with pytest.raises(ModelError, match="here is not a usable model card"):
        Card.from_json(text, source="here")


def test_classes_in_another_order_than_they_were_trained_in_are_refused() -> None:
    wrong = values()
    wrong["training"] = {"classes": wrong["classes"][::-1]}
    with pytest.raises(ModelError, match="`classes` differ from those it was trained on"):
        Card.from_json(json.dumps(wrong), source="a/model.json")


def test_a_card_of_the_first_schema_is_brought_up_to_date() -> None:
    old = {**values(), "schema": 1}
    for later in ("probes", "set_thresholds", "novelty"):
        del old[later]
    card = Card.from_json(json.dumps(old), source="here")
    assert card == dataclasses.replace(CARD, probes=None, set_thresholds=(), novelty=None)
    assert json.loads(card.to_json())["schema"] == SCHEMA


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema", True), ("size", True), ("size", 64.0), ("channels", True), ("channels", 3.0)],
)
def test_what_counts_is_an_integer(field: str, value: object) -> None:
    wrong = values()
    (wrong if field == "schema" else wrong["input"])[field] = value
    with pytest.raises(ModelError, match=field):
        Card.from_json(json.dumps(wrong), source="here")


@pytest.mark.parametrize("field", ["metrics", "training"])
@pytest.mark.parametrize("text", [str(10**400), "1e999", "[" * 400 + "]" * 400])
def test_absurd_values_are_refused_wherever_they_are(field: str, text: str) -> None:
    whole = json.dumps({**values(), field: {"here": 0}}).replace('"here": 0', f'"here": {text}')
    with pytest.raises(ModelError, match=r"too large to compute with|nested too deeply"):
        Card.from_json(whole, source="here")


@pytest.mark.parametrize("field", ["temperature", "set_level"])
@pytest.mark.parametrize("value", [True, 10**400])
def test_what_is_computed_with_is_a_number(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"{field}|too large"):
        Card.from_json(json.dumps({**values(), field: value}), source="here")
    with pytest.raises(ModelError, match=field):
        dataclasses.replace(CARD, **{field: value})


def test_an_unknown_field_cannot_command_a_terminal() -> None:
    with pytest.raises(ModelError) as caught:
        Card.from_json(json.dumps({**values(), "\x1b[2J" + "x" * 10**6: 1}), source="here")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 10**4


def test_a_card_of_the_second_schema_is_not_calibrated() -> None:
    old = {**values(), "schema": 2}
    for later in ("set_thresholds", "novelty"):
        del old[later]
    card = Card.from_json(json.dumps(old), source="here")
    assert card == dataclasses.replace(CARD, set_thresholds=(), novelty=None)


def test_a_card_of_the_third_schema_knows_no_other_kinds() -> None:
    old = {**values(), "schema": 3}
    del old["novelty"]["others"]
    card = Card.from_json(json.dumps(old), source="here")
    assert card.novelty is not None
    assert card.novelty.others == ()
