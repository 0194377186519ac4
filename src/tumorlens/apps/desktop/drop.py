"""Dragging files in and results out, where tkdnd is installed."""

from __future__ import annotations

import importlib.util
import tkinter as tk
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["DragAndDrop"]


class DragAndDrop:
    """Drag and drop for a window; does nothing where the ``gui`` extra is not installed.

    Parameters
    ----------
    root
        The window.
    """

    def __init__(self, root: tk.Tk) -> None:
        self._root: Any = root
        self.works = False
        if importlib.util.find_spec("tkinterdnd2") is None:
            return
        from tkinterdnd2 import TkinterDnD  # noqa: PLC0415

        try:
            # What its own Tk class does; importing it has given every widget its methods.
            TkinterDnD._require(root)  # noqa: SLF001
        except RuntimeError:  # no library for this system
            return
        self.works = True

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
