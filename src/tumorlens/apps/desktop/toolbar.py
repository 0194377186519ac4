"""The buttons at the top: pictures in, results out, what the model is."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorlens.apps.desktop.dialogs import Dialogs
    from tumorlens.apps.desktop.theme import Theme

__all__ = ["Toolbar"]


class Toolbar(ttk.Frame):
    """Buttons in a row.

    Parameters
    ----------
    parent
        Where to stand.
    theme
        The look.
    dialogs
        What most of the buttons open.
    on_about
        Called to show what the model is.
    """

    def __init__(
        self, parent: tk.Misc, theme: Theme, dialogs: Dialogs, on_about: Callable[[], object]
    ) -> None:
        self._px = px = theme.px
        super().__init__(parent, style="Ground.TFrame", padding=(px(8), px(7)))
        for text, run in (
            ("Open files", dialogs.open_files),
            ("Open folder", dialogs.open_folder),
            ("Paste", dialogs.paste),
            ("Save overlay", dialogs.save_overlay),
            ("Save record", dialogs.save_record),
            ("Save list", dialogs.save_table),
        ):
            style = "Accent.TButton" if text == "Open files" else "TButton"
            gap = px(17) if text == "Save overlay" else px(3)
            button = ttk.Button(self, text=text, command=run, style=style)
            button.pack(side="left", padx=(gap, px(3)))
        about = ttk.Button(self, text="About the model", command=on_about)
        about.pack(side="right", padx=px(3))
        self.drag = ttk.Label(
            self, text="⠿ Drag result out", style="Faint.Ground.TLabel", cursor="hand2"
        )

    def show_drag(self, on_enter: Callable[[], object]) -> ttk.Label:
        """Show what a result is dragged from; tell when the pointer comes to it."""
        self.drag.pack(side="right", padx=self._px(10))
        self.drag.bind("<Enter>", lambda _: on_enter())
        return self.drag
