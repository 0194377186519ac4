"""``tumorlens data download`` and ``tumorlens data check``, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kaggle_server import Kaggle, files_of, manifest_of, serve, zipped
from tumorlens.apps.cli.download import check, download
from tumorlens.data.download import VERSION
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_phantoms(tmp_path / "origin", training=2, testing=1, size=48)


@pytest.fixture
def manifest(folder: Path, tmp_path: Path) -> Path:
    return manifest_of(files_of(folder), tmp_path / "manifest.csv")


@pytest.fixture
def kaggle(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    with serve() as server:
        server.archives[VERSION] = zipped(files_of(folder))
        server.use(monkeypatch, tmp_path)
        yield server


def test_download_says_in_json_what_came(
    kaggle: Kaggle, folder: Path, manifest: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    arguments = ["--out", str(out), "--manifest", str(manifest), "--json"]
    done = CliRunner().invoke(download, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)  # one object and nothing of Kaggle's client
    assert result["version"] == VERSION
    assert result["fetched"] is True
    assert (result["expected"], result["matching"], result["exact"]) == (12, 12, True)
    assert files_of(out) == files_of(folder)
    again = CliRunner().invoke(download, arguments[:-1])
    assert again.exit_code == 0
    assert again.stdout.startswith("there already\n")
    assert len(kaggle.requests) == 1


def test_a_version_that_is_another_set_is_exit_status_1(
    kaggle: Kaggle, folder: Path, manifest: Path, tmp_path: Path
) -> None:
    files = files_of(folder)
    files["Testing/glioma/glioma_0000.png"] = b"changed"
    kaggle.archives[7] = zipped(files)
    done = CliRunner().invoke(
        download,
        ["--out", str(tmp_path / "set"), "--manifest", str(manifest), "--version", "7"],
    )
    assert done.exit_code == 1
    assert "downloaded version 7" in done.stdout
    assert "11 of 12 files match (91.6 %)" in done.stdout
    assert "extra: 1\n  Testing/glioma/glioma_0000.png (not expected)" in done.stdout
    assert f"Try --version {VERSION}" in done.stdout


def test_a_refusal_is_one_of_our_errors(kaggle: Kaggle, manifest: Path, tmp_path: Path) -> None:
    kaggle.status = 403
    arguments = ["--out", str(tmp_path / "set"), "--manifest", str(manifest)]
    done = CliRunner().invoke(download, arguments)
    assert isinstance(done.exception, DataError)
    assert done.stdout == ""


def test_check_needs_no_network(folder: Path, manifest: Path) -> None:
    done = CliRunner().invoke(check, [str(folder), "--manifest", str(manifest)])
    assert done.exit_code == 0
    assert done.stdout == f"{folder}: 12 of 12 files match (100.0 %)\n"
    (folder / "Training" / "glioma" / "glioma_0000.png").unlink()
    done = CliRunner().invoke(check, [str(folder), "--manifest", str(manifest), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["missing"][0]["label"] == "glioma"


@pytest.mark.parametrize(
    "wrong", [[], ["--out", "x", "--version", "0"], ["--out", "x", "--timeout", "0"]]
)
def test_wrong_usage(wrong: list[str]) -> None:
    assert CliRunner().invoke(download, wrong).exit_code == 2
