"""The model card has every section and every number of the JSON it is made of."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tumorlens.apps.cli.main import main
from tumorlens.data.phantom import write_phantoms
from tumorlens.evaluate.evaluation import evaluate
from tumorlens.models.bundle import read_card
from tumorlens.models.card import Card
from tumorlens.models.store import DEFAULT_MODEL, bundled_models, find_bundle
from tumorlens.publish.model_card import SECTIONS, model_card

SHIPPED = "mobilenetv2-official"  # leaky, and not calibrated
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an evaluation of the shipped model on drawn heads writes."""
    data = write_phantoms(tmp_path_factory.mktemp("data") / "set", training=2, testing=2, size=96)
    found = evaluate(data, model=SHIPPED, bootstrap=20)
    return dict(json.loads(json.dumps(found.to_dict())))


@pytest.fixture
def card() -> Card:
    return read_card(find_bundle(SHIPPED).folder)


CALIBRATION = {
    "n": 1405,
    "groups": 138,
    "leaky": False,
    "ece_before": 0.0612,
    "ece_after": 0.0121,
    "accepted": 0.9915,
    "per_class": {
        "glioma": {
            "slices": 324,
            "groups": 12,
            "lowest": 0.3321,
            "coverage": 0.9432,
            "promised": 0.8797,
        }
    },
}


def test_every_section_is_there_once_and_in_order(card: Card, metrics: dict[str, Any]) -> None:
    for evaluations in ([], [metrics], [metrics, metrics]):
        titles = [x[3:] for x in model_card(card, evaluations).splitlines() if x[:3] == "## "]
        assert titles == list(SECTIONS)


def numbers_of(found: dict[str, Any]) -> Iterator[float]:
    for name in ("accuracy", "macro_f1", "mcc", "tumour_miss_rate", "ece", "brier"):
        yield found[name]
        yield from found["intervals"][name] or ()
    yield found["auc"]["macro"]
    yield found["prediction_sets"]["mean_size"]
    yield found["accepted"]["share"]
    yield from found["accepted"]["interval"]
    for row in found["per_class"].values():
        yield row["recall"]
    for row in found["prediction_sets"]["per_class"].values():
        yield row["coverage"]


def test_every_number_is_that_of_the_evaluation(card: Card, metrics: dict[str, Any]) -> None:
    text = model_card(card, [metrics])
    for number in numbers_of(metrics):
        assert f"{number:.4f}" in text
    assert metrics["data"]["files_sha256"] in text
    assert "**Leaky.**" in text
    # A number that changes changes the card, and nothing else does.
    other = copy.deepcopy(metrics)
    other["accuracy"] = 0.4321
    changed = set(model_card(card, [other]).splitlines()) ^ set(text.splitlines())
    assert all("accuracy" in line for line in changed)
    assert any("0.4321" in line for line in changed)


def test_without_an_evaluation_it_has_what_the_card_says(card: Card) -> None:
    text = model_card(card)
    assert f"{card.metrics['accuracy']:.4f}" in text
    assert "a split that leaks" in text
    for row in card.metrics["confusion_matrix"]:
        assert f"| {' | '.join(map(str, row))} |" in text
    for words in (card.limitations, card.intended_use, card.description, "Not calibrated"):
        assert words in text
    for file in card.files.values():
        assert file["sha256"] in text


def part(number: float) -> dict[str, Any]:
    """One row of what ``localisation.json`` holds of a method."""
    ends = {"pointing": [number - 0.01, number + 0.01]}
    return {"all": {"pointing": number, "mass": 0.4, "iou_best": 0.3, "intervals": ends}}


def test_where_the_evidence_lies_is_told(card: Card, metrics: dict[str, Any]) -> None:
    hidden = {"n": 90, "stayed": 0.2345, "interval": [0.2, 0.3], "called_no_tumour": 0.7654}
    found = {
        "model": card.id,
        "layer": "fused",
        "n": 123,
        "groups": 45,
        "methods": {"gradcam": part(0.8123), "chance": part(0.0160)},
        "hidden": {"all": {"right": 99, "tumour": hidden}, "glioma": {"right": 0}},
    }
    text = model_card(card, [metrics], [found])
    assert "| gradcam | 0.8123 | 0.8023 to 0.8223 | 0.4000 | 0.3000 |" in text
    assert "| the tumour is painted over, all (90) | 0.2345 | 0.2000 to 0.3000 | 0.7654 |" in text
    assert "123 outlined tumour slices of 45 groups" in text
    with pytest.raises(ValueError, match="is of another@1, not of"):
        model_card(card, [], [{**found, "model": "another@1"}])


def test_the_calibration_is_told(card: Card) -> None:
    calibrated = dataclasses.replace(
        card, temperature=1.234, metrics={**card.metrics, "calibration": CALIBRATION}
    )
    text = model_card(calibrated)
    for number in ("1,405", "138", "1.234", "0.0612", "0.0121", "0.9915"):
        assert number in text
    assert "| glioma | 324 | 12 | 0.3321 | 0.9432 | 0.8797 |" in text


def test_the_whole_recipe_is_told_and_every_member(card: Card) -> None:
    members = [{"seed": seed, "epochs": 6, "weights_sha256": f"{seed}" * 64} for seed in (7, 8)]
    recipe = {"size": 224, "outlines": {"hide": 0.15}}
    joined = dataclasses.replace(card, training={"recipe": recipe, "members": members})
    protocol = model_card(joined).partition("## Protocol")[2].partition("## ")[0]
    assert "- Recipe: size 224, hide 0.15." in protocol
    assert "The mean of 2 networks, the first of that recipe: " in protocol
    for seed in "78":
        assert f"(seed {seed}, epochs 6, weights\\_sha256 {seed * 12})" in protocol
    odd = dataclasses.replace(card, training={"members": ["<b>", 3]})
    assert "<b>" not in model_card(odd)


def test_an_evaluation_of_another_model_is_refused(card: Card, metrics: dict[str, Any]) -> None:
    other = dataclasses.replace(card, version="2")
    with pytest.raises(ValueError, match="is of mobilenetv2-official@1, not of"):
        model_card(other, [metrics])


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["tumorlens", "models", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_the_command_prints_it(
    card: Card,
    metrics: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(metrics))
    assert run(monkeypatch, "--card", SHIPPED, "--metrics", path) == 0
    assert capsys.readouterr().out == model_card(card, [metrics])
    for wrong in ("[]", "{}", "[1]", "no json", json.dumps({"model": {"id": card.id}})):
        path.write_text(wrong)
        assert run(monkeypatch, "--card", SHIPPED, "--metrics", path) == 2
        assert "the model card cannot be written" in capsys.readouterr().err


def test_the_page_in_the_docs_is_that_of_the_default_model() -> None:
    assert DEFAULT_MODEL in bundled_models()
    card = read_card(find_bundle(DEFAULT_MODEL).folder)
    evaluation, localisation = (
        json.loads((DOCS / "measured" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("fold-0", "fold-0-localisation")
    )
    page = (DOCS / "model-card.md").read_text(encoding="utf-8")
    assert page == model_card(card, [evaluation], [localisation])
    # What the card says by itself is what was measured.
    assert card.metrics["accuracy"] == evaluation["accuracy"]
    assert card.metrics["confusion_matrix"] == evaluation["confusion_matrix"]
    assert evaluation["data"]["leaky"] is False
