"""``tumorlens gui`` as a program of its own: it opens, closes, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image
from screen import Hands, open_screen


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with open_screen() as name:
        yield name


@pytest.fixture
def hands(display: str) -> Hands:
    return Hands(display)


Gui = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def gui(display: str, hands: Hands, tmp_path: Path) -> Iterator[Gui]:
    """Starts the program and waits for its window."""
    made: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tumorlens", "gui", *map(str, arguments)],
            env={**os.environ, "DISPLAY": display, "XDG_CONFIG_HOME": str(tmp_path / "config")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        made.append(process)
        hands.do("search", "--sync", "--onlyvisible", "--name", "^tumorlens$")
        hands.do("search", "--onlyvisible", "--name", "^tumorlens$", "windowfocus", "--sync")
        return process

    yield start
    for process in made:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def many(heads: list[Path], tmp_path: Path) -> Path:
    """More than can be classified while a test runs."""
    folder = tmp_path / "many"
    folder.mkdir()
    for path in heads[:4]:
        Image.open(path).resize((800, 800)).save(folder / path.name)
    for i in range(400):
        (folder / f"again{i:03}.png").hardlink_to(folder / heads[i % 4].name)
    return folder


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def running(below: list[psutil.Process]) -> list[psutil.Process]:
    """Give those processes that go on; what ended on its own takes a moment."""
    end = time.monotonic() + 10
    while left := [child for child in below if goes_on(child)]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return left


def goes_on(child: psutil.Process) -> bool:
    try:  # a zombie has ended, and waits for a system that does not ask how
        return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("how", ["ctrl+q", "alt+F4", "SIGTERM", "SIGINT"])
def test_closing_while_it_works_leaves_nothing(
    gui: Gui, hands: Hands, many: Path, tmp_path: Path, how: str
) -> None:
    process = gui(many)
    time.sleep(1.5)  # the model is loaded and the batch is on its way
    assert process.poll() is None
    below = children(process)
    if how.startswith("SIG"):
        process.send_signal(getattr(signal, how))
    else:
        hands.key(how)
    assert process.communicate(timeout=8) == ("", "")
    assert process.returncode == 0
    assert not running(below)
    kept = json.loads((tmp_path / "config" / "tumorlens" / "window.json").read_text())
    assert kept == {"folder": str(many), "appearance": "dark", "scale": None}


def test_closing_while_keras_loads_leaves_nothing(
    gui: Gui, hands: Hands, heads: list[Path]
) -> None:
    pytest.importorskip("keras")
    process = gui(heads[0])
    end = time.monotonic() + 60
    while not (below := children(process)) and time.monotonic() < end:
        hands.key("l")  # once the slice is there
        time.sleep(0.5)
    assert below
    hands.key("ctrl+q")
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
    assert not running(below)


def test_a_model_that_is_not_there_is_a_sentence_in_the_window(gui: Gui, hands: Hands) -> None:
    process = gui("--model", "nonsense")
    time.sleep(1.0)
    assert process.poll() is None  # it says so and stays
    hands.key("ctrl+q")
    assert process.communicate(timeout=8) == ("", "")
    assert process.returncode == 0
