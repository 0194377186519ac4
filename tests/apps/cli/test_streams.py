"""Streams of any encoding, closed streams, and stopping before anything has begun."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tumorlens.__main__ import main

ENCODINGS = ("ascii", "cp1252", "cp437", "cp932", "latin-1", "utf-8")


def start(*arguments: object, **variables: str) -> subprocess.Popen[bytes]:
    """Start a command as a user would, under an environment."""
    environment: Mapping[str, str] = {**os.environ, "PYTHONUTF8": "0", **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "tumorlens", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


@pytest.fixture(scope="module")
def scans(picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for name in ("Łukasz.png", "脑.png", "🧠.png", "×→ß.png", "plain.png"):
        shutil.copy(picture, folder / name)
    (folder / "zerbrochen é.png").write_text("no picture")
    return folder


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_ends_the_run(
    scans: Path, tiny_bundle: Path, tmp_path: Path, encoding: str
) -> None:
    with start("predict", scans, "--model", tiny_bundle, PYTHONIOENCODING=encoding) as process:
        out, err = process.communicate()
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert len(out.splitlines()) == 6
    assert b"1 of 6 files could not be read" in err
    folder = tmp_path / "脑"
    arguments = ("explain", scans, "--out", folder, "--model", tiny_bundle)
    with start(*arguments, PYTHONIOENCODING=encoding) as process:
        out, err = process.communicate()
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert len(list(folder.iterdir())) == 5


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_in_any_encoding(scans: Path, tiny_bundle: Path, encoding: str) -> None:
    arguments = ("predict", scans, "--json", "--model", tiny_bundle)
    with start(*arguments, PYTHONIOENCODING=encoding) as process:
        out, _ = process.communicate()
    assert out.isascii()
    paths = {Path(json.loads(line)["path"]).name for line in out.splitlines()}
    assert paths == {path.name for path in scans.iterdir()}


@pytest.mark.parametrize("arguments", [("info",), ("models", "--card", "mobilenetv2-official")])
def test_our_own_signs_become_plain_ones(arguments: tuple[str, ...]) -> None:
    for encoding in ("cp1252", "cp932", "cp437"):
        with start(*arguments, PYTHONIOENCODING=encoding) as process:
            out, err = process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert b"?" not in out.replace(b"?\n", b"")


def test_a_locale_of_plain_letters_is_no_obstacle(scans: Path, tiny_bundle: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    with start("predict", scans, "--model", tiny_bundle, **plain) as process:
        out, err = process.communicate()
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert len(out.splitlines()) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell of Unix")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_work_is_done_without_streams(
    picture: Path, tiny_bundle: Path, tmp_path: Path, closed: str
) -> None:
    table = tmp_path / "t.csv"
    command = f'"{sys.executable}" -m tumorlens predict "$1" "$1" --csv "$2" --model "$3" {closed}'
    shell = ["sh", "-c", command, "sh", str(picture), str(table), str(tiny_bundle)]
    done = subprocess.run(shell, capture_output=True, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert table.read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_stopping_while_it_starts_shows_no_traceback(picture: Path, tmp_path: Path) -> None:
    """Any time after Python itself is ready, which the environment cannot be asked about."""
    begun = tmp_path / "begun"
    code = (
        "import sys, pathlib, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from tumorlens.__main__ import main; pathlib.Path({str(begun)!r}).touch(); main()"
    )
    for milliseconds in (0, 20, 60, 120, 200, 300, 450, 700):
        for _ in range(3):
            begun.unlink(missing_ok=True)
            command = [sys.executable, "-c", code, "predict", *[str(picture)] * 3000]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                while not begun.exists():
                    time.sleep(0.001)
                time.sleep(milliseconds / 1000)
                process.send_signal(signal.SIGINT)
                try:
                    _, err = process.communicate(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    _, err = process.communicate()
            # Python drops an interrupt within a callback of its importer; a person presses again.
            if b"Exception ignored in" not in err:
                break
        assert process.returncode == 130, err
        assert b"Traceback" not in err
        assert b"stopped" in err


def test_stopping_before_the_command_line_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tumorlens.apps.cli.main.main", stop)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert "stopped" in capsys.readouterr().err
