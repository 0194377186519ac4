"""ZIP archives among many files: what is good in them is answered, what is damaged is named."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dicoms import content, draw
from tumorlens.apps.cli.main import cli
from tumorlens.apps.session import answering, opening, results
from tumorlens.apps.session.reporting import write_report
from tumorlens.apps.session.rows import Row, RowList
from tumorlens.classifier import load
from tumorlens.errors import UnreadableImageError

GOOD = {"a.png", "c.png"}
WHOLE = [
    "a.png: slice, 64 × 80 pixels",
    "c.png: slice, 64 × 80 pixels",
    "b.zip: volume of 3 axial slices",
]


def picture(step: int = 0) -> bytes:
    stream = io.BytesIO()
    grey = np.add.outer(np.arange(80) * 2, np.arange(64) + step).astype(np.uint8)
    Image.fromarray(grey).save(stream, "PNG")
    return stream.getvalue()


def scan(z: int) -> bytes:
    grey = np.add.outer(np.arange(80) * 2, np.arange(64) + z).astype(np.int16)
    return content(draw(grey, ImagePositionPatient=[0.0, 0.0, 3.0 * z]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture, an archive with pictures, a scan, a damaged member and another archive."""
    made = tmp_path / "files"
    made.mkdir()
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    with zipfile.ZipFile(made / "b.zip", "w") as archive:
        members = {"a.png": picture(), "b.png": picture()[:60], "c.png": picture(9)}
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("d.zip", inner.getvalue())
        for z in range(3):
            archive.writestr(f"scan{z}", scan(z))
    (made / "a.png").write_bytes(picture(3))
    (made / "c.png").write_bytes(picture(4))
    return made


def rows_of(
    folder: Path, bundle: Path, *more: str, table: Path | None = None
) -> list[dict[str, Any]]:
    done = CliRunner().invoke(cli, ["predict", str(folder), "--model", str(bundle), *more])
    assert done.exit_code == 1, done.output
    text = done.stdout if table is None else table.read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("out", [False, True])
def test_a_command_answers_what_is_good_and_names_the_rest(
    out: bool, folder: Path, tmp_path: Path, spot_bundle: Callable[..., Path]
) -> None:
    table = tmp_path / "t.jsonl" if out else None
    more = ["--json"] if table is None else ["--out", str(table)]
    rows = rows_of(folder, spot_bundle(), *more, table=table)
    found = {str(Path(row["path"]).relative_to(folder)): row for row in rows if row.get("path")}
    wrong = {name for name, row in found.items() if row.get("error")}
    assert wrong == {"b.zip/b.png", "b.zip/d.zip"}
    wanted = {"a.png", "c.png", "b.zip/a.png", "b.zip/c.png", *(f"b.zip/scan{z}" for z in range(3))}
    assert {name for name in found if name not in wrong} >= wanted


def test_the_window_gives_each_member_a_row(folder: Path, spot_bundle: Callable[..., Path]) -> None:
    paths = sorted(map(str, folder.iterdir()))
    rows = [Row(i, Path(path).name, path, file=i) for i, path in enumerate(paths)]
    told: list[Any] = []
    answering.answer(load(spot_bundle(), threads=1), rows, told.append)
    places = [
        (one.row, one.prediction.slice)
        if isinstance(one, results.Answered)
        else (one.row, one.index)
        for one in told
        if not isinstance(one, results.Done)
    ]
    assert places == [(0, 0), *((1, i) for i in range(4)), (2, 0)]
    assert [one.index for one in told if isinstance(one, results.Unreadable)] == [1, 3]
    assert [one.row for one in told if isinstance(one, results.Done)] == [0, 1, 2]
    reader = opening.Reader()
    for i in range(4):
        row = Row(9, "b.zip", paths[1], i, 1)
        if i in (1, 3):
            with pytest.raises(UnreadableImageError):
                reader.read(row, results.Request(9, {}))
        else:
            assert str(reader.read(row, results.Request(9, {})).path).startswith(f"{paths[1]}/")


def test_the_window_gives_each_scan_of_an_archive_one_row_beside_its_pictures(
    folder: Path, spot_bundle: Callable[..., Path]
) -> None:
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        for z in range(4):
            archive.writestr(f"head/{z}", scan(z))
    told: list[Any] = []
    opening.find([str(folder)], told.append)
    files = [name for one in told if isinstance(one, results.Found) for name, _ in one.files]
    assert files == ["a.png", "b.zip", "c.png"]  # what holds nothing but a scan has no other row
    scans = [one for one in told if isinstance(one, results.FoundVolume)]
    assert [(one.name, len(one.stack.cut)) for one in scans] == [("b.zip", 3), ("scan.zip/head", 4)]
    row = Row(0, scans[1].name, scans[1].path, stack=scans[1].stack)
    told.clear()
    answering.answer(load(spot_bundle(), threads=1), [row], told.append)
    kinds = [results.SliceAnswered] * 4 + [results.Summed, results.Done]
    assert [type(one) for one in told] == kinds
    volume = opening.Reader().volume(row, "coronal")
    assert volume.geometry.plane == "coronal"


def glance(page: Path) -> list[str]:
    """List what a report shows, as `name: kind`, and what it could not read."""
    text = page.read_text(encoding="utf-8")
    head = r"<header><h2>([^<]*)</h2><p><small>([^<]*)<"
    return [f"{Path(name).name}: {kind}" for name, kind in re.findall(head, text)]


def test_a_report_of_a_mixed_archive_has_its_pictures_its_scan_and_what_is_damaged(
    folder: Path, spot_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    out, bundle = tmp_path / "case.html", str(spot_bundle())
    asked = ["report", str(folder / "b.zip"), "--out", str(out), "--model", bundle]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 1, done.output
    assert glance(out) == WHOLE
    text = out.read_text(encoding="utf-8")
    assert all(f"b.zip/{name}" in text for name in ("b.png", "d.zip"))
    few = CliRunner().invoke(cli, [*asked, "--most", "1", "--overwrite"])
    assert "the report shows the first 1; 2 more were not looked at" in few.output


def test_the_window_reports_the_rows_of_a_mixed_archive_that_are_chosen(
    folder: Path, spot_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    told: list[Any] = []
    opening.find([str(folder / "b.zip")], told.append)
    listed = RowList()
    for one in told:
        if isinstance(one, results.FoundVolume):
            listed.add(one.name, one.path, stack=one.stack)
        else:
            for name, path in one.files:
                listed.add(name, path)
    scan, loose = listed
    reports = []
    for i, rows in enumerate(([scan, loose], [scan], [loose])):
        path = tmp_path / f"{i}.html"
        write_report(load(spot_bundle(), threads=1), rows, str(path), lambda _: None)
        reports.append(glance(path))
    assert sorted(reports[0]) == sorted(WHOLE)
    assert reports[1] == [one for one in WHOLE if "volume" in one]
    assert reports[2] == [one for one in WHOLE if "volume" not in one]
