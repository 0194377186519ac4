"""The menus: every command with its key."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Iterable
from functools import partial

from tumorlens.apps.desktop.shortcuts import Command, shown_keys

__all__ = ["add_menu"]


def add_menu(root: tk.Tk, commands: Iterable[Command]) -> tk.Menu:
    """Give a window the menus of its commands; what cannot be done now is grey."""
    mac = root.tk.call("tk", "windowingsystem") == "aqua"
    bar = tk.Menu(root, tearoff=False)
    by_menu: dict[str, list[Command]] = {}
    for command in commands:
        by_menu.setdefault(command.menu, []).append(command)
    for name, members in by_menu.items():
        menu = tk.Menu(bar, tearoff=False)
        bar.add_cascade(label=name, menu=menu, underline=0)
        entries: list[tuple[int, Command]] = []
        for command in members:
            if command.label.startswith("-"):
                menu.add_separator()
            keys = shown_keys(command.keys[0], mac=mac) if command.keys else ""
            label = command.label.lstrip("-")
            menu.add_command(label=label, accelerator=keys, command=command.run)
            entries.append((menu.index("end") or 0, command))
        menu.configure(postcommand=partial(_enable, menu, entries))
    root.configure(menu=bar)
    return bar


def _enable(menu: tk.Menu, entries: Iterable[tuple[int, Command]]) -> None:
    for place, command in entries:
        menu.entryconfigure(place, state="normal" if command.enabled() else "disabled")
