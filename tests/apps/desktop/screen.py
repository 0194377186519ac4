"""A screen of the tests' own, and a person at its keyboard and mouse.

Tests that import this are skipped, with the reason, where there can be no screen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageGrab

tk = pytest.importorskip("tkinter", reason="the window needs Python's tkinter")
ttk = pytest.importorskip("tkinter.ttk")
if sys.platform != "linux":
    pytest.skip("the tests of the window need X11, as on Linux", allow_module_level=True)
PROGRAMS = ("Xvfb", "openbox", "xdotool", "xclip")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
if MISSING:
    pytest.skip(
        f"the tests of the window need {', '.join(MISSING)} "
        "(apt install xvfb openbox xdotool xclip)",
        allow_module_level=True,
    )


@contextmanager
def open_screen(size: str = "1280x800", dots: int = 96) -> Iterator[str]:
    """Start a display with a window manager; gives its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-dpi", str(dots)]
    with subprocess.Popen(
        [*command, "-nolisten", "tcp"], pass_fds=[write], stderr=subprocess.DEVNULL
    ) as server:
        os.close(write)
        with os.fdopen(read) as pipe:
            name = f":{int(pipe.readline())}"
        environment = {**os.environ, "DISPLAY": name}
        with subprocess.Popen(
            ["openbox"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as manager:
            try:
                yield name
            finally:
                manager.terminate()
                server.terminate()


class Hands:
    """Presses real keys and buttons of a display."""

    def __init__(self, display: str) -> None:
        self.display = display
        self._environment = {**os.environ, "DISPLAY": display}

    def do(self, *words: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, words)],
            env=self._environment, capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return done.stdout

    def key(self, *keys: str) -> None:
        self.do("key", *keys)

    def click(self, x: int, y: int, button: int = 1) -> None:
        self.do("mousemove", x, y, "click", button)

    def drag(
        self, start: tuple[int, int], end: tuple[int, int], rest: float = 0.0, button: int = 1
    ) -> None:
        self.do("mousemove", *start, "mousedown", button)
        for step in range(1, 11):
            x, y = (round(a + (b - a) * step / 10) for a, b in zip(start, end, strict=True))
            self.do("mousemove", x, y)
            time.sleep(0.02)
        time.sleep(rest)
        self.do("mouseup", button)

    def copy(self, content: bytes, kind: str) -> subprocess.Popen[bytes]:
        """Put something on the clipboard; it is there until the process ends."""
        process = subprocess.Popen(
            ["xclip", "-quiet", "-selection", "clipboard", "-t", kind],
            env=self._environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(content)
        process.stdin.close()
        time.sleep(0.3)
        return process

    def in_dialog(self, title: str, *acts: tuple[str, ...]) -> threading.Thread:
        """Wait for a dialog, then act in it, while the window's own loop runs."""

        def act() -> None:
            self.do("search", "--sync", "--onlyvisible", "--name", title)
            time.sleep(0.4)
            for words in acts:
                self.do(*words)
                time.sleep(0.1)

        return self.later(act)

    def later(self, act: Callable[[], None]) -> threading.Thread:
        """Act while the window's own loop runs."""
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        return thread


def look(display: str, widget: tk.Misc) -> NDArray[np.uint8]:
    """Take a picture of a control as it is on the screen, ``(height, width, 3)``."""
    x, y = widget.winfo_rootx(), widget.winfo_rooty()
    box = (x, y, x + widget.winfo_width(), y + widget.winfo_height())
    return np.asarray(ImageGrab.grab(bbox=box, xdisplay=display).convert("RGB"))


def middle(widget: tk.Misc) -> tuple[int, int]:
    """Find the middle of a control on the screen."""
    return (
        widget.winfo_rootx() + widget.winfo_width() // 2,
        widget.winfo_rooty() + widget.winfo_height() // 2,
    )


def pump(root: tk.Misc, condition: Callable[[], object], seconds: float = 120) -> None:
    """Let a window live until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        root.update()
        time.sleep(0.003)
