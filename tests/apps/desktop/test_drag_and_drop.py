"""Files dragged into the window and results dragged out, between real windows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from screen import Hands, middle, pump

from tumorlens.apps.desktop.commands import list_commands
from tumorlens.apps.desktop.screen import make_root
from tumorlens.apps.desktop.window import Window
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.classifier import load

pytest.importorskip("tkinterdnd2", reason="needs the gui extra")

# A window of another program, at the lower right: what is dropped on it is printed, and
# the files it was started with can be dragged from it.
OTHER = """
import json, sys
from tumorlens.apps.desktop.exchange import DragAndDrop
from tumorlens.apps.desktop.screen import make_root
root = make_root()
root.overrideredirect(True)
root.geometry("200x150+1070+640")
both = DragAndDrop(root)
both.take_files(lambda paths: print(json.dumps(paths), flush=True))
both.give_files(root, lambda: sys.argv[1:])
root.update()
print("ready", flush=True)
root.mainloop()
"""
HERE = (1170, 715)


@pytest.fixture
def window(display: str) -> Iterator[Window]:
    root = make_root(display)
    window = Window(root, ViewModel(load), 1.0, list_commands)
    root.geometry("1040x600+0+0")
    root.update()
    window.model.start()
    window.tick()
    pump(root, lambda: window.model.card)
    yield window
    window.close()
    assert window.model.close(60)


@pytest.fixture
def other(display: str, heads: list[Path]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(heads[0]), str(heads[1])],
        env={**os.environ, "DISPLAY": display}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_files_are_dropped_in(
    window: Window, other: subprocess.Popen[str], display: str, heads: list[Path]
) -> None:
    assert other.poll() is None
    hands = Hands(display)
    there = middle(window.list)
    moving = hands.later(lambda: hands.drag(HERE, there, rest=0.7))
    pump(window.root, lambda: len(window.model.rows) == 2 and window.model.progress is None)
    moving.join(10)
    assert [row.path for row in window.model.rows] == [str(path) for path in heads[:2]]


def test_a_result_is_dragged_out(
    window: Window, other: subprocess.Popen[str], display: str, heads: list[Path]
) -> None:
    model, hands = window.model, Hands(display)
    model.open([str(heads[0])])
    pump(window.root, lambda: model.explanation)
    hands.do("mousemove", *middle(window.toolbar.drag))
    pump(window.root, lambda: model.saver.dragged)
    record = Path(str(model.saver.dragged))
    there = middle(window.toolbar.drag)
    moving = hands.later(lambda: hands.drag(there, HERE, rest=0.7))
    pump(window.root, lambda: not moving.is_alive())
    assert other.stdout is not None
    assert json.loads(other.stdout.readline()) == [str(record)]
    assert json.loads((record / "manifest.json").read_text())["path"] == str(heads[0])
    assert (record / "overlay.png").is_file()
    window.root.update()
    model.close(60)
    assert not record.exists()  # it was for the drop alone
