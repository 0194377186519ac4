"""``tumorlens gui`` where it cannot open a window: it says why, and how to mend it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tumorlens.apps.cli.main import main
from tumorlens.apps.desktop import missing_tk


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
