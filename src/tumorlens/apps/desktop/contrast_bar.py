"""Window and level by sliders, and the values that are black and white."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.slice_view import SliceView

__all__ = ["ContrastBar"]

_WIDEST: Final = 300.0  # per cent of the usual window
_NARROWEST: Final = 2.0


class ContrastBar(ttk.Frame):
    """Chooses which values are shown as black and as white.

    Parameters
    ----------
    view
        The slice whose values these are.
    on_reset
        Called to show the usual ones.
    """

    def __init__(
        self, parent: tk.Misc, theme: Theme, view: SliceView, on_reset: Callable[[], object]
    ) -> None:
        px = theme.px
        super().__init__(parent, padding=(px(8), px(2)))
        self._view = view
        self._setting = False  # the sliders are moved by us
        self.window = self._add_slider(0, "Window", _NARROWEST, _WIDEST, px)
        self.level = self._add_slider(1, "Level", -50.0, 150.0, px)
        self.reset = ttk.Button(self, text="Reset", style="Bare.TButton", command=on_reset)
        self.reset.grid(row=0, column=2, sticky="e", padx=(px(6), 0))
        self.values = ttk.Label(self, style="Faint.TLabel", width=14, anchor="e")
        self.values.grid(row=1, column=2, padx=(px(6), 0))
        self.columnconfigure(1, weight=1)

    def show(self) -> None:
        """Show what is chosen."""
        shown, greys = self._view.shown, self._view.greys
        state = "!disabled" if shown else "disabled"
        for control in (self.window, self.level, self.reset):
            control.state([state])
        if shown is None or greys is None:
            self.values.configure(text="")
            return
        low, high = shown.drawn.usual
        unit = (high - low) or 1.0
        self._setting = True
        self.window.set((greys[1] - greys[0]) / unit * 100)
        self.level.set(((greys[0] + greys[1]) / 2 - low) / unit * 100)
        self._setting = False
        self.values.configure(text=f"{greys[0]:.4g} to {greys[1]:.4g}")

    def _add_slider(
        self, row: int, name: str, least: float, most: float, px: Callable[[float], int]
    ) -> ttk.Scale:
        ttk.Label(self, text=name, style="Faint.TLabel").grid(row=row, column=0, sticky="w")
        slider = ttk.Scale(self, from_=least, to=most, command=lambda _: self._slide())
        slider.grid(row=row, column=1, sticky="ew", padx=px(6))
        return slider

    def _slide(self) -> None:
        shown = self._view.shown
        if not self._setting and shown is not None:
            wider, higher = self.window.get() / 100 - 1, self.level.get() / 100 - 0.5
            self._view.move_greys(shown.drawn.usual, wider, higher)
