"""What is explained, and how: method, layer, class, strength."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from dataclasses import replace
from tkinter import ttk
from typing import TYPE_CHECKING

from tumorlens.apps.session.rows import State
from tumorlens.data.folder import class_name

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.results import Computing
    from tumorlens.apps.session.view_model import ViewModel

__all__ = ["ExplainPanel"]

_NOTHING = "nothing"
_ORIGINAL = "the original"


class ExplainPanel(ttk.Frame):
    """Chooses the explanation.

    Parameters
    ----------
    model
        Whose choices these are.
    on_strength
        Called with the strength from 0 to 1.
    on_beside, on_contour
        Called with whether the original stands beside, and whether evidence is a line.
    on_stop
        Called to stop what is computed.
    """

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        model: ViewModel,
        on_strength: Callable[[float], object],
        on_beside: Callable[[bool], object],
        on_contour: Callable[[bool], object],
        on_stop: Callable[[], object],
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._gap = theme.px(8)
        self._useless = False  # for a slice of which no map is shown
        px = theme.px
        self.columnconfigure(1, weight=1)
        title = ttk.Label(self, text="Explanation", style="Strong.TLabel")
        title.grid(row=0, column=0, sticky="w", pady=(0, px(4)))
        busy = ttk.Frame(self)
        busy.grid(row=0, column=1, sticky="ew")
        self.stop = ttk.Button(busy, text="Stop", command=on_stop)
        self.rowconfigure(0, minsize=self.stop.winfo_reqheight())  # there or not, nothing moves
        self.busy = ttk.Label(busy, style="Faint.TLabel", anchor="e")
        self.busy.pack(side="right")
        self.method = self._add_choice(1, "Method", px, self._choose_method)
        self.layer = self._add_choice(2, "Layer", px, self._choose_layer)
        self.target = self._add_choice(3, "Evidence for", px, self._choose_target)
        self.versus = self._add_choice(4, "rather than", px, self._choose_versus)
        ttk.Label(self, text="Strength").grid(row=5, column=0, sticky="w", pady=px(4))
        row = ttk.Frame(self)
        row.grid(row=5, column=1, sticky="ew")
        row.columnconfigure(0, weight=1)
        self._on_strength, self._on_beside = on_strength, on_beside
        self.strength = ttk.Scale(row, from_=0, to=100, command=self._slide)
        self.strength.grid(row=0, column=0, sticky="ew")
        self.percent = ttk.Label(row, width=5, anchor="e")
        self.percent.grid(row=0, column=1)
        self.beside = _Tick(self, "Beside", on_beside)
        self.beside.grid(row=6, column=0, sticky="w")
        self.second = self._add_choice(6, "", px, self._choose_second)
        self.contour = _Tick(self, "As contour", on_contour)
        self.contour.set(model.view.contour)
        self.contour.grid(row=7, column=0, columnspan=2, sticky="w")
        self.strength.set(model.view.strength * 100)

    def show(self) -> None:
        """Show what there is to choose, and what is chosen."""
        model = self._model
        options, choice = model.options, model.view.choice
        row = model.row
        answer = row.prediction if row else None
        useless = row is not None and row.state is State.UNREADABLE
        self._useless = useless or (answer is not None and not answer.assessable)
        for control in (self.strength, self.beside, self.contour):
            control.state(["disabled" if self._useless else "!disabled"])
        methods = options.methods
        method = choice.method or (next(iter(methods)) if methods else "")
        self._fill(self.method, list(methods.values()), methods.get(method, ""))
        layers = _name_layers(options.layers)
        place = options.layers.index(choice.layer) if choice.layer in options.layers else -1
        layer = layers[-1 - place] if layers and place >= 0 else next(iter(layers), "")
        if method in options.of_no_layer:
            layers, layer = [], "the picture itself"
        self._fill(self.layer, layers, layer)
        answer = model.explanation.prediction if model.explanation else None
        decides = f"answer: {class_name(answer.label)}" if answer else "the answer"
        names = [class_name(name) for name in options.classes]
        target = class_name(choice.target) if choice.target else decides
        if method in options.of_no_class:
            names, target = [], "no class"
        self._fill(self.target, [decides, *names] if names else [], target)
        wanted = choice.target or (answer.label if answer else None)
        others = [class_name(name) for name in options.classes if name != wanted]
        versus = class_name(choice.versus) if choice.versus else _NOTHING
        self._fill(self.versus, [_NOTHING, *others] if names else [], versus if names else "")
        second = methods.get(model.view.second or "", _ORIGINAL)
        self._fill(self.second, [_ORIGINAL, *methods.values()], second)
        self.show_progress()

    def show_progress(self) -> None:
        """Say how far the explanation is, and offer to stop what takes its time."""
        view = self._model.view
        self.busy.configure(
            text=_say_progress(view.computing) if view.busy or view.computing else ""
        )
        if view.computing is None:
            self.stop.pack_forget()
        elif not self.stop.winfo_manager():
            self.stop.pack(side="right", before=self.busy, padx=(self._gap, 0))

    def set_strength(self, strength: float) -> None:
        """Move the slider."""
        self.strength.set(strength * 100)

    def step(self, name: str, by: int) -> None:
        """Go on to the next choice of a field, and round."""
        box: ttk.Combobox = getattr(self, name)
        values = list(box["values"])
        if len(values) > 1 and not self._useless:
            box.current((box.current() + by) % len(values))
            box.event_generate("<<ComboboxSelected>>")

    def choose_target(self, place: int) -> None:
        """Choose a class by its place; 0 leaves it to the model."""
        live = self.target["values"] and not self._useless
        if live and place <= len(self._model.options.classes):
            self.target.current(place)
            self._choose_target()

    def _add_choice(
        self, row: int, label: str, px: Callable[[float], int], chosen: Callable[[], None]
    ) -> ttk.Combobox:
        if label:
            name = ttk.Label(self, text=label)
            name.grid(row=row, column=0, sticky="w", padx=(0, px(10)))
        box = ttk.Combobox(self, state="disabled", width=12)
        box.grid(row=row, column=1, sticky="ew", pady=px(1))

        def choose(_: tk.Event[tk.Misc]) -> None:
            box.selection_clear()
            chosen()

        box.bind("<<ComboboxSelected>>", choose)
        for wheel in ("<Button-4>", "<Button-5>", "<MouseWheel>"):
            box.bind(wheel, lambda _: "break")  # scrolling past must choose nothing
        return box

    def _fill(self, box: ttk.Combobox, values: Sequence[str], value: str) -> None:
        if list(box["values"]) != list(values):
            box.configure(values=list(values))
        live = len(values) > 1 and not self._useless
        box.configure(state="readonly" if live else "disabled")
        if box.get() != value:
            box.set(value)

    def _choose_method(self) -> None:
        name = list(self._model.options.methods)[self.method.current()]
        self._model.view.choose(replace(self._model.view.choice, method=name))

    def _choose_second(self) -> None:
        place = self.second.current()
        self._model.view.compare(list(self._model.options.methods)[place - 1] if place else None)
        self.beside.set(True)
        self._on_beside(True)  # noqa: FBT003  # as Tk calls it

    def _choose_layer(self) -> None:
        place = self.layer.current()
        layer = list(reversed(self._model.options.layers))[place] if place else None
        self._model.view.choose(replace(self._model.view.choice, layer=layer))

    def _choose_target(self) -> None:
        place = self.target.current()
        target = self._model.options.classes[place - 1] if place else None
        self._model.view.choose(replace(self._model.view.choice, target=target))

    def _choose_versus(self) -> None:
        shown = self.versus.get()
        names = {class_name(name): name for name in self._model.options.classes}
        self._model.view.choose(replace(self._model.view.choice, versus=names.get(shown)))

    def _slide(self, value: str) -> None:
        percent = float(value)
        self.percent.configure(text=f"{percent:.0f} %")
        self._on_strength(percent / 100)


def _name_layers(layers: Sequence[str]) -> list[str]:
    """Name layers by their depth, the last one first."""
    count = len(layers)
    return [f"{i} of {count}: {layers[i - 1]}" for i in range(count, 0, -1)]


class _Tick(ttk.Checkbutton):
    """A box to be ticked."""

    def __init__(self, parent: tk.Misc, text: str, on_tick: Callable[[bool], object]) -> None:
        self._ticked = tk.BooleanVar(parent, value=False)
        super().__init__(
            parent, text=text, variable=self._ticked, command=lambda: on_tick(self._ticked.get())
        )

    def set(self, ticked: bool) -> None:  # noqa: FBT001  # as Tk's variables have it
        self._ticked.set(ticked)


def _say_progress(computing: Computing | None) -> str:
    if computing is None:
        return "computing …"
    if computing.total:
        return f"computing, {computing.done / computing.total:.0%}"
    return f"{computing.stage} …"
