"""``tumorlens report``: files in, a report out, an exit status that says what was read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.folder import CLASSES

pytest.importorskip("pydicom")

from dicoms import SECRETS, write_series
from drawn_heads import draw_head

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bundle(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Path:
    made = spot_bundle((60.0, 0.5, -30.0, -40.0))
    change_card(made, classes=tuple(CLASSES))
    return made


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A series of a patient, and a picture."""
    folder = tmp_path / "scans"
    head = draw_head("glioma", 3, 96).astype(np.int16) * 4
    write_series(folder, np.stack([head + i for i in range(5)]), PatientComments="Quixote")
    Image.fromarray(draw_head("glioma", 3, 96)).save(folder / "zz.png")
    return folder


def told(path: Path) -> str:
    if path.suffix == ".html":
        return path.read_text()
    if shutil.which("pdftotext") is None:
        pytest.skip("what a PDF says is read by pdftotext: apt install poppler-utils")
    ran = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True)
    return ran.stdout.decode() + repr(path.read_bytes())


@pytest.mark.parametrize("form", ["html", "pdf"])
def test_a_case_is_told_without_its_patient(
    run: Run, bundle: Path, scans: Path, tmp_path: Path, form: str
) -> None:
    if form == "pdf":
        pytest.importorskip("reportlab", reason="a PDF needs the report extra")
    out = tmp_path / f"case.{form}"
    status, said, _ = run("report", scans, "--out", out, "--model", bundle)
    assert (status, said) == (0, f"written: {out}\n")
    text = told(out)
    assert not [secret for secret in SECRETS if secret in text]
    assert "volume of 5 axial slices" in text
    assert re.search(r"LPS\s+-?[\d.]+,\s+-?[\d.]+,\s+-?[\d.]+", text)
    assert "zz.png" in text


def test_what_cannot_be_read_is_status_1_and_in_the_report(
    run: Run, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    (scans / "a<b>.txt").write_text("no scan")
    out = tmp_path / "case.html"
    status, _, err = run("report", scans, tmp_path / "gone", "--out", out, "--model", bundle)
    assert status == 1
    assert "2 of 8 files could not be read" in err
    assert "a&lt;b&gt;.txt</b>" in out.read_text()
    assert "gone</b>" in out.read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--out OUT/case.doc", "a report is .html or .pdf"),
        ("--out OUT/case.html --method none", "there is no method"),
        ("--out OUT/case.html --most 0", "--most"),
        ("--out OUT/file/case.html", "cannot write"),
        ("", "--out"),
    ],
)
def test_wrong_usage_is_status_2_and_leaves_nothing(
    run: Run, bundle: Path, scans: Path, tmp_path: Path, words: str, says: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").write_text("")
    status, _, err = run(
        "report", scans, *words.replace("OUT", str(out)).split(), "--model", bundle
    )
    assert status == 2
    assert says in err
    assert [path.name for path in out.iterdir()] == ["file"]


def test_what_is_there_is_replaced_only_when_asked(
    run: Run, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "case.html"
    out.write_text("mine")
    options = ("report", scans / "zz.png", "--out", out, "--model", bundle)
    status, _, err = run(*options)
    assert (status, len(err.splitlines())) == (2, 1)
    assert "exists" in err
    assert "--overwrite" in err
    assert out.read_text() == "mine"
    assert run(*options, "--overwrite")[0] == 0
    assert "Case report" in out.read_text()


def test_a_missing_extra_is_one_sentence(
    run: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "reportlab", None)
    status, _, err = run("report", scans, "--out", tmp_path / "case.pdf")
    assert status == 2
    assert err.strip().endswith("pip install 'tumorlens[report]', or '.[report]' in a clone")
    assert len(err.splitlines()) == 1


def test_a_report_among_scans_hides_none_of_them(run: Run, bundle: Path, scans: Path) -> None:
    out = scans / "report.html"
    options = ("--model", bundle, "--most", 1, "--overwrite")
    for _ in range(2):
        status, _, err = run("report", scans, "--out", out, *options)
        assert status == 0
        assert "note: the report shows the first 1; 1 more were not looked at" in err
    assert "passed over what tumorlens wrote" in err
    assert "Not all of it." in out.read_text()


def test_a_series_may_be_cut_another_way(
    run: Run, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "case.html"
    assert run("report", scans, "--out", out, "--model", bundle, "--plane", "coronal")[0] == 0
    assert "volume of 96 coronal slices" in out.read_text()
