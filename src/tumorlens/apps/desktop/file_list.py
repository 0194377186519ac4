"""The list of slices with their answers: sorted and filtered as the person likes."""

from __future__ import annotations

import re
import tkinter as tk
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from tkinter import ttk
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from PIL import Image

from tumorlens.apps.desktop import drawn
from tumorlens.apps.session.rows import Row, RowList, State
from tumorlens.apps.session.words import (
    NO_ANSWER,
    answer_in_short,
    answer_text,
    is_assessable,
    kind_of_answer,
    shown_class,
    shown_confidence,
)
from tumorlens.data.folder import class_name
from tumorlens.report.style import class_colour

if TYPE_CHECKING:
    from PIL.ImageTk import PhotoImage

    from tumorlens.apps.desktop.theme import Theme

__all__ = ["FileList"]

_COLUMNS: Final[Mapping[str, tuple[str, Literal["w", "e"]]]] = MappingProxyType(
    {"#0": ("Slice", "w"), "answer": ("Answer", "w"), "confidence": ("Conf.", "e")}
)

_ALL: Final = "all answers"
_OTHERS: Final = ("not assessable", "unreadable", NO_ANSWER)

_Key: TypeAlias = tuple[Any, tuple[int, int], int]
"""What a row is sorted by, its place among all, its number."""


