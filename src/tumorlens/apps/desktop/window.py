"""The window: it shows the view model and hands on what the person at it wants."""

from __future__ import annotations

import gc
import tkinter as tk
import traceback
from collections.abc import Callable
from dataclasses import replace
from tkinter import ttk
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from tumorlens.apps.desktop.answer_panel import AnswerPanel
from tumorlens.apps.desktop.bars import StatusBar, Toolbar, ZoomBar
from tumorlens.apps.desktop.contrast_bar import ContrastBar
from tumorlens.apps.desktop.dialogs import Dialogs, show_keys, show_model
from tumorlens.apps.desktop.exchange import DragAndDrop
from tumorlens.apps.desktop.explain_panel import ExplainPanel
from tumorlens.apps.desktop.file_list import FileList
from tumorlens.apps.desktop.looks import Looks
from tumorlens.apps.desktop.picture_view import PictureView
from tumorlens.apps.desktop.screen import LEAST, largest_scale
from tumorlens.apps.desktop.shortcuts import Command, Shortcuts, add_menu, shown_keys
from tumorlens.apps.desktop.slice_bar import SliceBar
from tumorlens.apps.desktop.theme import DARK, LIGHT, Theme
from tumorlens.errors import TumorLensError

if TYPE_CHECKING:
    from tumorlens.apps.session.state import Changes
    from tumorlens.apps.session.view_model import ViewModel

__all__ = ["Window"]

_BUSY_MS: Final = 15  # between two looks at what the workers have done
_IDLE_MS: Final = 60
_SCALES: Final = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_EMPTY: Final = (
    "Drop pictures or folders here, or press {files} for files, {folder} for a "
    "folder, {paste} to paste.\nF1 shows all keys."
)


