"""What needs Tk but no screen: paths on the clipboard, keys in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

REASON = "the window needs Python's tkinter"
exchange = pytest.importorskip("tumorlens.apps.desktop.exchange", reason=REASON)
shortcuts = pytest.importorskip("tumorlens.apps.desktop.shortcuts", reason=REASON)


def test_paths_on_the_clipboard(tmp_path: Path) -> None:
    first, second = tmp_path / "with space é.png", tmp_path / "b.png"
    for path in (first, second):
        path.write_bytes(b"")
    uris = f"# a comment\r\n{first.as_uri()}\r\n{second.as_uri()}\r\n"
    assert exchange.paths_in(uris) == [str(first), str(second)]
    assert exchange.paths_in(f'copy\n"{first}"\n{tmp_path}') == [str(first), str(tmp_path)]
    assert exchange.paths_in("a sentence about nothing\n" + "x" * 5000 + "\n\0") == []


@given(st.text(max_size=200))
def test_any_text_may_be_on_the_clipboard(text: str) -> None:
    for path in exchange.paths_in(text):
        assert Path(path).exists()


def test_keys_in_words() -> None:
    assert shortcuts.shown_keys("Ctrl+Shift+o") == "Ctrl+Shift+O"
    assert shortcuts.shown_keys("Ctrl+plus") == "Ctrl++"
    assert shortcuts.shown_keys("bracketleft") == "["
    assert shortcuts.shown_keys("Ctrl+o", mac=True) == "⌘+O"
