"""The list of slices with their answers."""

from __future__ import annotations

import tkinter as tk
from bisect import bisect
from collections.abc import Callable, Sequence
from tkinter import ttk
from typing import TYPE_CHECKING

from PIL import Image

from tumorlens.apps.desktop import drawn
from tumorlens.apps.session.rows import Row, State
from tumorlens.report.style import class_colour, class_name

if TYPE_CHECKING:
    from PIL.ImageTk import PhotoImage

    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.rows import RowList

__all__ = ["FileList", "answer_text"]


def answer_text(row: Row) -> str:
    """Say in two or three words what came out for a row."""
    answer = row.prediction
    if answer is not None:
        if not answer.assessable:
            return "not assessable"
        return " or ".join(class_name(name) for name in answer.prediction_set)
    names = {State.WAITING: "…", State.STOPPED: "not classified", State.UNREADABLE: "unreadable"}
    return names[row.state]


class FileList(ttk.Frame):
    """Shows the rows; arrow keys walk through them.

    Parameters
    ----------
    parent
        Where to stand.
    theme
        The look.
    on_select
        Called with the number of the row to show.
    """

    def __init__(self, parent: tk.Misc, theme: Theme, on_select: Callable[[int], object]) -> None:
        super().__init__(parent)
        self._theme = theme
        self._on_select = on_select
        px = theme.px
        empty = Image.new("RGBA", (px(18), px(10)))  # so that all names begin at one place
        self._places: dict[int, tuple[int, int]] = {}  # of the rows that stand here
        self._order: list[tuple[int, int]] = []
        self._marks: dict[str, PhotoImage] = {"": theme.photo(empty)}
        self.tree = ttk.Treeview(self, columns=("answer", "confidence"), selectmode="extended")
        bar = ttk.Scrollbar(self, orient="vertical", command=self.tree.yview)
        self.tree.configure(yscrollcommand=bar.set)
        self.tree.grid(row=0, column=0, sticky="nsew")
        bar.grid(row=0, column=1, sticky="ns")
        self.rowconfigure(0, weight=1)
        self.columnconfigure(0, weight=1)
        self.tree.heading("#0", text="Slice", anchor="w")
        self.tree.heading("answer", text="Answer", anchor="w")
        self.tree.heading("confidence", text="Conf.", anchor="e")
        self.tree.column("#0", width=px(124), minwidth=px(80))
        self.tree.column("answer", width=px(116), minwidth=px(60))
        self.tree.column("confidence", width=px(58), minwidth=px(40), stretch=False, anchor="e")
        colours = theme.palette
        self.tree.tag_configure("faint", foreground=colours.faint)
        self.tree.tag_configure("warning", foreground=colours.on_warning)
        self.tree.tag_configure("trouble", foreground=colours.on_trouble)
        self.tree.bind("<<TreeviewSelect>>", self._selected)

    def set_classes(self, classes: Sequence[str]) -> None:
        """Draw a mark for each class."""
        if set(classes) <= set(self._marks):
            return
        px = self._theme.px
        for kind, name in enumerate(classes):
            image = drawn.mark(px(10), kind, class_colour(name), px(8))
            self._marks[name] = self._theme.photo(image)

    def update_rows(self, rows: RowList, changed: Sequence[int], gone: Sequence[int]) -> None:
        """Bring rows up to date."""
        there = [number for number in gone if number in self._places]
        if there:
            self.tree.delete(*map(str, there))
            left = self._places.keys() - there
            self._places = {number: self._places[number] for number in left}
            self._order = sorted(self._places.values())
        for number in changed:
            row = rows.get(number)
            if row is None:
                continue
            if number not in self._places:
                self._places[number] = row.place
                at = bisect(self._order, row.place)
                self._order.insert(at, row.place)
                self.tree.insert("", at, str(number))
            self._fill(row)

    def select(self, number: int | None) -> None:
        """Select a row and bring it in sight."""
        item = "" if number is None else str(number)
        if item and self.tree.exists(item):
            if item not in self.tree.selection():
                self.tree.selection_set(item)
            self.tree.focus(item)
            self.tree.see(item)

    def selected(self) -> list[int]:
        """Numbers of all selected rows."""
        return [int(item) for item in self.tree.selection()]

    def step(self, by: int) -> None:
        """Go to the next row, or the one before."""
        items = self.tree.get_children()
        if not items:
            return
        here = self.tree.index(self.tree.focus()) if self.tree.focus() else 0
        self.select(int(items[min(max(here + by, 0), len(items) - 1)]))

    def _fill(self, row: Row) -> None:
        answer = row.prediction
        label, confidence, tag = "", "", "faint"
        if answer is not None:
            tag = "plain" if answer.assessable else "warning"
            if answer.assessable:
                label, confidence = answer.label, f"{answer.confidence:.1%}"
        elif row.state is State.UNREADABLE:
            tag = "trouble"
        self.tree.item(
            str(row.id),
            text=row.name,
            image=self._marks.get(label, self._marks[""]),
            values=(answer_text(row), confidence),
            tags=(tag,),
        )

    def _selected(self, _: tk.Event[tk.Misc]) -> None:
        chosen, focus = self.tree.selection(), self.tree.focus()
        if chosen:
            self._on_select(int(focus if focus in chosen else chosen[-1]))
