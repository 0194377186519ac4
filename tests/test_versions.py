"""Versions are known, installed or not."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import tumorlens
from tumorlens.apps.cli.main import cli
from tumorlens.classifier import load
from tumorlens.models.hub import hub_client, require_hub
from tumorlens.versions import versions_of

HERE = Path(__file__).parents[1]


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A checkout that is not installed, or where another package is not."""
    find = importlib.metadata.Distribution.from_name

    def remove(*names: str) -> None:
        def without(name: str) -> importlib.metadata.Distribution:
            if name in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return find(name)

        monkeypatch.setattr(importlib.metadata.Distribution, "from_name", without)

    return remove


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_checkout_that_is_not_installed_knows_its_version(
    checkout: Callable[..., None], tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    checkout("tumorlens")
    assert run("--version") == f"tumorlens, version {tumorlens.__version__}\n"
    assert f"tumorlens {tumorlens.__version__}, onnxruntime " in run("info")
    load(tiny_bundle, threads=1).explain(picture).save(tmp_path / "record")
    record = json.loads((tmp_path / "record" / "manifest.json").read_text())
    assert record["versions"]["tumorlens"] == tumorlens.__version__
    assert hub_client(require_hub("a test"), None).library_version == tumorlens.__version__


def test_a_module_of_another_package_has_no_known_version(checkout: Callable[..., None]) -> None:
    checkout("onnxruntime")  # as where onnxruntime-gpu brings it
    found = versions_of(["onnxruntime", "numpy"])
    assert found == {"onnxruntime": "unknown", "numpy": np.__version__}
    assert "onnxruntime unknown, numpy" in run("info")


def test_whoever_cites_it_names_the_same_version() -> None:
    said = re.search(r"^version: (\S+)$", (HERE / "CITATION.cff").read_text(), re.MULTILINE)
    assert said is not None
    assert said[1] == tumorlens.__version__