class FileList(ttk.Frame):
    """Shows the rows; arrow keys walk through them.

    A click on a column's title sorts by it, a second one the other way round, a third one
    brings back the order in which the files were opened.

    Parameters
    ----------
    rows
        All rows.
    on_select
        Called with the number of the row to show.
    """

    def __init__(
        self, parent: tk.Misc, theme: Theme, rows: RowList, on_select: Callable[[int], object]
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows = rows
        self._on_select = on_select
        self._order: list[_Key] = []  # of the rows that are shown, sorted
        self._keys: dict[int, _Key] = {}
        self._by, self._down = "", False
        px = theme.px
        empty = Image.new("RGBA", (px(18), px(10)))  # so that all names begin at one place
        self._marks: dict[str, PhotoImage] = {"": theme.photo(empty)}
        self._wanted = tk.StringVar(self)
        search = ttk.Frame(self, padding=(px(8), px(3), px(2), 0))
        ttk.Label(search, text="Filter", style="Faint.TLabel").pack(side="left")
        self.filter = ttk.Entry(search, textvariable=self._wanted, width=8)
        self.filter.pack(side="left", fill="x", expand=True, padx=px(8))
        self.kind = ttk.Combobox(search, state="readonly", width=13, values=[_ALL])
        self.kind.set(_ALL)
        self.kind.pack(side="left")
        self.kind.bind("<<ComboboxSelected>>", lambda _: self._choose_kind())
        self.filter.bind("<Escape>", lambda _: self.show_all())
        self.filter.bind("<Return>", lambda _: self.tree.focus_set())
        self.tree: ttk.Treeview = ttk.Treeview(
            self, columns=("answer", "confidence"), selectmode="extended"
        )
        bar = ttk.Scrollbar(self, orient="vertical", command=self.tree.yview)
        self.tree.configure(yscrollcommand=bar.set)
        search.grid(row=0, column=0, columnspan=2, sticky="ew")
        self.tree.grid(row=1, column=0, sticky="nsew")
        bar.grid(row=1, column=1, sticky="ns")
        self.rowconfigure(1, weight=1)
        self.columnconfigure(0, weight=1)
        # Wide enough for the names of two classes.
        self.tree.column("#0", width=px(132), minwidth=px(80))
        self.tree.column("answer", width=px(182), minwidth=px(60))
        self.tree.column("confidence", width=px(62), minwidth=px(40), stretch=False, anchor="e")
        self._wanted.trace_add("write", lambda *_: self.arrange())
        self._name_columns()
        colours = theme.palette
        self.tree.tag_configure("faint", foreground=colours.faint)
        self.tree.tag_configure("warning", foreground=colours.on_warning)
        self.tree.tag_configure("trouble", foreground=colours.on_trouble)
        self.tree.bind("<<TreeviewSelect>>", self._selected)
        self._hint = ttk.Label(self.winfo_toplevel(), style="Hint.TLabel", padding=px(4))
        self.tree.bind("<Motion>", self._hover)
        self.tree.bind("<Leave>", lambda _: self._hint.place_forget())

    def set_classes(self, classes: Sequence[str]) -> None:
        """Draw a mark for each class, and offer to show its slices alone."""
        names = [class_name(name) for name in classes]
        self.kind.configure(values=[_ALL, *names, *_OTHERS])
        if self.kind.get() not in self.kind["values"]:
            self.kind.set(_ALL)
        if set(classes) <= set(self._marks):
            return
        px = self._theme.px
        for kind, name in enumerate(classes):
            image = drawn.mark(px(10), kind, class_colour(name), px(8))
            self._marks[name] = self._theme.photo(image)

    def update_rows(self, changed: Sequence[int], gone: Sequence[int]) -> None:
        """Bring rows up to date."""
        there = [number for number in gone if self.tree.exists(str(number))]
        if there:
            self.tree.delete(*map(str, there))
            for number in there:
                self._keys.pop(number, None)
            self._order = sorted(self._keys.values())
        for number in changed:
            row = self._rows.get(number)
            if row is None:
                continue
            self._put(row)
            self._fill(row)

    def sort_by(self, column: str) -> None:
        """Sort by a column, or what is assessable; then the other way round, then not at all."""
        if column != self._by:
            self._by, self._down = column, False
        elif not self._down:
            self._down = True
        else:
            self._by, self._down = "", False
        self._name_columns()
        self.arrange()

    def arrange(self) -> None:
        """Show those rows that are wanted, in the order that is wanted."""
        self._keys = {row.id: self._key(row) for row in self._rows if self._is_wanted(row)}
        self._order = sorted(self._keys.values())
        order = reversed(self._order) if self._down else self._order
        self.tree.set_children("", *(str(key[-1]) for key in order))
        if selected := self.tree.selection():
            self.tree.see(selected[0])

    def show_all(self) -> None:
        """Filter no more."""
        self.kind.set(_ALL)
        self._wanted.set("")
        self.tree.focus_set()

    def select(self, number: int | None) -> None:
        """Select a row and bring it in sight."""
        item = "" if number is None else str(number)
        if item and number in self._keys:
            if item not in self.tree.selection():
                self.tree.selection_set(item)
            self.tree.focus(item)
            self.tree.see(item)

    def select_all(self) -> None:
        """Select all rows that are shown."""
        self.tree.selection_set(*self.tree.get_children())

    def numbers(self) -> list[int]:
        """Numbers of the rows that are shown, in order."""
        return [int(item) for item in self.tree.get_children()]

    def selected(self) -> list[int]:
        """Numbers of all selected rows."""
        return [n for n in map(int, self.tree.selection()) if n in self._keys]

    def step(self, by: int) -> None:
        """Go to the next row, or the one before."""
        items = self.tree.get_children()
        if not items:
            return
        here = self.tree.index(self.tree.focus()) if self.tree.focus() else 0
        self.select(int(items[min(max(here + by, 0), len(items) - 1)]))

    def _name_columns(self) -> None:
        for name, (title, anchor) in _COLUMNS.items():
            arrow = (" ▾" if self._down else " ▴") if name == self._by else ""
            self.tree.heading(
                name, text=title + arrow, anchor=anchor, command=lambda n=name: self.sort_by(n)
            )

    def _key(self, row: Row) -> _Key:
        value: Any = 0
        if self._by == "#0":  # slice 10 stands behind slice 9
            parts = re.split(r"(\d+)", row.name.lower())
            value = [int(part) if i % 2 else part for i, part in enumerate(parts)]
        elif self._by == "answer":
            value = answer_text(row)
        elif self._by == "assessable":
            value = _OTHERS.index(kind) if (kind := kind_of_answer(row)) in _OTHERS else -1
        elif self._by:
            answer = row.answer
            sure = answer is not None and is_assessable(answer)
            value = shown_confidence(answer) if answer is not None and sure else -1.0
        return value, row.place, row.id

    def _choose_kind(self) -> None:
        self.kind.selection_clear()
        self.arrange()

    def _is_wanted(self, row: Row) -> bool:
        if self.kind.get() not in (_ALL, kind_of_answer(row)):
            return False
        text = f"{row.name} {answer_text(row)}".lower()
        return all(word in text for word in self._wanted.get().lower().split())

    def _put(self, row: Row) -> None:
        """Let a row stand where it belongs now, or nowhere."""
        item, old = str(row.id), self._keys.get(row.id)
        key = self._key(row) if self._is_wanted(row) else None
        there = self.tree.exists(item)
        if key is None and not there:
            self.tree.insert("", "end", item)
            self.tree.detach(item)
        if key == old:
            return
        if old is not None:
            del self._order[bisect_left(self._order, old)], self._keys[row.id]
            self.tree.detach(item)
        if key is not None:
            place = bisect_left(self._order, key)
            at = len(self._order) - place if self._down else place
            if there:
                self.tree.move(item, "", at)
            else:
                self.tree.insert("", at, item)
            insort(self._order, key)
            self._keys[row.id] = key

    def _fill(self, row: Row) -> None:
        answer = row.answer
        label, confidence, tag = "", "", "faint"
        if answer is not None:
            tag = "plain" if is_assessable(answer) else "warning"
            if is_assessable(answer):
                label, confidence = str(shown_class(answer)), f"{shown_confidence(answer):.1%}"
        elif row.state is State.UNREADABLE:
            tag = "trouble"
        self.tree.item(
            str(row.id),
            text=row.name,
            image=self._marks.get(label, self._marks[""]),
            values=(answer_in_short(row), confidence),
            tags=(tag,),
        )

    def _selected(self, _: tk.Event[tk.Misc]) -> None:
        chosen, focus = self.tree.selection(), self.tree.focus()
        if chosen:
            self._on_select(int(focus if focus in chosen else chosen[-1]))

    def _hover(self, event: tk.Event[tk.Misc]) -> None:
        """Show whole what is cut off where the pointer is."""
        item, column = self.tree.identify_row(event.y), self.tree.identify_column(event.x)
        box: Any = self.tree.bbox(item, column) if item else ""
        row = self._rows.get(int(item)) if item else None
        text = ""
        if box and row and column in ("#0", "#1"):
            text = row.name if column == "#0" else answer_text(row)
            room = box[2] - self._theme.px(34 if column == "#0" else 8)
            text = text if self._theme.body.measure(text) > room else ""
        if not text:
            self._hint.place_forget()
            return
        window = self.winfo_toplevel()
        x = self.tree.winfo_rootx() - window.winfo_rootx() + box[0]
        y = self.tree.winfo_rooty() - window.winfo_rooty() + box[1] + box[3]
        self._hint.configure(text=text, wraplength=self._theme.px(420))
        self._hint.place(x=x, y=y)
        self._hint.lift()
