"""The answer for the slice: class, confidence, prediction set, probabilities, doubts."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import TYPE_CHECKING, Final

from tumorlens.apps.desktop import drawn
from tumorlens.apps.session.rows import Row, State
from tumorlens.apps.session.words import (
    answer_text,
    is_assessable,
    say_flat,
    say_summary,
    suspect_of,
)
from tumorlens.data.folder import class_name
from tumorlens.report.style import class_colour

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.view_model import ViewModel
    from tumorlens.prediction import Prediction

__all__ = ["AnswerPanel"]

_MOST_BARS: Final = 8
_ROOM: Final = 258  # high, at 100 %, is what there is to say of a volume and its slice


class AnswerPanel(ttk.Frame):
    """Shows the answer of the selected row."""

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        super().__init__(parent)
        self._theme = theme
        px = theme.px
        self.name = ttk.Label(self, style="Faint.TLabel")
        self.volume = ttk.Label(self, style="Strong.TLabel", justify="left")
        self.agreement = ttk.Label(self, style="Faint.TLabel", justify="left")
        self.headline = ttk.Label(self, style="Large.TLabel")
        self.confidence = ttk.Label(self)
        self.detail = ttk.Label(self, justify="left")
        self.doubt = ttk.Frame(self, style="Warning.TFrame", padding=px(8))
        self.doubt_text = ttk.Label(self.doubt, style="Warning.TLabel", justify="left")
        self.doubt_text.pack(fill="x")
        self.bars = tk.Canvas(
            self, background=theme.palette.panel, highlightthickness=0, borderwidth=0, height=px(10)
        )
        # What can be one line or four stands last, so that nothing else moves with it.
        of_volume = (self.volume, self.agreement)
        parts = (self.name, *of_volume, self.headline, self.confidence, self.bars, self.detail)
        for row, widget in enumerate(parts):
            widget.grid(row=row, column=0, sticky="ew", pady=(0, px(4)))
        self.columnconfigure(0, weight=1)
        self._answer: Prediction | None = None
        self._short = False  # of room
        self.bars.bind("<Configure>", lambda _: self._draw_bars())
        self.bind("<Configure>", lambda event: self._wrap(event.width))

    def show(self, model: ViewModel) -> None:
        """Show the answer of the selected row."""
        row = model.row
        answer = row.prediction if row else None
        self.name.configure(text=row.name if row else "")
        self._show_volume(row)
        headline = confidence = detail = ""
        if row is None:
            headline, detail = "No slice yet", "Open a picture or a folder."
        elif answer is None and row.error is not None:
            headline = "Cannot be read"
        elif answer is None:
            states = {State.WAITING: "Waiting …", State.STOPPED: "Not classified"}
            headline = states.get(row.state, "Waiting …")
        elif answer.assessable:
            headline = class_name(answer.label)
            headline = headline[:1].upper() + headline[1:]
            slice_name = f"Slice {row.index + 1}, confidence" if row.stack else "Confidence"
            confidence = f"{slice_name} {answer.confidence:.1%}"
            detail = self._say_set(answer, model)
        else:
            headline = "Not assessable"
            confidence = f"Slice {row.index + 1}" if row.stack else ""
        self.headline.configure(text=headline)
        self.confidence.configure(text=confidence)
        self.detail.configure(text=detail)
        if detail:
            self.detail.grid()
        else:
            self.detail.grid_remove()
        self._show_doubt(answer, gone=bool(row and row.error))
        self._answer = answer
        self._draw_bars()

    def fit(self, room: int) -> None:
        """Leave out what a volume's answer rests on where it would hide the bars."""
        self._short = room < self._theme.px(_ROOM)
        if self._short:
            self.agreement.grid_remove()
        elif self.agreement.cget("text") and self.volume.winfo_manager():
            self.agreement.grid()

    def _show_volume(self, row: Row | None) -> None:
        """Say what came out for the volume, apart from what is said of the slice."""
        labels = (self.volume, self.agreement)
        if row is None or row.stack is None:
            for label in labels:
                label.grid_remove()
            return
        answer = row.answer
        text = f"Volume: {answer_text(row)}"
        if answer is not None and is_assessable(answer) and suspect_of(answer) is None:
            text += f", {answer.confidence:.1%}"
        planes = dict.fromkeys((row.stack.own, row.stack.plane))
        found = [row.stack.cuts[plane].summary for plane in planes]
        said = [say_summary(summary) for summary in found if summary is not None]
        detail = "\n".join([*said, *row.stack.notes])
        self.volume.configure(text=text)
        self.agreement.configure(text=detail)
        self.volume.grid()
        if detail and not self._short:
            self.agreement.grid()
        else:
            self.agreement.grid_remove()

    def _say_set(self, answer: Prediction, model: ViewModel) -> str:
        level = f"{model.card.set_level:.0%}" if model.card else ""
        names = " or ".join(class_name(name) for name in answer.prediction_set)
        text = f"Prediction set ({level}): {names}"
        flat = say_flat(model.explanation) if model.explanation else ""
        return text + (f"\n{_sentence(flat)}" if flat else "")

    def _show_doubt(self, answer: Prediction | None, *, gone: bool) -> None:
        """Say why not to rest on the answer: it is none, or its file is not what it was."""
        if answer is None or (answer.assessable and not gone):
            self.doubt.grid_remove()
            return
        text = "It cannot be read any more. This is what was said of it before."
        if not answer.assessable:
            text = f"{_sentence(answer.reason or '')} The numbers above mean nothing."
        self.doubt_text.configure(text=text)
        self.doubt.grid(row=7, column=0, sticky="ew", pady=(self._theme.px(4), 0))

    def _wrap(self, width: int) -> None:
        for label in (self.volume, self.agreement, self.detail):
            label.configure(wraplength=width)
        self.doubt_text.configure(wraplength=width - self._theme.px(16))

    def _draw_bars(self) -> None:
        canvas, px, colours = self.bars, self._theme.px, self._theme.palette
        canvas.delete("all")
        answer = self._answer
        if answer is None:
            canvas.configure(height=1)
            return
        kinds = {name: kind for kind, name in enumerate(answer.probabilities)}
        names = list(kinds)
        if len(names) > _MOST_BARS:
            names = sorted(names, key=lambda n: -answer.probabilities[n])[:_MOST_BARS]
        high, width = px(28), canvas.winfo_width()
        canvas.configure(height=high * len(names))
        side = px(10)
        for place, name in enumerate(names):
            value = answer.probabilities[name]
            top = place * high
            plain = answer.assessable
            colour = class_colour(name) if plain else colours.faint
            best = plain and name == answer.label
            font = self._theme.strong if best else self._theme.body
            ink = colours.ink if plain else colours.faint
            photo = self._mark(kinds[name], colour, side)
            middle = top + px(9)
            canvas.create_image(0, middle, image=photo, anchor="w")
            text = class_name(name)
            canvas.create_text(side + px(8), middle, text=text, anchor="w", font=font, fill=ink)
            canvas.create_text(
                width - 1, middle, text=f"{value:.1%}", anchor="e", font=font, fill=ink
            )
            line, thick = top + px(19), px(5)
            canvas.create_rectangle(0, line, width, line + thick, fill=colours.raised, outline="")
            if value * width >= 1:
                canvas.create_rectangle(
                    0, line, round(value * width), line + thick, fill=colour, outline=""
                )

    def _mark(self, kind: int, colour: str, side: int) -> object:
        photos = self.__dict__.setdefault("_marks", {})
        if (kind, colour) not in photos:
            photos[kind, colour] = self._theme.photo(drawn.mark(side, kind, colour))
        return photos[kind, colour]


def _sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
