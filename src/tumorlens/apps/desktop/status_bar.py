"""The line at the foot of the window: what happened, how far the batch is, what this is not."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorlens.apps.desktop.batch import Progress
    from tumorlens.apps.desktop.theme import Theme

__all__ = ["StatusBar", "time_left"]


def time_left(seconds: float | None) -> str:
    """Write the time left as people say it."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s left"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60} min left" if minutes >= 60 else f"{minutes} min left"


class StatusBar(ttk.Frame):
    """Shows messages and progress.

    Parameters
    ----------
    parent
        Where to stand.
    theme
        The look.
    on_cancel
        Called to stop the batch.
    """

    def __init__(self, parent: tk.Misc, theme: Theme, on_cancel: Callable[[], object]) -> None:
        px = theme.px
        super().__init__(parent, style="Ground.TFrame", padding=(px(12), px(5)))
        self.message = ttk.Label(self, style="Ground.TLabel", anchor="w")
        self.bar = ttk.Progressbar(self, length=px(170))
        self.count = ttk.Label(self, style="Ground.TLabel")
        self.cancel = ttk.Button(self, text="Cancel", command=on_cancel)
        self.purpose = ttk.Label(
            self, text="Research use only. Not a medical device.", style="Faint.Ground.TLabel"
        )
        self.message.grid(row=0, column=0, sticky="ew")
        self.purpose.grid(row=0, column=4, sticky="e", padx=(px(12), 0))
        self.columnconfigure(0, weight=1)
        self.rowconfigure(0, minsize=px(30))
        self._gap = px(8)

    def tell(self, text: str) -> None:
        """Show a message."""
        self.message.configure(text=text)

    def show_progress(self, progress: Progress | None) -> None:
        """Show how far the batch is, and the button that stops it."""
        widgets: tuple[ttk.Widget, ...] = (self.bar, self.count, self.cancel)
        if progress is None:
            for widget in widgets:
                widget.grid_remove()
            return
        self.bar.configure(value=progress.done, maximum=progress.total)
        left = time_left(progress.seconds_left)
        text = f"{progress.done} of {progress.total}" + (f", {left}" if left else "")
        self.count.configure(text=text)
        for column, widget in enumerate(widgets, start=1):
            if not widget.winfo_ismapped():
                widget.grid(row=0, column=column, padx=(self._gap, 0))
