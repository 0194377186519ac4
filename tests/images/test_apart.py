"""Decoders in a process of their own: one that hangs or crashes costs its own file alone."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import planted_decoders
from dicoms import content, draw
from planted_decoders import CRASHES, HANGS
from tiffs import write
from tumorlens.errors import UnreadableImageError
from tumorlens.images import apart, raster
from tumorlens.images.limits import Limits
from tumorlens.images.read import open_slices, read_slices

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")

SHORT = Limits(seconds=1)
HERE = Limits(seconds=None)


def picture(width: int = 24, form: str = "JPEG2000", **options: Any) -> bytes:
    stream = io.BytesIO()
    grey = np.add.outer(np.arange(20) * 9, np.arange(width)).astype(np.uint8)
    Image.fromarray(grey).save(stream, form, **options)
    return stream.getvalue()


def children() -> list[psutil.Process]:
    return [x for x in psutil.Process().children() if "apart" in str(x.cmdline())]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Processes of this test's own, in which decoders are planted."""
    monkeypatch.syspath_prepend(str(Path(planted_decoders.__file__).parent))
    processes = apart._Processes("planted_decoders")
    monkeypatch.setattr(apart, "_processes", processes)
    yield processes
    processes.end()


@pytest.mark.usefixtures("planted")
def test_a_plain_picture_starts_no_process() -> None:
    before = children()
    big = Image.fromarray(np.random.default_rng(0).integers(0, 255, (1500, 1500), np.uint8))
    for form in ("PNG", "JPEG", "TIFF", "BMP", "GIF"):
        stream = io.BytesIO()
        big.save(stream, form, progressive=True)
        read_slices(stream.getvalue())
    read_slices(write(np.zeros((20, 30), np.float64), photometric="minisblack"))
    read_slices(content(draw(np.arange(600, dtype=np.int16).reshape(20, 30))))
    assert children() == before


def test_what_is_read_apart_is_what_is_read_here() -> None:
    volume = draw(np.arange(3 * 600, dtype=np.int16).reshape(3, 20, 30), NumberOfFrames=3)
    volume.compress("1.2.840.10008.1.2.5")
    deep = np.arange(600, dtype=np.uint32).reshape(20, 30)
    files = {
        "JPEG 2000": picture(),
        "TIFF": write(deep, photometric="minisblack", compression="lzw"),
        "DICOM": content(volume),
    }
    for name, data in files.items():
        for there, here in zip(read_slices(data), read_slices(data, limits=HERE), strict=True):
            np.testing.assert_array_equal(there.pixels, here.pixels, name)
            same = ("value_range", "path", "index", "origin", "frame")
            assert [getattr(there, x) for x in same] == [getattr(here, x) for x in same]
            there.pixels[0, 0] = 1  # it is the caller's
    assert children()


def test_errors_are_those_of_the_reader(tmp_path: Path) -> None:
    damaged = tmp_path / "a.jp2"
    damaged.write_bytes(picture()[:-30])
    said = []
    for limits in (Limits(), HERE, Limits(max_pixels=100), Limits(max_pixels=100, seconds=None)):
        with pytest.raises(UnreadableImageError) as caught:
            read_slices(damaged, limits=limits)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[2] == said[3]
    assert "Limits.max_pixels" in said[2]


@pytest.mark.usefixtures("planted")
def test_one_that_hangs_is_ended_and_named() -> None:
    began = time.monotonic()
    with pytest.raises(UnreadableImageError, match=r"within 1 seconds; .*Limits\.seconds"):
        read_slices(picture(HANGS), limits=SHORT)
    assert time.monotonic() - began < 30
    assert len(read_slices(picture())) == 1  # by another process
    assert len(children()) == 1


@pytest.mark.usefixtures("planted")
def test_one_that_crashes_is_named() -> None:
    with pytest.raises(UnreadableImageError, match="makes its decoder crash"):
        read_slices(picture(CRASHES))
    assert len(read_slices(picture())) == 1


def test_a_jpeg_of_very_many_scans_is_read_apart() -> None:
    few, scan = picture(64, "JPEG", progressive=True), b"\xff\xda"
    assert not raster.may_hang(few, "JPEG")
    assert raster.may_hang(few + scan * 100, "JPEG")


@pytest.mark.usefixtures("planted")
def test_a_process_that_ended_between_two_files_is_replaced() -> None:
    read_slices(picture())
    (child,) = children()
    child.kill()
    child.wait()
    assert len(read_slices(picture())) == 1


