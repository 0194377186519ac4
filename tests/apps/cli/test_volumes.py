"""Series and volumes on the command line: a row a slice, and one for all of them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

import tumorlens
from tumorlens.apps.cli.main import cli
from tumorlens.data.folder import CLASSES

pytest.importorskip("pydicom")
nib: Any = pytest.importorskip("nibabel")

from dicoms import SECRETS, write_series  # noqa: E402
from drawn_heads import draw_head  # noqa: E402

Run = Callable[..., tuple[int, str, str]]


def stack(count: int = 6) -> NDArray[np.int16]:
    """Draw slices, the outermost ones blank but for one pixel."""
    head = draw_head("glioma", 3, 96).astype(np.int16) * 4
    values = np.stack([head + i for i in range(count)])
    values[0] = 0
    values[0, 5, 5] = 3
    return values


@pytest.fixture
def bundle(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Path:
    made = spot_bundle((60.0, 0.5, -30.0, -40.0))
    change_card(made, classes=tuple(CLASSES))
    return made


def rows_of(said: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = [json.loads(line) for line in said.splitlines()]
    return [r for r in rows if "volume" not in r], [r for r in rows if "volume" in r]


def test_a_folder_of_two_series_a_scout_and_a_picture(
    run: Run, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "scan"
    first = write_series(folder, stack())
    write_series(folder, stack(4)[:, :, ::-1], "1.2.4", PatientName="Other^One")
    write_series(folder, stack(3), "1.2.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    Image.fromarray(draw_head("glioma", 3, 96)).save(folder / "zz.png")
    (folder / "first-copy").write_bytes(first[0].read_bytes())
    first[3].unlink()
    status, said, told = run("predict", folder, "--json", "--model", bundle)
    assert status == 0
    slices, volumes = rows_of(said)
    assert len(slices) == 5 + 4 + 1
    assert sorted(v["volume"]["slices"] for v in volumes) == [4, 5]
    six = next(v for v in volumes if v["volume"]["slices"] == 5)
    assert six["path"] == str(folder)
    own = [r for r in slices if r["path"] in {str(p) for p in first} | {str(folder / "first-copy")}]
    assert [r["slice"] for r in own] == list(range(5))
    assert [r["position_mm"][2] for r in own] == [0, 3, 6, 12, 15]
    assert six["volume"]["without_brain"] == 1
    assert six["volume"]["assessable"] == 4
    assert set(six["volume"]["peak"]) >= {"slice", "row", "column", "mm"}
    assert six["volume"]["peak"]["space"] == "LPS"
    assert "1 slices are missing" in told
    assert "3 localisers are left out" in told
    assert "copies" in told
    assert not any(secret in said + told for secret in (*SECRETS, "Other^One"))


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_the_first_slice_of_several_carries_its_number_too(
    run: Run, bundle: Path, tmp_path: Path, command: str
) -> None:
    write_series(tmp_path / "scan", stack(3)[1:])
    Image.fromarray(draw_head("glioma", 3, 96)).save(tmp_path / "scan" / "zz.png")
    options = ("--out", tmp_path / "why") if command == "explain" else ()
    status, said, _ = run(command, tmp_path / "scan", "--model", bundle, *options)
    assert status == 0
    if command == "predict":
        assert re.search(r"peak in slice \d at [-\d., ]+ mm \(LPS\)", said)
    assert re.findall(r"\S (\[\d\])", said) == ["[0]", "[1]"]  # and none after zz.png


def test_the_table_has_the_volume_as_the_archive_has_it(
    run: Run, bundle: Path, tmp_path: Path
) -> None:
    write_series(tmp_path / "scan", stack(4))
    own, archive = tmp_path / "own.csv", tmp_path / "archive.csv"
    for option, table in (("--csv", own), ("--out", archive)):
        assert run("predict", tmp_path / "scan", option, table, "--model", bundle)[0] == 0
    with own.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["slice"] for row in rows] == ["0", "1", "2", "3", ""]
    assert [row["assessable"] for row in rows] == ["false", *4 * ["true"]]  # the first is blank
    assert rows[0]["label"]
    assert (rows[4]["path"], rows[4]["label"]) == (str(tmp_path / "scan"), "glioma")
    assert sorted(own.read_text().splitlines()) == sorted(archive.read_text().splitlines())


def test_one_damaged_slice_stops_nothing(run: Run, bundle: Path, tmp_path: Path) -> None:
    files = write_series(tmp_path / "scan", stack(8))
    for place in (1, 4):
        files[place].write_bytes(files[place].read_bytes()[:-500])
    status, said, told = run("predict", tmp_path / "scan", "--json", "--model", bundle)
    assert status == 1
    slices, volumes = rows_of(said)
    bad = {row["path"] for row in slices if "error" in row}
    assert bad == {str(files[1]), str(files[4])}
    assert sum("label" in row for row in slices) == 6
    assert len(volumes) == 1
    assert "2 of 8 files could not be read" in told


def test_every_plane_of_a_nifti(run: Run, bundle: Path, tmp_path: Path) -> None:
    values = np.repeat(draw_head("glioma", 3, 64).astype(np.float32)[..., None], 60, axis=2)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(values, affine), path)
    status, said, _ = run("predict", path, "--json", "--plane", "all", "--model", bundle)
    assert status == 0
    slices, volumes = rows_of(said)
    assert [v["volume"]["plane"] for v in volumes] == ["axial", "coronal", "sagittal"]
    assert [v["volume"]["slices"] for v in volumes] == [60, 64, 64]
    assert len(slices) == 188
    for volume in volumes:
        peak = volume["volume"]["peak"]
        assert peak["space"] == "RAS"
        assert np.allclose(affine[:3, :3] @ peak["voxel"], peak["mm"], atol=1.01)


def test_a_volume_on_standard_input_is_cut_and_answered_whole(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.nii.gz"
    nib.save(nib.Nifti1Image(stack().transpose(2, 1, 0), np.diag([1.0, 1, 3, 1])), path)
    command = [sys.executable, "-m", "tumorlens", "predict", "-", "--json", "--model", str(bundle)]
    for plane, count in (("axial", 6), ("sagittal", 96)):
        with path.open("rb") as file:
            done = subprocess.run(
                [*command, "--plane", plane], stdin=file, capture_output=True, text=True, check=True
            )
        slices, volumes = rows_of(done.stdout)
        assert (len(slices), volumes[0]["path"]) == (count, "-")
        assert (volumes[0]["volume"]["plane"], volumes[0]["volume"]["slices"]) == (plane, count)


def test_from_python(bundle: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "scan", stack())
    volume = tumorlens.read_volume(tmp_path / "scan")
    answer = tumorlens.load(bundle).predict_volume(volume)
    assert (len(volume), answer.slices, answer.assessable) == (6, 6, 5)
    assert answer.label == "glioma"
    assert answer.peak is not None
    assert answer.to_dict()["volume"]["peak"]["slice"] == answer.peak.slice
    assert tumorlens.read_volume(tmp_path / "scan", "coronal").geometry.plane == "coronal"
    write_series(tmp_path / "scan", stack(), "9.9")
    with pytest.raises(tumorlens.UnreadableImageError, match="2 volumes"):
        tumorlens.read_volume(tmp_path / "scan")


def test_lines_for_people(run: Run, bundle: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "scan", stack())
    status, said, _ = run("predict", tmp_path / "scan", "--plane", "axial", "--model", bundle)
    assert status == 0
    assert len(said.splitlines()) == 7
    assert "volume" in said.splitlines()[-1]
    assert "5 of 6 slices assessable" in said


def test_a_table_is_not_written_over_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(path)
    before = path.read_bytes()
    done = CliRunner().invoke(cli, ["predict", str(tmp_path), "--csv", str(path)])
    assert done.exit_code == 2
    assert "is one of the files to be read; name another" in done.stderr
    assert path.read_bytes() == before
