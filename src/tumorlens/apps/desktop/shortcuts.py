"""Commands and their keys: one table for the menus, the keyboard and the page that teaches it."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

__all__ = ["Command", "Shortcuts", "add_menu", "shown_keys"]

_SHIFT, _CONTROL, _ALT = 0x1, 0x4, 0x8
_TAG: Final = "TumorlensShortcuts"
_MODIFIER_KEYS: Final = ("Shift_L", "Shift_R", "Control_L", "Control_R", "Caps_Lock", "Num_Lock")
_NAMES: Final = {
    "plus": "+",
    "equal": "+",
    "kp_add": "+",
    "minus": "−",
    "kp_subtract": "−",
    "bracketleft": "[",
    "bracketright": "]",
    "comma": ",",
    "period": ".",
    "escape": "Esc",
    "delete": "Del",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be done.

    Parameters
    ----------
    menu
        The menu it is in.
    label
        What the menu calls it; ``…`` when it asks further.
    keys
        Keys that do it, each as ``"Ctrl+Shift+o"``: the first is shown. Names are Tk's.
    run
        Does it.
    enabled
        Whether it can be done now.
    says
        Gives a label that says more, where it depends on the model.
    """

    menu: str
    label: str
    keys: tuple[str, ...]
    run: Callable[[], object]
    enabled: Callable[[], object] = lambda: True
    says: Callable[[], str] | None = None

    @property
    def title(self) -> str:
        """What to call it now."""
        return (self.says() if self.says else self.label).lstrip("-")


def shown_keys(keys: str, *, mac: bool = False) -> str:
    """Write keys as people read them."""
    *modifiers, key = keys.split("+")
    names = [("⌘" if mac and m == "Ctrl" else m) for m in modifiers]
    key = _NAMES.get(key.lower(), key.upper() if len(key) == 1 else key)
    return "+".join([*names, key])


class Shortcuts:
    """Runs commands by their keys, before any control takes the key.

    Parameters
    ----------
    root
        The window.
    commands
        What there is. Keys that are no command go on to the control that has the focus.
    """

    def __init__(self, root: tk.Misc, commands: Iterable[Command]) -> None:
        self._mac = root.tk.call("tk", "windowingsystem") == "aqua"
        self._commands = {_normal(keys): one for one in commands for keys in one.keys}
        root.bind_class(_TAG, "<Key>", self._press)

    def reach(self, widget: tk.Misc) -> None:
        """Let a control and all within it listen."""
        if _TAG not in widget.bindtags():
            widget.bindtags((_TAG, *widget.bindtags()))
        for child in widget.winfo_children():
            if not isinstance(child, tk.Menu | tk.Toplevel):
                self.reach(child)

    def _press(self, event: tk.Event[tk.Misc]) -> str | None:
        if event.keysym in _MODIFIER_KEYS:
            return None
        state = int(event.state)
        control = _ALT if self._mac else _CONTROL  # the Command key is the first modifier there
        key = event.keysym.lower()
        shift = bool(state & _SHIFT) and (len(key) > 1 or key.isalpha())
        pressed = (bool(state & control), shift and key not in _SHIFTED, key)
        if event.widget.winfo_class() == "TEntry" and (not pressed[0] or key in ("a", "v")):
            return None  # somebody writes
        command = self._commands.get(pressed)
        if command is None or (not self._mac and state & _ALT):
            return None
        if command.enabled():
            command.run()
        return "break"


_SHIFTED: Final = ("plus", "equal", "minus", "underscore", "bracketleft", "bracketright")
"""Keys that need Shift on some keyboards and not on others."""


def _normal(keys: str) -> tuple[bool, bool, str]:
    *modifiers, key = keys.split("+")
    return "Ctrl" in modifiers, "Shift" in modifiers, key.lower()


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
            menu.add_command(label=command.title, accelerator=keys, command=command.run)
            entries.append((menu.index("end") or 0, command))
        menu.configure(postcommand=partial(_enable, menu, entries))
    root.configure(menu=bar)
    return bar


def _enable(menu: tk.Menu, entries: Iterable[tuple[int, Command]]) -> None:
    for place, command in entries:
        state = "normal" if command.enabled() else "disabled"
        menu.entryconfigure(place, state=state, label=command.title)
