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
from screen import Hands, missing_programs, open_screen

from tumorlens.apps.cli.main import main
from tumorlens.apps.desktop import missing_tk

needs_screen = pytest.mark.skipif(
    sys.platform != "linux" or bool(missing_programs()),
    reason=f"needs {', '.join(missing_programs())} (apt install xvfb openbox xdotool xclip)",
)


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


@needs_screen
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
    assert not [child for child in below if child.is_running()]
    kept = json.loads((tmp_path / "config" / "tumorlens" / "window.json").read_text())
    assert kept == {"folder": str(many), "appearance": "dark", "scale": None}


@needs_screen
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
    assert not [child for child in below if child.is_running()]


@needs_screen
def test_a_model_that_is_not_there_is_a_sentence_in_the_window(gui: Gui, hands: Hands) -> None:
    process = gui("--model", "nonsense")
    time.sleep(1.0)
    assert process.poll() is None  # it says so and stays
    hands.key("ctrl+q")
    assert process.communicate(timeout=8) == ("", "")
    assert process.returncode == 0


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tumorlens", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_without_tk_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert run(monkeypatch, "gui") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: the window needs Tk, which is missing; ")
    assert missing_tk.how_to_get_tk() in err


@pytest.mark.parametrize(
    ("platform", "release", "prefix", "words"),
    [
        ("linux", {"ID": "debian"}, "/usr", "sudo apt install python3-tk"),
        (
            "linux",
            {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"},
            "/usr",
            "apt install python3-tk",
        ),
        ("linux", {"ID": "fedora"}, "/usr", "sudo dnf install python3-tkinter"),
        ("linux", {"ID": "opensuse-leap", "ID_LIKE": "suse"}, "/usr", "zypper install python3-tk"),
        ("linux", {}, "/usr", "your system's package"),
        ("linux", {"ID": "debian"}, "/opt/python", "was built without Tk: sudo apt install tk-dev"),
        ("darwin", {}, "/opt/homebrew", "brew install python-tk@3."),
        ("win32", {}, "C:\\Python", "tick 'tcl/tk and IDLE'"),
    ],
)
def test_how_to_get_tk(
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    release: dict[str, str],
    prefix: str,
    words: str,
) -> None:
    def read_release() -> dict[str, str]:
        if not release:
            raise OSError
        return release

    monkeypatch.setattr(missing_tk.sys, "platform", platform)
    monkeypatch.setattr(missing_tk.sys, "base_prefix", prefix)
    monkeypatch.setattr(missing_tk.platform, "freedesktop_os_release", read_release)
    assert words in missing_tk.how_to_get_tk()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_without_a_screen_it_says_so() -> None:
    pytest.importorskip("tkinter")
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-m", "tumorlens", "gui"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no screen to open a window on")
    assert "Traceback" not in done.stderr


def test_help_needs_neither_tk_nor_numpy() -> None:
    program = (
        "import sys; sys.argv[1:] = ['gui', '--help']\n"
        "from tumorlens.apps.cli.main import cli\n"
        "cli(standalone_mode=False)\n"
        "assert not {'tkinter', 'numpy', 'PIL', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"PATH" in done.stdout
