"""Tk's window on this screen, and how large things are there."""

from __future__ import annotations

import contextlib
import sys
import tkinter as tk
from typing import Final

__all__ = ["LEAST", "largest_scale", "make_root", "make_sharp", "screen_scale"]

LEAST: Final = (1024, 580)
"""Width and height of the smallest window in which everything has room, at 100 %."""

_AROUND: Final = 60  # pixels at 100 % for what stands around a window: title and menu

_DOTS_AT_100: Final = 96.0
_CLASS: Final = "Tumorlens"


def make_root(screen: str | None = None) -> tk.Tk:
    """Make Tk's window.

    Parameters
    ----------
    screen
        On X11 the display, such as ``":1"``; that of the session when ``None``.

    Raises
    ------
    tkinter.TclError
        When there is no screen.
    """
    return tk.Tk(screenName=screen, className=_CLASS)


def make_sharp() -> None:
    """Ask Windows not to enlarge the finished window, which would blur it."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        with contextlib.suppress(AttributeError, OSError):
            ctypes.windll.shcore.SetProcessDpiAwareness(1)


def screen_scale(root: tk.Tk) -> float:
    """Say how large text and controls should be: 1 for 100 %, in quarters, from 1 to 4."""
    if root.tk.call("tk", "windowingsystem") == "aqua":
        return 1.0  # macOS counts in points itself
    dots = _desktop_dots(root) or root.winfo_fpixels("1i")
    return min(max(round(dots / _DOTS_AT_100 * 4) / 4, 1.0), 4.0)


def largest_scale(root: tk.Misc, wanted: float) -> float:
    """Give the scale that is wanted, or less where controls would lie beyond the screen."""
    width, height = root.winfo_screenwidth(), root.winfo_screenheight()
    return max(1.0, min(wanted, width / LEAST[0], height / (LEAST[1] + _AROUND)))


def _desktop_dots(root: tk.Tk) -> float | None:
    """Read Xft.dpi, where desktops on X11 keep their scale and Tk 8 does not look."""
    if root.tk.call("tk", "windowingsystem") != "x11":
        return None
    # Tk matches a resource's first name with the name of a program, so a program is named so.
    probe = tk.Tk(className="Xft", screenName=root.winfo_screen())
    try:
        probe.withdraw()
        return float(probe.tk.call("option", "get", probe, "dpi", "Dpi"))
    except ValueError:
        return None
    finally:
        probe.destroy()