class Window(Looks):
    """The face of a view model.

    Parameters
    ----------
    root
        Tk's window, empty.
    model
        What to show.
    scale
        Size of text and controls, 1 for 100 %.
    list_commands
        Says what can be done in a window, and with which keys.
    """

    def __init__(
        self,
        root: tk.Tk,
        model: ViewModel,
        scale: float,
        list_commands: Callable[[Window], list[Command]],
    ) -> None:
        self.root = root
        self.model = model
        self.scale = largest_scale(root, model.settings.scale or scale)
        self._screen_scale = scale
        self._list_commands = list_commands
        self._tick_id = ""
        self._closed = False
        self.dialogs = Dialogs(root, model, self.do)
        self._alone = False
        root.withdraw()  # until it has its size, or it would be placed for another
        self._drag_and_drop = DragAndDrop(root)
        self._drag_and_drop.take_files(model.open)
        root.report_callback_exception = self._fault
        root.title("tumorlens")
        root.protocol("WM_DELETE_WINDOW", self.close)
        self._build()
        width, height = self._fitting(1360, 780)
        root.geometry(f"{width}x{height}")
        root.deiconify()

    def run(self) -> None:
        """Show the window, start the work, return when the window is closed."""
        self.root.update()  # the window stands before anything is loaded
        if self._closed:
            return
        self.model.start()
        self.tick()
        self.root.mainloop()

    def close(self) -> None:
        """Take the window away; see `ViewModel.close` for the work."""
        self._closed = True
        if self._tick_id:
            self.root.after_cancel(self._tick_id)
        self.root.destroy()

    def tick(self) -> None:
        """Take what the workers have finished, again and again."""
        try:
            self.refresh()
        finally:
            busy = self.model.progress is not None or self.model.view.busy
            self._tick_id = self.root.after(_BUSY_MS if busy else _IDLE_MS, self.tick)

    def refresh(self) -> None:
        """Show what has changed."""
        self._apply(self.model.poll())

    # Building

    def _build(self) -> None:
        root, model = self.root, self.model
        palette = LIGHT if model.settings.appearance == "light" else DARK
        self.theme = Theme(root, palette, self.scale)
        px = self.theme.px
        root.configure(background=palette.ground)
        root.minsize(*self._fitting(*LEAST))
        self.commands = self._list_commands(self)
        self.menu = add_menu(root, self.commands)
        self.toolbar = Toolbar(root, self.theme, self.dialogs, self.about)
        if self._drag_and_drop.works:
            self._drag_and_drop.give_files(
                self.toolbar.show_drag(model.saver.prepare_drag),
                lambda: [where] if (where := model.saver.dragged) else [],
            )
        self.strip = ttk.Frame(root, style="Trouble.TFrame", padding=(px(12), px(6)))
        self.strip_text = ttk.Label(self.strip, style="Trouble.TLabel", justify="left")
        self.strip_text.pack(side="left", fill="x", expand=True)
        hide = ttk.Button(self.strip, text="Dismiss", command=lambda: self.do(model.tell, ""))
        hide.pack(side="right")
        self.strip.bind(
            "<Configure>", lambda e: self.strip_text.configure(wraplength=e.width - px(140))
        )
        self.status = StatusBar(root, self.theme, lambda: self.do(model.cancel))
        panes = ttk.Panedwindow(root, orient="horizontal")
        self.list = FileList(
            panes, self.theme, model.rows, lambda number: self.do(model.select, number)
        )
        middle = self._build_middle(panes)
        self._panes, self._right = panes, self._build_right(panes)
        panes.add(middle, weight=1)
        if not self._alone:
            self._stand()
        self.toolbar.grid(row=0, column=0, sticky="ew")
        panes.grid(row=2, column=0, sticky="nsew")
        self.status.grid(row=3, column=0, sticky="ew")
        root.rowconfigure(2, weight=1)
        root.columnconfigure(0, weight=1)
        self.shortcuts = Shortcuts(root, self.commands)
        self.shortcuts.reach(root)
        self._show_all()
        self.list.tree.focus_set()

    def _fitting(self, width: float, height: float) -> tuple[int, int]:
        """Turn a size at 100 % into pixels; no larger than the screen with menu and title."""
        most = self.root.winfo_screenwidth(), self.root.winfo_screenheight() - self.theme.px(60)
        return min(self.theme.px(width), most[0]), min(self.theme.px(height), most[1])

    def _build_middle(self, parent: tk.Misc) -> ttk.Frame:
        frame = ttk.Frame(parent)
        self.picture = PictureView(frame, self.theme)
        self.zoom_bar = ZoomBar(frame, self.theme, self.picture, self.toggle_contrast)
        self.contrast = ContrastBar(frame, self.theme, self.model.view, self.reset_contrast)
        self.picture.on_contrast = self.drag_contrast
        self.slices = SliceBar(frame, self.theme, self.model.volumes, self.do)
        self.picture.on_wheel = self._turn_wheel
        self.picture.grid(row=0, column=0, sticky="nsew")
        self.zoom_bar.grid(row=3, column=0, sticky="ew")
        self._show_contrast()
        frame.rowconfigure(0, weight=1)
        frame.columnconfigure(0, weight=1)
        return frame

    def _build_right(self, parent: tk.Misc) -> ttk.Frame:
        px, model = self.theme.px, self.model
        frame = ttk.Frame(parent, padding=(px(16), px(8)), width=px(318))
        frame.grid_propagate(flag=False)
        self.answer = AnswerPanel(frame, self.theme)
        self.explain = ExplainPanel(
            frame,
            self.theme,
            model,
            self.set_strength,
            self.set_beside,
            self.set_contour,
            self.stop_explaining,
        )
        self.answer.grid(row=0, column=0, sticky="new")
        frame.rowconfigure(0, weight=1)  # what the answer has to say moves nothing below it
        ttk.Frame(frame, style="Line.TFrame", height=1).grid(
            row=1, column=0, sticky="ew", pady=px(10)
        )
        self.explain.grid(row=2, column=0, sticky="ew")
        frame.columnconfigure(0, weight=1)
        frame.bind(
            "<Configure>",
            lambda e: self.answer.fit(e.height - self.explain.winfo_reqheight() - px(38)),
        )
        return frame

    # Showing

    def _apply(self, changes: Changes) -> None:
        model, parts = self.model, changes.parts
        if "options" in parts and model.card:
            self.list.set_classes(model.options.classes)
        if changes.rows or changes.gone:
            self.list.update_rows(list(changes.rows), changes.gone)
        if "selection" in parts:
            self.list.select(model.selected)
        if parts & {"shown", "look", "selection"} or changes.gone:
            self._show_slice()
        if parts & {"slices", "selection"} or changes.gone:
            self._show_slices()
        if parts & {"shown", "options"}:
            self.answer.show(model)
            self.explain.show()
        elif "computing" in parts:
            self.explain.show_progress()
        if "progress" in parts or model.progress:
            self.status.show_progress(model.progress)
        if "message" in parts:
            self._show_message()

    def _show_all(self) -> None:
        """Show everything, in a window that was just built."""
        model = self.model
        if model.card:
            self.list.set_classes(model.options.classes)
        self.list.update_rows(model.rows.numbers(), [])
        self.list.select(model.selected)
        self._show_slice()
        self._show_slices()
        self.answer.show(model)
        self.explain.show()
        self.status.show_progress(model.progress)
        self._show_message()

    def _show_slice(self) -> None:
        model, picture = self.model, self.picture
        row = model.row
        picture.strength = model.view.strength
        picture.contour = model.view.contour
        picture.notice = picture.detail = picture.warning = ""
        shown = model.view.shown
        picture.trouble = bool(row and row.error and shown is None)
        if row is None:
            picture.notice, picture.detail = "No slice yet", self._say_empty()
        elif picture.trouble:
            what = "slice" if row.stack else "file"
            more = " any more" if row.prediction else ""
            picture.notice, picture.detail = f"This {what} cannot be read{more}", row.error or ""
        answer = row.prediction if row else None
        if answer is not None and not answer.assessable:
            picture.warning = f"⚠  Not assessable: {answer.reason}"
            if shown is not None:  # a map would lend weight to an answer that has none
                plain = replace(shown.drawn, full=(), heat=(), ramp=None)
                shown = replace(shown, explanation=None, drawn=plain, second=None)
        picture.show(shown)
        self.contrast.show()

    def _show_slices(self) -> None:
        """Show the slices of a volume, and the bar with them only where there is one."""
        if self.model.volumes.stack is None:
            self.slices.grid_remove()
        else:
            self.slices.grid(row=1, column=0, sticky="ew")
            self.slices.show()
            self.answer.show(self.model)

    def _say_empty(self) -> str:
        mac = self.root.tk.call("tk", "windowingsystem") == "aqua"
        keys = {"files": "Ctrl+o", "folder": "Ctrl+Shift+o", "paste": "Ctrl+v"}
        return _EMPTY.format(**{name: shown_keys(k, mac=mac) for name, k in keys.items()})

    def _show_message(self) -> None:
        message = self.model.message
        if message.trouble:
            self.strip_text.configure(text=message.text)
            self.strip.grid(row=1, column=0, sticky="ew")
        else:
            self.strip.grid_remove()
        self.status.tell("" if message.trouble else message.text)

    def _fault(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """Say that the program is at fault; what it was goes to the terminal."""
        if self._closed:  # a dialog that was open meanwhile misses its window
            return
        if isinstance(error, TumorLensError):
            self.model.tell(str(error), trouble=True)
        else:
            traceback.print_exception(kind, error, trace)
            text = f"a fault of tumorlens ({kind.__name__}: {error}); the terminal says where. "
            self.model.tell(text + "What was done so far is safe.", trouble=True)
        self._show_message()

    # What the person wants

    def about(self) -> None:
        """Show what the model is and how far to trust it."""
        from tumorlens.apps.cli.describe import facts  # noqa: PLC0415

        card = self.model.card
        if card is not None:
            parts = [(title, text) for title, text in facts(card) if title != "limits"]
            show_model(self.root, self.theme, parts, card.limitations)

    def show_keys(self) -> None:
        """Show all keys."""
        show_keys(self.root, self.theme, self.commands)

    def do(self, command: Callable[..., Any], *arguments: object, **options: object) -> None:
        """Run a command of the view model and show at once what it changes."""
        command(*arguments, **options)
        self.refresh()

    def stop_explaining(self) -> None:
        """Stop an explanation that takes its time."""
        self.do(self.model.stop_explaining)

    def escape(self) -> None:
        """Stop the batch, or else the explanation; without either, take the message away."""
        if self.model.progress or self.model.volumes.busy:
            self.do(self.model.cancel)
        elif self.model.view.computing:
            self.stop_explaining()
        elif self.model.message.trouble:
            self.do(self.model.tell, "")

    def find(self) -> None:
        """Write what the list is to show."""
        self.list.filter.focus_set()

    def remove(self) -> None:
        """Take the selected rows off the list."""
        self.do(self.model.remove, self.list.selected(), self.list.numbers())

    def _turn_wheel(self, by: int) -> bool:
        """Go to the next slice of a volume; say whether there is one to go through."""
        if self.model.volumes.stack is None:
            return False
        self.do(self.model.volumes.step, by)
        return True

    def toggle_alone(self) -> None:
        """Show the picture alone, or with the list and the answer."""
        self._alone = not self._alone
        self._stand()

    def _stand(self) -> None:
        if self._alone:
            for part in (self.list, self._right):
                self._panes.forget(part)
        else:
            self._panes.insert(0, self.list, weight=0)
            self._panes.add(self._right, weight=0)

    def toggle_appearance(self) -> None:
        """Go from dark to light, and back."""
        settings = self.model.settings
        settings.appearance = "light" if settings.appearance == "dark" else "dark"
        self._rebuild()

    def resize(self, by: int) -> None:
        """Make everything larger or smaller; 0 follows the screen again."""
        place = min(range(len(_SCALES)), key=lambda i: abs(_SCALES[i] - self.scale))
        scale = _SCALES[min(max(place + by, 0), len(_SCALES) - 1)] if by else self._screen_scale
        self.model.settings.scale = scale if by else None
        scale = largest_scale(self.root, wanted := scale)
        if scale < wanted:
            self.do(self.model.tell, "larger than this has no room on this screen", passing=True)
        if scale != self.scale:
            self.scale = scale
            self._rebuild()

    def _rebuild(self) -> None:
        """Build the window anew in its new look; all that matters is in the view model."""
        old = self.picture
        for child in self.root.winfo_children():
            child.destroy()
        self._build()
        # Now and here: a worker that happened on Tk's old pictures would have to wait for Tk.
        gc.collect()
        new = self.picture
        for name in ("covered", "beside", "smooth", "sight"):
            setattr(new, name, getattr(old, name))
        self.explain.beside.set(old.beside)
