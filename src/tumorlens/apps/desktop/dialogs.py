"""What opens before the window: asking where from and where to, and pages to read."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tkinter import filedialog, ttk
from typing import TYPE_CHECKING

from tumorlens.apps.desktop.exchange import read_clipboard
from tumorlens.apps.desktop.shortcuts import Command, shown_keys

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.rows import Row
    from tumorlens.apps.session.view_model import ViewModel

__all__ = ["Dialogs", "show_keys", "show_model"]


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

    def open_model(self) -> None:
        """Ask for the folder of a model and load it."""
        folder = filedialog.askdirectory(
            parent=self.root, title="Choose the folder of a model", mustexist=True
        )
        if folder:
            self._do(self.model.choose_model, folder)

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
            self._do(self.model.saver.save_overlay, "")
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
            self._do(self.model.saver.save_overlay, path)

    def save_record(self) -> None:
        """Ask where, and save the record."""
        if self.model.explanation is None:
            self._do(self.model.saver.save_record, "")
            return
        folder = filedialog.askdirectory(
            parent=self.root,
            title="Save the record in a new folder below",
            initialdir=self._save_folder or _there(self.model.settings.folder),
        )
        if folder:
            self._save_folder = folder
            self._do(self.model.saver.save_record, folder)

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

    def save_report(self, rows: Sequence[Row]) -> None:
        """Ask where, and write the case report of rows."""
        path = ""
        if rows:
            path = filedialog.asksaveasfilename(
                parent=self.root,
                title="Write the report",
                initialdir=self._save_folder or _there(self.model.settings.folder),
                initialfile="report.html",
                defaultextension=".html",
                filetypes=[("Page", "*.html"), ("PDF", "*.pdf")],
            )
            if not path:
                return
            self._save_folder = str(Path(path).parent)
        self._do(self.model.saver.save_report, rows, path)

    def _stem(self) -> str:
        from tumorlens.explain.batch import folder_name  # noqa: PLC0415

        return folder_name(self.model.row.name) if self.model.row else "slice"


def _there(folder: str | None) -> str | None:
    """Give a folder while it is there."""
    try:
        return folder if folder and Path(folder).is_dir() else None
    except OSError:
        return None


def show_page(
    root: tk.Tk, theme: Theme, title: str, parts: Iterable[tuple[str, str]], warning: str = ""
) -> tk.Toplevel:
    """Open a page of titled parts; Escape closes it.

    Parameters
    ----------
    root
        The window it belongs to.
    theme
        The look.
    title
        Of the page.
    parts
        For each its title and its text. A part without text is a heading.
    warning
        A sentence to stand first.
    """
    px, colours = theme.px, theme.palette
    page = tk.Toplevel(root, background=colours.panel)
    page.title(title)
    page.transient(root)
    frame = ttk.Frame(page, padding=px(20))
    frame.pack(fill="both", expand=True)
    ttk.Label(frame, text=title, style="Large.TLabel").pack(anchor="w", pady=(0, px(10)))
    close = ttk.Button(frame, text="Close", style="Accent.TButton", command=page.destroy)
    close.pack(side="bottom", anchor="e", pady=(px(14), 0))  # first of all, so that it has room
    if warning:
        box = ttk.Frame(frame, style="Warning.TFrame", padding=px(10))
        box.pack(fill="x", pady=(0, px(10)))
        ttk.Label(box, text=warning, style="Warning.TLabel", wraplength=px(600)).pack(anchor="w")
    body = ttk.Frame(frame)
    body.pack(fill="both", expand=True)
    text = tk.Text(
        body,
        width=78,
        height=24,
        wrap="word",
        background=colours.panel,
        foreground=colours.ink,
        font=theme.body,
        relief="flat",
        spacing1=px(2),
        spacing3=px(3),
        tabs=(px(190),),
        highlightthickness=0,
        cursor="arrow",
    )
    bar = ttk.Scrollbar(body, orient="vertical", command=text.yview)
    text.configure(yscrollcommand=bar.set)
    bar.pack(side="right", fill="y")
    text.pack(side="left", fill="both", expand=True)
    text.tag_configure("title", foreground=colours.faint, font=theme.body)
    text.tag_configure("heading", font=theme.strong, spacing1=px(12))
    text.tag_configure("text", lmargin2=px(190))
    for name, content in parts:
        if content:
            text.insert("end", name, "title", "\t", "text", content + "\n", "text")
        else:
            text.insert("end", name + "\n", "heading")
    text.configure(state="disabled")
    page.update_idletasks()
    width, height = page.winfo_reqwidth(), page.winfo_reqheight()
    room = page.winfo_screenwidth(), page.winfo_screenheight() - px(60)  # without title and bars
    page.geometry(f"{min(width, room[0])}x{min(height, room[1])}")
    page.bind("<Escape>", lambda _: page.destroy())
    close.focus_set()
    return page


def show_model(
    root: tk.Tk, theme: Theme, facts: Sequence[tuple[str, str]], warning: str
) -> tk.Toplevel:
    """Show what a model is and how far to trust it."""
    return show_page(root, theme, "The model, and how far to trust it", facts, warning)


def show_keys(root: tk.Tk, theme: Theme, commands: Sequence[Command]) -> tk.Toplevel:
    """Show all keys, by menu."""
    mac = root.tk.call("tk", "windowingsystem") == "aqua"
    parts: list[tuple[str, str]] = []
    menu = ""
    for command in commands:
        if command.menu != menu:
            menu = command.menu
            parts.append((menu, ""))
        if command.keys:
            keys = list(dict.fromkeys(shown_keys(one, mac=mac) for one in command.keys))
            parts.append((" or ".join(keys), command.title.strip(" …")))
    parts += [
        ("With the mouse", ""),
        ("wheel", "Zoom where the pointer is; in a volume, go to the next slice"),
        ("Ctrl + wheel", "Zoom in a volume"),
        ("drag", "Move the slice"),
        ("double click", "Fit the slice into the window"),
        ("right button, drag", "Window wider or narrower, darker or brighter"),
        ("right button, twice", "Usual window and level"),
    ]
    return show_page(root, theme, "Keys", parts)
