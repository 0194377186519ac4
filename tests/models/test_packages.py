"""Models of other packages: found without running anything of theirs, or passed over by name."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tumorlens.apps.cli.main import cli
from tumorlens.classifier import load
from tumorlens.errors import ModelError
from tumorlens.models.packages import models_of_packages
from tumorlens.models.store import DEFAULT_MODEL, bundled_models, find_bundle


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site: Path, value: str, *, name: str = "more-models", text: str | None = None) -> None:
    """Install a distribution with one entry point."""
    info = site / f"{name.replace('-', '_')}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    said = text or f"[tumorlens.models]\n{name} = {value}\n"
    (info / "entry_points.txt").write_bytes(said.encode("latin-1"))
    importlib.invalidate_caches()


def bring(site: Path, package: str, bundle: Path, name: str, *, code: str = "") -> Path:
    """Put a model into a package."""
    folder = site / package
    shutil.copytree(bundle, folder / name)
    (folder / "__init__.py").write_text(code)
    return folder / name


def test_a_package_brings_a_model_by_name(site: Path, tiny_bundle: Path, picture: Path) -> None:
    folder = bring(site, "more_models", tiny_bundle, "zebra")
    install(site, "more_models")
    assert "zebra" in bundled_models()
    classifier = load("zebra", threads=1)
    assert classifier.place.folder == folder
    assert classifier.place.notes == ()
    assert classifier.predict(picture).label == load(folder, threads=1).predict(picture).label


def test_nothing_of_the_package_runs(site: Path, tiny_bundle: Path) -> None:
    bring(site, "more_models", tiny_bundle, "zebra", code="raise SystemExit(3)")
    install(site, "more_models")
    assert find_bundle("zebra").origin == "zebra"
    assert "more_models" not in sys.modules


ODD = {
    "no package": ("nowhere_to_be_found", "there is no package 'nowhere_to_be_found'"),
    "a module": ("this", "there is no package 'this'"),
    "without models": ("email", "has no folder with a model.json"),
    "inside another": ("more.models", "is no name of a package"),
    "an attribute": ("more:models", "is no name of a package"),
    "a path": ("../../etc", "is no name of a package"),
    "nothing": ("", "is no name of a package"),
    "escapes": ("\x1b]0;owned\x07", "is no name of a package"),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_entry_point_is_named_and_passed_over(
    site: Path, tiny_bundle: Path, odd: str
) -> None:
    value, why = ODD[odd]
    install(site, value, name="broken")
    bring(site, "more_models", tiny_bundle, "zebra")
    install(site, "more_models")
    (note,) = find_bundle("zebra").notes
    assert why in note
    assert "\x1b" not in note
    if odd != "escapes":
        assert "'broken'" in note
    assert load(threads=1).card.name == DEFAULT_MODEL
    done = CliRunner().invoke(cli, ["models"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "package zebra" in done.stdout
    assert why in done.stderr


@pytest.mark.parametrize(
    "text", ["[tumorlens.models]\nno equals sign\n", "[tumorlens.models]\n\xe4 = \xff\n"]
)
def test_entry_points_that_cannot_be_read_are_passed_over(
    site: Path, tiny_bundle: Path, text: str
) -> None:
    bring(site, "more_models", tiny_bundle, "zebra")
    install(site, "more_models")
    install(site, "", name="broken", text=text)
    (note,) = find_bundle("zebra").notes
    assert "the entry points of broken cannot be read" in note


def test_a_package_does_not_replace_a_model(site: Path, tiny_bundle: Path) -> None:
    install(site, "first_models", name="first")
    bring(site, "first_models", tiny_bundle, "zebra")
    bring(site, "first_models", tiny_bundle, DEFAULT_MODEL)
    install(site, "second_models", name="second")
    bring(site, "second_models", tiny_bundle, "zebra")
    assert find_bundle().folder == find_bundle(DEFAULT_MODEL).folder
    assert site not in find_bundle().folder.parents
    found, passed = models_of_packages()
    assert found["zebra"].parent.parent == site
    assert any("brings 'zebra' once more" in one for one in passed)
    done = CliRunner().invoke(cli, ["models"], catch_exceptions=False)
    assert f"a package brings {DEFAULT_MODEL!r} once more" in done.stderr
    assert done.stdout.count(f" {DEFAULT_MODEL}\n") == 0  # the one that ships is "the default"


def test_a_broken_card_of_a_package_does_not_break_the_list(site: Path, tiny_bundle: Path) -> None:
    card = bring(site, "more_models", tiny_bundle, "zebra") / "model.json"
    card.write_text(json.dumps({"schema": "\x1b[2J"}))
    install(site, "more_models")
    done = CliRunner().invoke(cli, ["models"], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"ships   {DEFAULT_MODEL}" in done.stdout
    assert "zebra" in done.stderr
    assert "\x1b" not in done.output


def test_what_is_passed_over_is_told_where_a_model_is_missing(site: Path) -> None:
    install(site, "nowhere_to_be_found", name="broken")
    with pytest.raises(
        ModelError, match=r"no model 'zebra'.*the entry point 'broken' of tumorlens"
    ):
        find_bundle("zebra")


def test_a_path_does_not_wait_for_the_packages(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorlens.models.store.models_of_packages", None)
    assert find_bundle(tiny_bundle).folder == tiny_bundle
    assert find_bundle().origin == DEFAULT_MODEL
    assert find_bundle(os.fspath(tiny_bundle)).folder == tiny_bundle
