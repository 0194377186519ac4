"""``tumorlens deidentify``: whole or not at all, and plain about what stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom: Any = pytest.importorskip("pydicom")
pytest.importorskip("dicomanonymizer")

from dicoms import write_series  # noqa: E402

Run = Callable[..., tuple[int, str, str]]
RAMP = np.arange(48 * 64, dtype=np.int16).reshape(48, 64)


def test_the_command_writes_whole_and_says_what_stays(run: Run, tmp_path: Path) -> None:
    scan = tmp_path / "Quixote"
    write_series(scan, np.stack([RAMP, RAMP]), BurnedInAnnotation="YES")
    write_series(scan, np.stack([RAMP]), series="1.2.77", StudyInstanceUID="1.2.9")
    out = tmp_path / "out"
    status, said, told = run("deidentify", scan, "--out", out)
    assert status == 0
    assert "3 files of 2 series are in" in said
    assert "2 files may show in their pixels who it is" in told
    assert "faces and what is burned in stay" in told
    names = sorted(path.name for path in out.rglob("*.dcm"))
    assert names == ["000001.dcm", "000001.dcm", "000002.dcm"]
    assert "Quixote" not in (said + told).replace(str(scan), "")
    status, _, told = run("deidentify", scan, "--out", out)
    assert status == 2
    assert "exists and is not empty" in told
    # It is a scan like any other: three slices, and the volume of two.
    assert len(run("predict", out)[1].splitlines()) == 4


def test_one_bad_file_stops_no_others_and_nothing_good_writes_nothing(
    run: Run, tmp_path: Path
) -> None:
    scan = tmp_path / "scan"
    write_series(scan, np.stack([RAMP]))
    (scan / "notes.txt").write_text("Quixote")
    status, said, told = run("deidentify", scan, "--out", tmp_path / "out")
    assert status == 1
    assert "no DICOM file; give DICOM files" in said
    assert "1 of 2 files could not be read" in told
    status, _, told = run("deidentify", scan / "notes.txt", "--out", tmp_path / "none")
    assert status == 2
    assert "nothing is written" in told
    assert not (tmp_path / "none").exists()
