"""Verification: a good bundle passes, and every kind of damage is named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tumorlens.errors import ModelError
from tumorlens.models.bundle import read_card
from tumorlens.models.head import Head
from tumorlens.models.store import bundled_models, open_bundle
from tumorlens.publish.verify import Verification, verify_bundle


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil."""
    return shutil.copytree(tiny_bundle, tmp_path / "mine")


def found(result: Verification) -> dict[str, bool | None]:
    return {check.name: check.passed for check in result.checks}


WHOLE = dict.fromkeys(("card", "model.onnx", "weights.safetensors", "network", "probes"), True)


@pytest.mark.parametrize("which", ["tiny_bundle", "tiny_bundle_int8"])
def test_what_was_exported_passes(which: str, request: pytest.FixtureRequest) -> None:
    result = verify_bundle(request.getfixturevalue(which))
    assert result.passed
    assert found(result) == WHOLE
    assert result.model.startswith("tiny-")


@pytest.mark.parametrize("name", bundled_models())
def test_what_ships_passes(name: str) -> None:
    checks = found(verify_bundle(name))
    assert WHOLE.items() <= checks.items()
    assert all(checks.values())


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors"])
def test_a_changed_byte_is_named(bundle: Path, name: str) -> None:
    path = bundle / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = verify_bundle(bundle)
    assert not result.passed
    assert found(result)[name] is False
    assert ("WRONG      " + name) in result.to_text()


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "weights.safetensors").unlink()
    result = verify_bundle(bundle)
    assert found(result) == {**WHOLE, "weights.safetensors": False}


def test_a_wrong_size_on_the_card_is_named(bundle: Path, change_card: Callable[..., None]) -> None:
    files = open_bundle(bundle).card.files
    files["weights.safetensors"]["bytes"] += 1
    change_card(bundle, files=files)
    assert found(verify_bundle(bundle))["weights.safetensors"] is False


def test_other_answers_are_named(bundle: Path, change_card: Callable[..., None]) -> None:
    probes = open_bundle(bundle).card.probes
    assert probes is not None
    rows = [list(row) for row in probes.logits]
    rows[2][1] += 3 * probes.tolerance
    change_card(bundle, probes=dataclasses.replace(probes, logits=tuple(map(tuple, rows))))
    result = verify_bundle(bundle)
    assert found(result) == {**WHOLE, "probes": False}
    assert "is allowed" in result.to_text()


def test_a_card_cannot_allow_other_answers(bundle: Path, change_card: Callable[..., None]) -> None:
    probes = open_bundle(bundle).card.probes
    assert probes is not None
    rows = [list(row) for row in probes.logits]
    rows[2][1] += 3 * probes.tolerance
    change_card(
        bundle,
        probes=dataclasses.replace(probes, logits=tuple(map(tuple, rows)), tolerance=1e9),
    )
    assert found(verify_bundle(bundle)) == {**WHOLE, "probes": False}


def test_a_head_that_is_not_the_network_s_is_named(spot_bundle: Callable[..., Path]) -> None:
    own = verify_bundle(spot_bundle((2.0, -1.0)))
    assert found(own)["network"] is True
    kernel = np.array([[-1.0, 2.0]], np.float32)  # each class explained by the other's evidence
    lie = Head("avg", ((kernel, np.zeros(2, np.float32)),))
    result = verify_bundle(spot_bundle((2.0, -1.0), head=lie))
    assert found(result)["network"] is False
    assert "the head that explains it is another's" in result.to_text()


def test_a_card_that_changes_while_it_is_read_is_read_once(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_card(bundle)
    cards = iter([card])
    monkeypatch.setattr("tumorlens.publish.verify.read_card", lambda _: next(cards))
    (bundle / "model.json").write_text("changed")
    assert found(verify_bundle(bundle)) == WHOLE


def test_a_file_too_large_is_not_hashed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorlens.publish.verify.LARGEST_FILE", 100)
    result = verify_bundle(bundle)
    assert found(result)["weights.safetensors"] is False
    assert "weights.safetensors: larger than 0 MiB, and not read" in result.to_text()


def test_more_probes_than_are_drawn_are_no_crash(
    bundle: Path, change_card: Callable[..., None]
) -> None:
    probes = open_bundle(bundle).card.probes
    assert probes is not None
    change_card(bundle, probes=dataclasses.replace(probes, logits=probes.logits[:3]))
    assert found(verify_bundle(bundle)) == {**WHOLE, "probes": False}


def test_a_card_without_probes_passes_and_says_so(
    bundle: Path, change_card: Callable[..., None]
) -> None:
    change_card(bundle, probes=None)
    card = json.loads((bundle / "model.json").read_text())
    del card["probes"]
    (bundle / "model.json").write_text(json.dumps({**card, "schema": 1}))
    result = verify_bundle(bundle)
    assert result.passed
    assert found(result) == {**WHOLE, "probes": None}
    assert "export the model again" in result.to_text()


def test_files_that_the_card_does_not_name_are_told(bundle: Path) -> None:
    (bundle / "extra.pkl").write_bytes(b"x")
    result = verify_bundle(bundle)
    assert result.passed
    assert found(result) == {**WHOLE, "other files": None}
    assert "extra.pkl: not named by the card" in result.to_text()


def test_an_unsafe_network_is_named(bundle: Path, change_card: Callable[..., None]) -> None:
    change_card(bundle, classes=("a", "b"), training={}, probes=None)
    result = verify_bundle(bundle)
    assert found(result)["network"] is False
    assert "does not fit its card" in result.to_text()


def test_no_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model"):
        verify_bundle(tmp_path)


def test_it_is_told_as_json(bundle: Path) -> None:
    told = verify_bundle(bundle).to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["passed"] is True
    assert [check["name"] for check in told["checks"]] == list(WHOLE)


def test_a_file_s_name_cannot_command_a_terminal(bundle: Path) -> None:
    (bundle / "\x1b[2Jgone").write_bytes(b"x")
    (bundle / ("n" * 200 + "\nok         card: fine")).write_bytes(b"x")
    lines = verify_bundle(bundle).to_text().split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(WHOLE) + 1
