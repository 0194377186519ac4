"""Dragging files in and results out, where tkdnd is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

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
    """Make Tk's window, one that can drag and drop where the ``gui`` extra is installed.

    Parameters
    ----------
    screen
        On X11 the display, such as ``":1"``; that of the session when ``None``.

    Raises
    ------
    tkinter.TclError
        When there is no screen.
    """
    if importlib.util.find_spec("tkinterdnd2") is None:
        return tk.Tk(screenName=screen, className=_CLASS)
    from tkinterdnd2 import TkinterDnD  # noqa: PLC0415

    # Its own Tk class does the same, but leaves a window behind where its library does not load.
    class Root(tk.Tk, TkinterDnD.DnDWrapper):  # type: ignore[misc]
        drags = False

    root = Root(screenName=screen, className=_CLASS)
    with contextlib.suppress(RuntimeError):  # no library for this system
        TkinterDnD._require(root)  # noqa: SLF001
        if root.tk.call("tk", "windowingsystem") == "x11":
            root.tk.eval(_SEND_FILES_AS_TEXT)
        root.drags = True
    return root


class DragAndDrop:
    """Drag and drop for a window; does nothing where it is not there.

    Parameters
    ----------
    root
        As `make_root` makes it.
    """

    def __init__(self, root: tk.Tk) -> None:
        self._root: Any = root
        self.works = bool(getattr(root, "drags", False))

    def take_files(self, on_drop: Callable[[list[str]], object]) -> None:
        """Let files be dropped anywhere on the window."""
        if not self.works:
            return

        def drop(event: Any) -> str:
            on_drop([str(path) for path in self._root.tk.splitlist(event.data)])
            return "copy"

        self._root.drop_target_register("DND_Files")
        self._root.dnd_bind("<<Drop>>", drop)

    def give_files(self, widget: tk.Misc, files: Callable[[], Sequence[str]]) -> None:
        """Let files be dragged out of a control; none to drag, and nothing happens."""
        if not self.works:
            return

        def begin(_: Any) -> Any:
            paths = tuple(files())
            return ("copy", "DND_Files", paths) if paths else "refuse_drop"

        source: Any = widget
        source.drag_source_register(1, "DND_Files")
        source.dnd_bind("<<DragInitCmd>>", begin)
