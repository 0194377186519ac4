"""Dragging files in and results out, where tkdnd is installed."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence

from tumorlens.errors import MissingExtraError
from tumorlens.extras import require

__all__ = ["DragAndDrop", "make_root"]

_CLASS = "Tumorlens"

# Since tkinterdnd2 0.6, the files that are dragged out on X11 arrive as zeros: Tk 8 turns what
# is not declared as text into numbers.
_SEND_FILES_AS_TEXT = """
rename ::tkdnd::xdnd::getFormatForType ::tkdnd::xdnd::tumorlensFormat
proc ::tkdnd::xdnd::getFormatForType {type} {
  if {[string match text/uri-list* $type]} {return UTF8_STRING}
  return [::tkdnd::xdnd::tumorlensFormat $type]
}
"""


def make_root(screen: str | None = None) -> tk.Tk:
    """Make Tk's window.

    Parameters
    ----------
    screen
        On X11 the display, such as ``":1"``; that of the session when ``None``.

    Raises
    ------
    tkinter.TclError
        When there is no screen.
    """
    return tk.Tk(screenName=screen, className=_CLASS)


class DragAndDrop:
    """Drag and drop for a window; does nothing where it is not there.

    Parameters
    ----------
    root
        The window.
    """

    def __init__(self, root: tk.Tk) -> None:
        self._root = root
        self.works = _load_library(root)

    def take_files(self, on_drop: Callable[[list[str]], object]) -> None:
        """Let files be dropped anywhere on the window."""
        if not self.works:
            return

        def drop(files: str) -> str:
            on_drop([str(path) for path in self._root.tk.splitlist(files)])
            return "copy"

        self._root.tk.call("tkdnd::drop_target", "register", self._root, "DND_Files")
        self._bind(self._root, "<<Drop>>", drop, "%D")

    def give_files(self, widget: tk.Misc, files: Callable[[], Sequence[str]]) -> None:
        """Let files be dragged out of a control; none to drag, and nothing happens."""
        if not self.works:
            return

        def begin() -> object:
            paths = tuple(files())
            return ("copy", "DND_Files", paths) if paths else "refuse_drop"

        self._root.tk.call("tkdnd::drag_source", "register", widget, "DND_Files", 1)
        self._bind(widget, "<<DragInitCmd>>", begin)

    def _bind(self, widget: tk.Misc, event: str, call: Callable[..., object], *what: str) -> None:
        self._root.tk.call("bind", widget, event, " ".join([widget.register(call), *what]))


def _load_library(root: tk.Tk) -> bool:
    """Load tkdnd; say whether it is there."""
    try:
        tkdnd = require("tkinterdnd2.TkinterDnD", "dropping files", "gui")
        # Its own class for a window does the same, but leaves one behind where this fails.
        tkdnd._require(root)  # noqa: SLF001
    except (MissingExtraError, RuntimeError):  # no library for this system
        return False
    if root.tk.call("tk", "windowingsystem") == "x11":
        root.tk.eval(_SEND_FILES_AS_TEXT)
    return True
