"""Pages beside the window: the model's card, the keys."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Iterable, Sequence
from tkinter import ttk
from typing import TYPE_CHECKING

from tumorlens.apps.desktop.shortcuts import Command, shown_keys

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme

__all__ = ["show_keys", "show_model", "show_page"]


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
    close = ttk.Button(frame, text="Close", style="Accent.TButton", command=page.destroy)
    close.pack(anchor="e", pady=(px(14), 0))
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
            parts.append((" or ".join(keys), command.label.strip("- …")))
    parts += [
        ("With the mouse", ""),
        ("wheel", "Zoom where the pointer is"),
        ("drag", "Move the slice"),
        ("double click", "Fit the slice into the window"),
    ]
    return show_page(root, theme, "Keys", parts)
