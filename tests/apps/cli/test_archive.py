"""``tumorlens predict --out``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tumorlens.apps.cli import archive
from tumorlens.archive.parts import State

Run = Callable[..., tuple[int, str, str]]


def test_an_archive_goes_into_one_file(
    run: Run, spot_bundle: Callable[..., Path], phantom_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    given = ["predict", phantom_data / "Testing", tmp_path / "no.png", "--model", spot_bundle()]
    status, said, told = run(*given, "--out", out)
    assert (status, said) == (1, "")
    assert "49 rows of 49 files" in told
    assert "1 of 49 files could not be read" in told
    assert len(out.read_text().splitlines()) == 50
    status, _, told = run(*given, "--out", out)
    assert status == 2
    assert "is there already" in told
    status, _, told = run(*given, "--out", tmp_path / "b.csv", "--json")
    assert status == 2
    assert "leave --json and --csv out" in told


@pytest.mark.parametrize("option", ["--threads", "--batch"])
def test_what_ray_would_not_heed_is_refused(run: Run, tmp_path: Path, option: str) -> None:
    given = ["predict", tmp_path, "--out", tmp_path / "out", "--engine", "ray"]
    status, said, told = run(*given, option, 2)
    assert (status, said) == (2, "")
    assert "--threads and --batch do not go with --engine ray" in told


def test_progress_has_a_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(10):
        (tmp_path / str(i)).touch()
    now = [100.0]
    monkeypatch.setattr(archive.time, "monotonic", lambda: now[0])
    with archive._Pace([str(tmp_path)]) as pace:
        pace._counter.join()
        for done in range(5, 11):
            pace(State(files=done))
            now[0] += 20
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "note: going on after 4 files that are done"
    assert told[1] == "files 7/10  0.1/s  0:00:40 left"
