"""The case report: what it says of pictures, volumes and files that cannot be read."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.errors import OutputError
from tumorlens.files import find_files
from tumorlens.images.geometry import say_mm
from tumorlens.prediction import say_percent
from tumorlens.report import case, case_fonts
from tumorlens.report.case import CaseReport, make_case, write_case
from tumorlens.sources.series import find_units

MADE = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def model(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Classifier:
    """A network that is surer of a glioma the brighter a slice is."""
    bundle = spot_bundle((40.0, 1.0, -40.0, -2.0))
    change_card(bundle, classes=tuple(CLASSES), limitations="It was worked out by hand.")
    return load(bundle)


def spotted(bright: int = 200) -> NDArray[np.uint8]:
    """Draw a grey oval with a bright spot at the upper right."""
    rows, columns = np.mgrid[:96, :80]
    head = ((rows - 48) / 44) ** 2 + ((columns - 40) / 36) ** 2 < 1
    spot = (rows - 24) ** 2 + (columns - 58) ** 2 < 64
    return (head * 60 + (spot & head) * (bright - 60)).astype(np.uint8)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.fromarray(spotted()).save(folder / "<b>a & b.png")
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(folder / "чёрное.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    planes = np.stack([spotted(200 if 3 <= i <= 5 else 61).T for i in range(8)], -1)
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(planes.astype(np.int16), affine), folder / "head.nii")
    return folder


def made(model: Classifier, scans: Path, form: case.Form, **options: int) -> CaseReport:
    units = find_units(list(find_files([str(scans)])))
    return make_case(units, form, classifier=model, made=MADE, **options)


def text_of(page: bytes) -> str:
    return re.sub(
        r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.decode(), flags=re.DOTALL)
    )


def test_the_page_says_all_that_a_reader_needs(model: Classifier, scans: Path) -> None:
    report = made(model, scans, "html")
    said = text_of(report.content)
    assert (report.shown, report.unread, report.left_out) == (3, 1, 0)
    for part in (
        "2 pictures and 1 volume, 1 of them not assessable; 1 file could not be read",
        "spot@3 on 3 February 2026, 04:05 UTC",
        "Research use only: not a medical device.",
        "It was worked out by hand.",
        "Not assessable: no class is named. The picture is blank.",
        "broken.png : a PNG picture that cannot be decoded",
        "volume of 8 axial slices",
        "mm to the",
    ):
        assert part in said


def test_a_page_needs_nothing_else_and_runs_nothing(model: Classifier, scans: Path) -> None:
    page = made(model, scans, "html").content.decode()
    assert "&lt;b&gt;a &amp; b.png" in page
    assert not re.search(r"<script|<link|https?:|url\(|\bon\w+=|\bstyle=", page)
    sources = re.findall(r'src="([^"]{0,22})', page)
    assert sources
    assert set(sources) == {"data:image/jpeg;base64"}
    assert "default-src 'none'" in page


def test_places_are_those_of_the_evidence(model: Classifier, scans: Path) -> None:
    said = text_of(made(model, scans, "html").content)
    found = re.search(r"strongest at column (\d+), row (\d+) of 80 × 96, in the upper right", said)
    assert found
    assert abs(int(found[1]) - 59) < 8
    assert abs(int(found[2]) - 25) < 8


def test_what_is_too_much_is_left_out_and_said(model: Classifier, scans: Path) -> None:
    report = made(model, scans, "html", most=1)
    assert (report.shown, report.left_out) == (1, 3)
    assert "shows the first 1. 3 more files or frames" in text_of(report.content)


@pytest.mark.parametrize("name", ["report.txt", "report", "report.pdf.gz"])
def test_another_ending_is_refused(model: Classifier, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.html or \.pdf"):
        write_case([], tmp_path / name, classifier=model)


def test_a_report_is_whole_or_not_there(model: Classifier, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("before")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_case(list(find_files([str(scans)])), out, classifier=model, progress=stop)
    assert out.read_text() == "before"
    write_case([], out, classifier=model)
    assert "0 pictures" in out.read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_pdf_says_the_same(model: Classifier, scans: Path, tmp_path: Path) -> None:
    pytest.importorskip("reportlab", reason="a PDF needs the report extra")
    report = made(model, scans, "pdf")
    assert report.content.startswith(b"%PDF-")
    assert (report.shown, report.unread) == (3, 1)
    if shutil.which("pdftotext") is None:
        pytest.skip("what a PDF says is read by pdftotext: apt install poppler-utils")
    path = tmp_path / "report.pdf"
    path.write_bytes(report.content)
    ran = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True)
    said = re.sub(r"\s+", " ", ran.stdout.decode())
    for part in ("<b>a & b.png", "чёрное.png", "spot@3", "It was worked out by hand.", "1 of"):
        assert part in said


@pytest.fixture
def fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The fonts of the system, which a test may choose."""
    pytest.importorskip("reportlab", reason="a PDF needs the report extra")
    found: list[str] = []
    monkeypatch.setattr(case_fonts, "_system_fonts", lambda: tuple(found))
    caches = (case_fonts._font_with, case_fonts._system_index)
    for kept in caches:
        kept.cache_clear()
    yield found
    for kept in caches:
        kept.cache_clear()


