"""Ending on request: nothing half made stays, and the exit status says why."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tumorlens.apps.cli.ending import orderly_end

WORK = textwrap.dedent(
    """
    import signal, sys, time
    import click
    from tumorlens.apps.cli import main as cli
    from tumorlens.files import new_folder

    # Whoever runs the tests may be told to ignore them, under nohup or in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    @cli.cli.command()
    @click.argument("out")
    def work(out):
        with new_folder(out) as folder:
            (folder / "half").write_text("x")
            print("working", flush=True)
            time.sleep(60)

    cli.main()
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_nothing_is_left_when_asked_to_end(name: str, status: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK, "work", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"working\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(getattr(signal, name))
        errors = process.stderr.read()
    assert process.returncode == status
    assert b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_second_request_ends_at_once() -> None:
    with orderly_end():
        with pytest.raises(SystemExit) as stopped:
            signal.raise_signal(signal.SIGTERM)
        assert stopped.value.code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_others_decided_stays() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as nohup does
    try:
        with orderly_end():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_change_nothing() -> None:
    seen: list[object] = []

    def run() -> None:
        with orderly_end():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
