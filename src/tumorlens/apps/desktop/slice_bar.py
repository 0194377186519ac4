"""Below a volume: its slices on a line with their answers, the plane, and where the slice lies."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import TYPE_CHECKING, TypeAlias

from tumorlens.apps.session.words import any_tumour, say_place
from tumorlens.images.geometry import PLANES
from tumorlens.report.style import class_colour

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.stack import Cut
    from tumorlens.apps.session.volumes import Volumes
    from tumorlens.prediction import Prediction

__all__ = ["SliceBar"]

_Do: TypeAlias = Callable[..., None]


class SliceBar(ttk.Frame):
    """Shows the slices of the volume that is looked at; a press or a drag goes to a slice.

    Each slice is a stroke: as high as any tumour is probable, in the colour of its answer, faint
    where it is not assessable. A line below joins the slices that agree on a tumour, arrows
    above point at those to look at first.

    Parameters
    ----------
    volumes
        What it moves.
    do
        Runs a command and shows what it changes.
    """

    def __init__(self, parent: tk.Misc, theme: Theme, volumes: Volumes, do: _Do) -> None:
        px = theme.px
        super().__init__(parent, padding=(px(8), px(4)))
        self._theme, self._volumes, self._do = theme, volumes, do
        self.plane = ttk.Combobox(self, state="readonly", width=9, values=PLANES[::-1])
        self.plane.bind("<<ComboboxSelected>>", self._choose)
        for wheel in ("<Button-4>", "<Button-5>", "<MouseWheel>"):
            self.plane.bind(wheel, lambda _: "break")  # scrolling past must choose nothing
        self.line = tk.Canvas(
            self, height=px(34), background=theme.palette.panel, highlightthickness=0, borderwidth=0
        )
        self.where = ttk.Label(self, style="Faint.TLabel", anchor="e", justify="right")
        self.line.grid(row=0, column=0, columnspan=2, sticky="ew")
        self.plane.grid(row=1, column=0, padx=(0, px(10)))
        self.where.grid(row=1, column=1, sticky="e")
        self.columnconfigure(1, weight=1)
        self.line.bind("<Configure>", lambda _: self.show())
        self.line.bind("<Button-1>", self._go)
        self.line.bind("<B1-Motion>", self._go)
        for wheel in ("<Button-4>", "<Button-5>", "<MouseWheel>"):
            self.line.bind(wheel, self._wheel)

    def show(self) -> None:
        """Show the slices as they are known now; nothing without a volume."""
        stack = self._volumes.stack
        self.line.delete("all")
        if stack is None:
            return
        turning = self._volumes.turning
        if self.plane.get() != (turning or stack.plane):
            self.plane.set(turning or stack.plane)
        self.where.configure(text=f"cutting {turning} …" if turning else say_place(stack))
        self._draw(stack.cut, stack.index)

    def next_plane(self) -> None:
        """Look at the next plane of a volume."""
        if (stack := self._volumes.stack) is not None:
            names = PLANES[::-1]
            here = names.index(self._volumes.turning or stack.plane)
            self._do(self._volumes.turn, names[(here + 1) % len(names)])

    def _draw(self, cut: Cut, index: int) -> None:
        line, px, colours = self.line, self._theme.px, self._theme.palette
        top, foot = px(8), px(26)
        line.create_rectangle(
            0, top, line.winfo_width(), foot, fill=colours.raised, outline="", tags="ground"
        )
        for i, answer in sorted(cut.answers.items()):
            left, right = self._span(i, len(cut))
            high, colour = _stroke(answer, colours.faint)
            line.create_rectangle(
                left, foot - max(px(3), round(high * (foot - top))), right, foot,
                fill=colour, outline="", tags="answer",
            )  # fmt: skip
        for i in cut.unreadable:
            left, right = self._span(i, len(cut))
            line.create_rectangle(left, top, right, foot, fill=colours.trouble, outline="")
        summary = cut.summary
        if summary is not None and summary.run is not None:
            left, right = (self._span(i, len(cut))[k] for k, i in enumerate(summary.run))
            colour = class_colour(str(summary.shown))
            line.create_rectangle(
                left, foot + px(2), right, foot + px(5), fill=colour, outline="", tags="run"
            )
        for i in summary.look_first if summary else ():
            x = sum(self._span(i, len(cut))) // 2
            half = px(4)
            line.create_polygon(
                x - half, 0, x + half, 0, x, px(7), fill=colours.ink, outline="", tags="first"
            )
        left, right = self._span(index, len(cut))
        line.create_rectangle(
            left - 1, top - px(1), max(right, left + px(2)), foot + px(1), outline=colours.accent,
            width=px(2), tags="here",
        )  # fmt: skip

    def _span(self, index: int, count: int) -> tuple[int, int]:
        """Say from where to where on the line a slice is."""
        width = max(self.line.winfo_width(), 2)
        left = index * width // count
        right = (index + 1) * width // count
        return left, max(right - (right - left > 3), left + 1)

    def _go(self, event: tk.Event[tk.Misc]) -> None:
        if (stack := self._volumes.stack) is not None:
            self.line.focus_set()
            count = len(stack.cut)
            self._run(self._volumes.go_to, int(event.x * count / max(self.line.winfo_width(), 1)))

    def _wheel(self, event: tk.Event[tk.Misc]) -> None:
        up = event.num == 4 or event.delta > 0  # X11 has buttons for it
        self._run(self._volumes.step, -1 if up else 1)

    def _choose(self, _: tk.Event[tk.Misc]) -> None:
        self.plane.selection_clear()
        self._run(self._volumes.turn, self.plane.get())

    def _run(self, command: Callable[..., object], argument: object) -> None:
        self._do(command, argument)


def _stroke(answer: Prediction, faint: str) -> tuple[float, str]:
    """Say how high a slice stands, from 0 to 1, and in which colour."""
    if not answer.assessable:
        return 0.0, faint
    return any_tumour(answer), class_colour(answer.label)
