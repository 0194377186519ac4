"""``tumorlens explain`` on series and volumes: slices to look at first, evidence as a whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tumorlens
from tumorlens.data.folder import CLASSES

pydicom: Any = pytest.importorskip("pydicom")
nib: Any = pytest.importorskip("nibabel")

from dicoms import SECRETS, content, draw_frames, write_series  # noqa: E402
from drawn_heads import draw_head  # noqa: E402
from head_volumes import head_volume, save_nifti  # noqa: E402

Run = Callable[..., tuple[int, str, str]]
HEAD = draw_head("glioma", 3, 96).astype(np.int16) * 4


@pytest.fixture
def bundle(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Path:
    made = spot_bundle((60.0, 0.5, -30.0, -40.0))
    change_card(made, classes=tuple(CLASSES))
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    write_series(tmp_path / "scan", np.stack([HEAD - 8 * i for i in range(8)]))
    return tmp_path / "scan"


def test_a_series_among_pictures(run: Run, bundle: Path, scan: Path, tmp_path: Path) -> None:
    Image.fromarray(draw_head("glioma", 3, 96)).save(scan / "zz.png")
    out = tmp_path / "why"
    status, said, told = run("explain", scan, "--out", out, "--model", bundle)
    assert status == 0
    answer = tumorlens.load(bundle).predict_volume(tumorlens.read_volume(scan))
    first = [f"scan-axial-slice{i}-gradcam-glioma" for i in sorted(answer.look_first)]
    assert names(out) == sorted([*first, "scan-axial-gradcam-glioma", "zz-gradcam"])
    assert len(said.splitlines()) == len(first) + 2
    (line,) = [line for line in said.splitlines() if "volume" in line]
    assert line.endswith(f"->  {out / 'scan-axial-gradcam-glioma'}")
    read = nib.load(out / "scan-axial-gradcam-glioma" / "evidence.nii.gz")
    values = read.get_fdata(dtype=np.float32)
    assert values.shape == (96, 96, 8)
    for name, i in zip(first, sorted(answer.look_first), strict=True):
        record = json.loads((out / name / "manifest.json").read_text())
        assert (record["slice"], record["plane"], record["target"]) == (i, "axial", "glioma")
        scaled = np.load(out / name / "map.npy") * record["peak"]
        np.testing.assert_allclose(values[:, :, i].T, scaled, rtol=1e-4, atol=1e-6)
    for text in (said, told, *map(str, out.rglob("*"))):
        assert not any(secret in text for secret in SECRETS)
    whole = b"".join(path.read_bytes() for path in out.rglob("*.json"))
    assert not any(secret.encode() in whole for secret in SECRETS)
    # Asked again nothing is made, and what lies there is not taken for scans.
    status, said, told = run("explain", scan, "--out", out, "--model", bundle)
    assert f"{len(first) + 2} records were there already" in told
    assert names(out) == sorted([*first, "scan-axial-gradcam-glioma", "zz-gradcam"])
    # But what has lost its evidence is made again, in its place.
    (out / "scan-axial-gradcam-glioma" / "evidence.nii.gz").unlink()
    assert run("explain", scan, "--out", out, "--model", bundle)[0] == 0
    assert (out / "scan-axial-gradcam-glioma" / "evidence.nii.gz").is_file()
    assert names(out) == sorted([*first, "scan-axial-gradcam-glioma", "zz-gradcam"])
    status, said, told = run("predict", scan, out, "--model", bundle)
    assert "passed over what tumorlens wrote" in told
    assert "evidence.nii" not in said


@pytest.mark.parametrize(("asked", "made"), [("all", list(range(8))), ("6,2", [2, 6])])
def test_other_slices(
    run: Run, bundle: Path, scan: Path, tmp_path: Path, asked: str, made: list[int]
) -> None:
    out = tmp_path / "why"
    options = ("--slices", asked, "--target", "meningioma", "--out", out, "--model", bundle)
    assert run("explain", scan, *options)[0] == 0
    slices = [f"scan-axial-slice{i}-gradcam-meningioma" for i in made]
    assert names(out) == sorted([*slices, "scan-axial-gradcam-meningioma"])


def test_a_slice_that_is_not_there_is_an_error(
    run: Run, bundle: Path, scan: Path, tmp_path: Path
) -> None:
    options = ("--out", tmp_path / "why", "--model", bundle)
    Image.fromarray(draw_head("glioma", 3, 96)).save(tmp_path / "zz.png")
    paths = (scan, tmp_path / "zz.png")
    status, said, told = run("explain", *paths, *options, "--slices", "3,99")
    assert status == 1
    assert "(axial): no slice 99; it has slices 0 to 7" in said
    assert len(said.splitlines()) == 4  # the error, slice 3, the volume, and the picture
    assert "could not be read" in told
    status, _, told = run("explain", scan, *options, "--slices", "-3")
    assert status == 2
    assert "first, all, or numbers" in told


def test_every_plane_lies_over_the_same_scan(run: Run, bundle: Path, tmp_path: Path) -> None:
    path = save_nifti(head_volume("axial", (0,), step=2, thick=6), tmp_path / "head.nii.gz")
    out = tmp_path / "why"
    options = ("--plane", "all", "--target", "glioma", "--out", out, "--model", bundle)
    status, _, _ = run("explain", path, *options)
    assert status == 0
    source = nib.load(path)
    for plane in ("axial", "coronal", "sagittal"):
        read = nib.load(out / f"head-{plane}-gradcam-glioma" / "evidence.nii.gz")
        assert read.shape == source.shape
        assert read.affine.tobytes() == source.affine.tobytes()
        assert read.get_fdata().max() > 0


def test_a_damaged_slice_and_a_zip(run: Run, bundle: Path, scan: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in scan.iterdir():
            archive.write(path, path.name)
    broken = next(p for p in scan.iterdir() if pydicom.dcmread(p).InstanceNumber == 4)
    broken.write_bytes(broken.read_bytes()[:-500])
    out = tmp_path / "why"
    paths = (scan, tmp_path / "packed.zip")
    status, _, told = run("explain", *paths, "--out", out, "--model", bundle)
    assert status == 1
    assert re.search(r"1 of \d+ files could not be read", told)  # members count each
    assert {"scan-axial-gradcam-glioma", "packed-axial-gradcam-glioma"} <= set(names(out))
    damaged, whole = (
        nib.load(out / f"{name}-axial-gradcam-glioma" / "evidence.nii.gz")
        for name in ("scan", "packed")
    )
    np.testing.assert_array_equal(damaged.affine, whole.affine)
    hole, full = damaged.get_fdata(), whole.get_fdata()
    assert not hole[:, :, 3].any()
    assert full[:, :, 3].any()
    rest = [i for i in range(8) if i != 3]
    np.testing.assert_allclose(hole[:, :, rest], full[:, :, rest], rtol=1e-4)


def test_nothing_to_see_makes_no_evidence(run: Run, bundle: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "blank", np.zeros((4, 96, 96), np.int16))
    options = ("--out", tmp_path / "why", "--model", bundle)
    status, said, _ = run("explain", tmp_path / "blank", *options)
    assert status == 0
    assert said.startswith("not assessable      volume")
    assert not (tmp_path / "why").exists()


def test_without_nibabel_the_records_are_made_and_a_note_says_what_is_missing(
    run: Run, bundle: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    status, _, told = run("explain", scan, "--out", tmp_path / "why", "--model", bundle)
    assert status == 0
    assert "pip install 'tumorlens[nifti]'" in told
    assert len(names(tmp_path / "why")) == 5


@pytest.mark.parametrize("kind", ["zip", "frames", "picture"])
def test_what_comes_on_standard_input_is_explained_as_its_file_is(
    bundle: Path, scan: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "packed"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in scan.iterdir():
                archive.write(file, file.name)
    elif kind == "frames":
        path.write_bytes(content(draw_frames(np.stack([HEAD - 8 * i for i in range(8)]))))
    else:
        Image.fromarray(draw_head("glioma", 3, 96)).save(path, "PNG")
    said = []
    for given in (str(path), "-"):
        out = tmp_path / f"why{given == '-'}"
        command = [sys.executable, "-m", "tumorlens", "explain", given, "--out", str(out)]
        with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as pipe:  # as a pipe is
            done = subprocess.run(
                [*command, "--model", str(bundle)],
                stdin=pipe.stdout, capture_output=True, text=True, check=True,
            )  # fmt: skip
        said.append(done.stdout.replace(str(out), "OUT").replace(str(path), "-"))
    assert said[1].replace("stdin", "packed") == said[0]
    assert (len(said[0].splitlines()) > 2) == (kind != "picture")
    assert ("volume -" in said[1]) == (kind != "picture")
