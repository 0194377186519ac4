"""Bundles: found by name or path, and trusted only when they are what their card says."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tumorlens.classifier import load
from tumorlens.errors import ModelError
from tumorlens.models import packages, store
from tumorlens.models.store import DEFAULT_MODEL, bundled_models, installed_models, open_bundle


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of one's own to spoil."""
    return shutil.copytree(tiny_bundle, tmp_path / "mine")


@pytest.fixture
def shipped(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships two models, and something else."""
    folder = tmp_path / "bundled"
    for name in ("zebra", DEFAULT_MODEL):
        shutil.copytree(tiny_bundle, folder / name)
    (folder / "__pycache__").mkdir()
    monkeypatch.setattr(store, "_bundled", lambda: folder)
    monkeypatch.setattr(packages, "distributions", list)
    return folder


def test_a_bundle_is_opened_by_path(tiny_bundle: Path) -> None:
    for path in (tiny_bundle, str(tiny_bundle)):
        opened = open_bundle(path)
        assert opened.folder == tiny_bundle
        assert opened.card.name == "tiny-float"
        assert opened.onnx == (tiny_bundle / "model.onnx").read_bytes()


def test_a_model_that_ships_is_opened_by_name(shipped: Path) -> None:
    assert bundled_models() == sorted(["zebra", DEFAULT_MODEL])
    assert open_bundle("zebra").folder == shipped / "zebra"
    assert open_bundle().folder == open_bundle(DEFAULT_MODEL).folder == shipped / DEFAULT_MODEL


def test_an_unknown_name_lists_what_ships(shipped: Path) -> None:
    del shipped
    with pytest.raises(ModelError) as caught:
        open_bundle("unicorn")
    assert "'unicorn'" in str(caught.value)
    assert f"{DEFAULT_MODEL}, zebra" in str(caught.value)


def test_an_unknown_name_says_what_brings_more(shipped: Path) -> None:
    del shipped
    with pytest.raises(ModelError, match=r"more come with `pip install \./models` in a clone"):
        load("xception-reference")


def test_only_the_default_ships_with_the_package() -> None:
    own, others, passed = installed_models()
    assert [place.origin for place in own] == [DEFAULT_MODEL]
    assert {place.origin for place in others} >= {"mobilenetv2-official", "xception-reference"}
    assert passed == ()


def test_nothing_shipped_is_no_reason_to_break(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_bundled", lambda: tmp_path / "nowhere")
    monkeypatch.setattr(packages, "distributions", list)
    assert bundled_models() == []
    assert open_bundle(tiny_bundle).card.name == "tiny-float"


@pytest.mark.parametrize("name", bundled_models())
def test_whatever_ships_opens_and_knows_its_name(name: str) -> None:
    card = load(name, threads=1).card
    assert card.name == name
    assert DEFAULT_MODEL in bundled_models()
    assert card.intended_use
    assert card.limitations


@pytest.mark.parametrize("name", ["", "x" * 300, "a/b/c", "nul\0byte"])
def test_odd_names_are_no_models(name: str) -> None:
    with pytest.raises(ModelError):
        open_bundle(name)


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"as a path it has no model\.json in it"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_one_changed_byte_of_the_network_is_refused(bundle: Path, where: float) -> None:
    path = bundle / "model.onnx"
    content = bytearray(path.read_bytes())
    content[-1 if where == -1 else int(where * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx is not the file its card describes"):
        open_bundle(bundle)


def test_a_missing_network_is_refused(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*model\.onnx: No such file"):
        open_bundle(bundle)


def test_a_card_that_names_no_network_is_refused(
    bundle: Path, change_card: Callable[..., None]
) -> None:
    change_card(bundle, files={})
    with pytest.raises(ModelError, match=r"names no model\.onnx"):
        open_bundle(bundle)


def test_a_card_without_a_hash_is_refused(bundle: Path, change_card: Callable[..., None]) -> None:
    change_card(bundle, files={"model.onnx": {"bytes": 5}})
    with pytest.raises(ModelError, match="is not the file its card describes"):
        open_bundle(bundle)


def test_files_that_are_too_large_are_not_read(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorlens.models.bundle._MODEL_LIMIT", 2**10)
    with pytest.raises(ModelError, match=r"model\.onnx is larger than"):
        open_bundle(bundle)
    card = json.loads((bundle / "model.json").read_text())
    card["description"] = "x" * (5 * 2**20)
    (bundle / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"model\.json is larger than 4 MiB"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_a_pipe_in_a_bundle_is_refused_and_not_waited_for(
    tiny_bundle: Path, tmp_path: Path, name: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(ModelError):
        open_bundle(bundle)
