"""``tumorlens calibrate``, as a user runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tumorlens.data.phantom import write_phantoms

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("data") / "set", training=2, testing=2, size=96)


def test_somebody_elses_slices(run: Run, folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (folder / "Testing" / "glioma" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "new"
    arguments = ["--external", folder, "--out", out, "--limitations", "Drawn only."]
    for picture in (folder / "Testing" / "glioma").glob("glioma*"):  # mistakes to learn from
        shutil.copy(picture, folder / "Testing" / "notumor" / picture.name)
    status, said, err = run("calibrate", tiny_bundle, *arguments, "--level", 0.6)
    (folder / "Testing" / "glioma" / "broken.png").unlink()
    assert status == 1
    assert "unreadable  Testing/glioma/broken.png: " in err
    assert ", from 18 slices of 18 groups" in said
    assert "tiny-float@1-calibrated-" in said
    assert "temperature " in said
    assert "not known whether it leaks" in said
    assert "classifying 19/19" in err
    assert run("verify", out)[0] == 0
    assert "Drawn only." in run("info", "--model", out)[1]


def test_a_model_that_has_seen_them_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    status, _, err = run(
        "calibrate", "mobilenetv2-official", "--data", folder, "--out", tmp_path / "new"
    )
    assert status == 2
    assert "cannot be calibrated on these pictures" in err
    assert not (tmp_path / "new").exists()


def test_wrong_usage(run: Run, folder: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x")
    assert run("calibrate", "mobilenetv2-official", *out)[0] == 2
    both = ("--data", folder, "--external", folder)
    assert run("calibrate", "mobilenetv2-official", *both, *out)[0] == 2
    assert run("calibrate", tmp_path, "--data", folder, *out)[0] == 2
    assert run("calibrate", "mobilenetv2-official", "--data", folder, "--level", 1, *out)[0] == 2
