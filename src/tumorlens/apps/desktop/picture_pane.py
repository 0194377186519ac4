"""The slice with the bar below it: how large it is shown, what is under the pointer."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import TYPE_CHECKING

from tumorlens.apps.desktop.picture_view import PictureView

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme

__all__ = ["PicturePane"]


class PicturePane(ttk.Frame):
    """Shows a slice, its zoom and the pixel that is pointed at.

    Parameters
    ----------
    parent
        Where to stand.
    theme
        The look.
    """

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        super().__init__(parent)
        px = theme.px
        self.picture = PictureView(self, theme, self._point, self.show_zoom)
        bar = ttk.Frame(self, padding=(px(6), px(4)))
        for text, run in (
            ("−", lambda: self.picture.zoom(0.8)),
            ("+", lambda: self.picture.zoom(1.25)),
            ("Fit", self.picture.fit),
            ("1 : 1", self.picture.true_pixels),
        ):
            width = 2 if len(text) == 1 else 0
            button = ttk.Button(bar, text=text, width=width, command=run, style="Bare.TButton")
            button.pack(side="left")
        self.zoom_text = ttk.Label(bar, style="Faint.TLabel", width=8, anchor="w")
        self.zoom_text.pack(side="left", padx=px(6))
        self.point_text = ttk.Label(bar, style="Faint.TLabel", anchor="e")
        self.point_text.pack(side="right", padx=px(6))
        self.picture.grid(row=0, column=0, sticky="nsew")
        bar.grid(row=1, column=0, sticky="ew")
        self.rowconfigure(0, weight=1)
        self.columnconfigure(0, weight=1)

    def show_zoom(self) -> None:
        """Say how large the slice is shown."""
        percent = self.picture.percent
        self.zoom_text.configure(text=f"{percent:.0f} %" if percent else "")

    def _point(self, pixel: tuple[int, int] | None) -> None:
        shown, text = self.picture.shown, ""
        if pixel and shown:
            column, row = pixel
            text = f"x {column}  y {row}   value {shown.picture.pixels[row, column]:.5g}"
            if shown.explanation:
                text += f"   evidence {shown.explanation.map[row, column]:.2f}"
        self.point_text.configure(text=text)