def test_frames_of_one_file_are_asked_for_without_sending_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[int] = []
    send = apart.send

    def counted(pipe: Any, told: Any, values: Any = ()) -> None:
        sent.append(sum(len(x) for x in values))
        send(pipe, told, values)

    monkeypatch.setattr(apart, "send", counted)
    volume = draw(np.arange(3 * 600, dtype=np.int16).reshape(3, 20, 30), NumberOfFrames=3)
    volume.compress("1.2.840.10008.1.2.5")
    assert len(list(open_slices(content(volume)))) == 3
    assert sorted(map(bool, sent)) == [False, False, True]


@pytest.mark.parametrize("name", ["", "/usr/sbin/uwsgi", "/opt/app/Slicer"])
def test_where_no_python_can_be_started_it_is_decoded_here(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", name)
    monkeypatch.setattr(apart, "_processes", apart._Processes())
    before = children()
    assert len(read_slices(picture())) == 1
    assert children() == before


def test_one_that_cannot_start_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = apart._Processes("no_such_module")
    monkeypatch.setattr(apart, "_processes", processes)
    assert len(read_slices(picture())) == 1
    assert processes._refused


@pytest.mark.usefixtures("planted")
def test_threads_have_a_process_each_and_wait_for_nobody() -> None:
    def hang() -> None:
        with pytest.raises(UnreadableImageError):
            read_slices(picture(HANGS), limits=SHORT)

    waiting = threading.Thread(target=hang)
    waiting.start()
    assert len(read_slices(picture())) == 1
    waiting.join()


BATCH = textwrap.dedent(
    """
    import signal, sys
    sys.path.insert(0, sys.argv.pop(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from tumorlens.images import apart, limits, read
    from tumorlens.__main__ import main
    apart._processes = apart._Processes("planted_decoders")
    read.open_parts.__kwdefaults__["limits"] = limits.Limits(seconds=int(sys.argv.pop(1)))
    main()
    """
)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for i, width in enumerate([24, HANGS, 25, CRASHES, 26, 27]):
        (folder / f"{i}.jp2").write_bytes(picture(width))
    (folder / "6.png").write_bytes(picture(24, "PNG"))
    return folder


def command(batch: Path, bundle: Path, seconds: int, *more: str) -> list[str]:
    tests = str(Path(planted_decoders.__file__).parent)
    head = [sys.executable, "-c", BATCH, tests, str(seconds)]
    return [*head, "predict", str(batch), "--model", str(bundle), *more]


@pytest.mark.parametrize("how", ["--json", "--out"])
def test_a_batch_answers_all_others(
    how: str, batch: Path, tmp_path: Path, spot_bundle: Callable[..., Path]
) -> None:
    table = tmp_path / "table.jsonl"
    more = ["--json"] if how == "--json" else ["--out", str(table)]
    done = subprocess.run(
        command(batch, spot_bundle(), 1, *more), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    text = done.stdout if how == "--json" else table.read_text()
    rows = {Path(row["path"]).stem: row.get("error") for row in map(json.loads, text.splitlines())}
    assert {name for name, error in rows.items() if not error} == {"0", "2", "4", "5", "6"}
    assert "within 1 seconds" in str(rows["1"])
    assert "crash" in str(rows["3"])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_no_process_is_left_when_it_is_interrupted(
    name: str, batch: Path, spot_bundle: Callable[..., Path]
) -> None:
    with subprocess.Popen(
        command(batch, spot_bundle(), 300), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        me, started = psutil.Process(process.pid), []
        end = time.monotonic() + 60
        while not (len(started) > 1 or (started and time.monotonic() > end - 50)):
            assert time.monotonic() < end
            time.sleep(0.1)
            started = me.children()
        time.sleep(0.5)
        os.kill(process.pid, getattr(signal, name))
        began = time.monotonic()
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == (130 if name == "SIGINT" else 143)
    assert b"Traceback" not in errors
    assert not [child for child in started if child.is_running()]


def test_a_killed_program_leaves_none_that_is_idle() -> None:
    code = "import sys; from tumorlens.images.read import read_slices\n"
    code += "read_slices(bytes.fromhex(sys.stdin.readline())); print('read', flush=True)\n"
    code += "sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(picture().hex() + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "read\n"
        (child,) = psutil.Process(process.pid).children()
        process.kill()
        gone, _ = psutil.wait_procs([child], timeout=20)
        assert gone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_process_of_its_own() -> None:
    code = textwrap.dedent(
        """
        import os, sys
        from tumorlens.images.read import read_slices
        data = bytes.fromhex(sys.stdin.readline())
        read_slices(data)
        if (pid := os.fork()) == 0:
            read_slices(data)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        read_slices(data)
        print("all well", status)
        """
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code],
        input=picture().hex(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "all well 0\n", done.stderr
    assert done.stderr == ""