def test_a_name_in_a_script_that_no_font_has_is_told_by_numbers(fonts: list[str]) -> None:
    names = case_fonts.Fonts()
    assert names.marked("дом <β>.png") == "дом &lt;β&gt;.png"
    assert names.notes() == []
    fonts += ["/nowhere.ttf", __file__]
    assert names.marked("頭a.png") == "\\u982da.png"
    assert "no font here has" in names.notes()[0]


def test_a_font_of_the_system_is_taken_for_what_ours_lacks(fonts: list[str]) -> None:
    fonts.append(str(Path(mpl.get_data_path(), "fonts", "ttf", "STIXGeneralItalic.ttf")))
    char = "𝘈"  # DejaVu has none
    names = case_fonts.Fonts()
    assert re.fullmatch(rf'<font name="system-\w+">{char}</font>.png', names.marked(f"{char}.png"))
    assert names.notes() == []


def test_no_name_is_wider_than_the_paper(
    model: Classifier, tmp_path: Path, fonts: list[str]
) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("where words stand is read by pdftotext: apt install poppler-utils")
    fonts.append(str(Path(mpl.get_data_path(), "fonts", "ttf", "STIXGeneralItalic.ttf")))
    for name in ("A" * 200, "A𝘈" * 40):
        Image.fromarray(spotted()).save(tmp_path / f"{name}.png")
    path = tmp_path / "report.pdf"
    write_case(list(find_files([str(tmp_path)])), path, classifier=model)
    ran = subprocess.run(["pdftotext", "-bbox", path, "-"], capture_output=True, check=True)
    ends = [float(x) for x in re.findall(r'<word [^>]*xMax="([\d.]+)"', ran.stdout.decode())]
    assert ends
    assert max(ends) < 595.3 - 40


def test_slices_between_whole_millimetres_are_not_rounded_to_even() -> None:
    said = [say_mm(value) for value in (-12.5, -7.5, -0.04, 2.5, 3.0, 7.25000001)]
    assert said == ["-12.5", "-7.5", "0", "2.5", "3", "7.3"]


def test_nothing_less_than_one_is_a_hundred_percent(model: Classifier, scans: Path) -> None:
    said = [say_percent(value) for value in (0.995, 0.9994, 0.9996, 1.0, 0.0)]
    assert said == ["99.5%", "99.9%", ">99.9%", "100.0%", "0.0%"]
    assert re.search(r"Slice \d of 8: [a-z ]+ (&gt;)?\d+\.\d% by itself", page_of(model, scans))


def page_of(model: Classifier, scans: Path) -> str:
    return text_of(made(model, scans, "html").content)
