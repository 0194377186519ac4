"""Asking where from and where to: Tk's dialogs, and the clipboard."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from tkinter import filedialog
from typing import TYPE_CHECKING

from tumorlens.apps.desktop.clipboard import read_clipboard

if TYPE_CHECKING:
    from tumorlens.apps.desktop.view_model import ViewModel

__all__ = ["Dialogs"]


class Dialogs:
    """Brings pictures in and results out, after asking.

    Parameters
    ----------
    root
        The window.
    model
        Takes the pictures, gives the results.
    do
        Runs a command of the model and shows what it changes.
    """

    def __init__(self, root: tk.Tk, model: ViewModel, do: Callable[..., None]) -> None:
        self.root = root
        self.model = model
        self._do = do
        self._save_folder: str | None = None

    def open_files(self) -> None:
        """Ask for files and open them."""
        folder = self.model.settings.folder
        paths = filedialog.askopenfilenames(
            parent=self.root, title="Open pictures", initialdir=_there(folder)
        )
        self._do(self.model.open, list(paths))

    def open_folder(self) -> None:
        """Ask for a folder and open all that is in it."""
        folder = filedialog.askdirectory(
            parent=self.root,
            title="Open a folder of pictures",
            initialdir=_there(self.model.settings.folder),
            mustexist=True,
        )
        if folder:
            self._do(self.model.open, [folder])

    def paste(self) -> None:
        """Open what is on the clipboard."""
        found = read_clipboard(self.root)
        if isinstance(found, list):
            if found:
                self._do(self.model.open, found)
            else:
                text = (
                    "the clipboard holds neither a picture nor the path of a file; copy one first"
                )
                self._do(self.model.tell, text, trouble=True)
        else:
            self._do(self.model.paste, found)

    def open_demo(self) -> None:
        """Open a real slice of a healthy head."""
        from tumorlens.apps.demo import demo_slice  # noqa: PLC0415

        self._do(self.model.add_slice, "demonstration slice", demo_slice())

    def save_overlay(self) -> None:
        """Ask where, and save the overlay."""
        explanation = self.model.explanation
        if explanation is None:
            self._do(self.model.save_overlay, "")
            return
        path = filedialog.asksaveasfilename(
            parent=self.root,
            title="Save the overlay",
            initialdir=self._save_folder or _there(self.model.settings.folder),
            initialfile=f"{self._stem()}-{explanation.method}-{explanation.target}.png",
            defaultextension=".png",
            filetypes=[("PNG", "*.png")],
        )
        if path:
            self._save_folder = str(Path(path).parent)
            self._do(self.model.save_overlay, path)

    def save_record(self) -> None:
        """Ask where, and save the record."""
        if self.model.explanation is None:
            self._do(self.model.save_record, "")
            return
        folder = filedialog.askdirectory(
            parent=self.root,
            title="Save the record in a new folder below",
            initialdir=self._save_folder or _there(self.model.settings.folder),
        )
        if folder:
            self._save_folder = folder
            self._do(self.model.save_record, folder)

    def save_table(self) -> None:
        """Ask where, and save the list."""
        path = filedialog.asksaveasfilename(
            parent=self.root,
            title="Save the list",
            initialdir=self._save_folder or _there(self.model.settings.folder),
            initialfile="tumorlens.csv",
            defaultextension=".csv",
            filetypes=[("CSV", "*.csv")],
        )
        if path:
            self._save_folder = str(Path(path).parent)
            self._do(self.model.save_table, path)

    def _stem(self) -> str:
        from tumorlens.explain.batch import folder_name  # noqa: PLC0415

        return folder_name(self.model.row.name) if self.model.row else "slice"


def _there(folder: str | None) -> str | None:
    """Give a folder while it is there."""
    try:
        return folder if folder and Path(folder).is_dir() else None
    except OSError:
        return None
