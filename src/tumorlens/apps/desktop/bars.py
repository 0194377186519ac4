"""The bars of the window: buttons at the top, zoom below the slice, what happened at the foot."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import TYPE_CHECKING

from tumorlens.apps.session.words import time_left
from tumorlens.images.volume import in_space, space_of

if TYPE_CHECKING:
    from tumorlens.apps.desktop.dialogs import Dialogs
    from tumorlens.apps.desktop.picture_view import PictureView
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.batch import Progress

__all__ = ["StatusBar", "Toolbar", "ZoomBar"]


class Toolbar(ttk.Frame):
    """Buttons in a row.

    Parameters
    ----------
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


class ZoomBar(ttk.Frame):
    """Says how large the slice is shown and what is pointed at; buttons change its size.

    Parameters
    ----------
    picture
        The slice.
    on_contrast
        Called to show the sliders of window and level, or not.
    """

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        picture: PictureView,
        on_contrast: Callable[[], object],
    ) -> None:
        px = theme.px
        super().__init__(parent, padding=(px(6), px(4)))
        self._picture = picture
        for text, run in (
            ("−", lambda: picture.zoom(0.8)),
            ("+", lambda: picture.zoom(1.25)),
            ("Fit", picture.fit),
            ("1 : 1", picture.true_pixels),
            ("Greys", on_contrast),
        ):
            width = 2 if len(text) == 1 else 0
            button = ttk.Button(self, text=text, width=width, command=run, style="Bare.TButton")
            button.pack(side="left")
        self.zoom = ttk.Label(self, style="Faint.TLabel", anchor="w")
        self.zoom.pack(side="left", padx=px(4))
        self.point = ttk.Label(self, style="Faint.TLabel", anchor="e")
        self.point.pack(side="right", padx=px(6))
        picture.on_draw, picture.on_point = self._show_zoom, self._show_point

    def _show_zoom(self) -> None:
        percent = self._picture.percent
        self.zoom.configure(text=f"{percent:.0f} %" if percent else "")

    def _show_point(self, pixel: tuple[int, int] | None) -> None:
        shown, text = self._picture.shown, ""
        if pixel and shown:
            column, row = pixel
            text = f"x {column}  y {row}   value {shown.picture.pixels[row, column]:.5g}"
            if shown.picture.geometry is not None:
                point = shown.picture.geometry.point(row, column)
                x, y, z = in_space(point, space_of(shown.picture.origin))
                text = f"{x:.0f}, {y:.0f}, {z:.0f} mm   {text}"
            if shown.explanation:
                text += f"   evidence {shown.explanation.map[row, column]:.2f}"
        self.point.configure(text=text)


class StatusBar(ttk.Frame):
    """Shows messages and progress.

    Parameters
    ----------
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
