"""``tumorlens data plot``, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tumorlens.apps.cli.plot import plot
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_phantoms(tmp_path / "set", training=1, testing=1, size=48)


def test_names_every_file_it_wrote(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    done = CliRunner().invoke(plot, [str(folder), "--out", str(out), "--seed", "5"])
    assert done.exit_code == 0, done.output
    assert {Path(line) for line in done.stdout.splitlines()} == set(out.iterdir())
    assert done.stdout.splitlines()[-1] == str(out / "index.html")
    assert "read pictures 8/8" in done.stderr


def test_errors_are_ours(tmp_path: Path) -> None:
    done = CliRunner().invoke(plot, [str(tmp_path), "--out", str(tmp_path / "figures")])
    assert isinstance(done.exception, DataError)
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("wrong", [[], ["x"], ["x", "--out", "y", "--seed", "-1"]])
def test_wrong_usage(wrong: list[str]) -> None:
    assert CliRunner().invoke(plot, wrong).exit_code == 2
