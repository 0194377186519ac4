"""Opens the window, and sees to it that nothing is left when it closes."""

from __future__ import annotations

import os
import signal
import sys
import tkinter as tk
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tumorlens.apps.desktop.commands import list_commands
from tumorlens.apps.desktop.screen import make_root, make_sharp, screen_scale
from tumorlens.apps.desktop.window import Window
from tumorlens.apps.session.settings import read_settings, settings_path, write_settings
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.errors import TumorLensError
from tumorlens.images.apart import end_all

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = ["quick_turns", "run_window"]

_TURN: Final = 0.0005  # seconds


def run_window(
    paths: Sequence[str],
    model: str | None,
    scale: float | None,
    reach: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Show the window until it is closed.

    Parameters
    ----------
    paths
        Files and folders to open.
    model
        As `tumorlens.load` takes it.
    scale
        Size of text and controls, 1 for 100 %; ``None`` to follow the settings and the screen.
    reach
        What else `tumorlens.load` is to be told of where models are.

    Raises
    ------
    TumorLensError
        When there is no screen.
    """

    def load(name: str | None = model) -> Classifier:
        from tumorlens.classifier import load as load_model  # noqa: PLC0415

        return load_model(name, **reach)

    make_sharp()
    try:
        root = make_root()
    except tk.TclError as error:
        raise TumorLensError(
            f"there is no screen to open a window on ({error}); run this on a desktop, over "
            "`ssh -X`, or use `tumorlens explain`"
        ) from error
    where = settings_path()
    settings = read_settings(where)
    if scale is not None:
        settings.scale = scale
    view_model = ViewModel(load, settings)
    window = Window(root, view_model, screen_scale(root), list_commands)
    _close_when_told(window)
    view_model.open(paths)
    with quick_turns():
        window.run()
    write_settings(where, view_model.settings)
    if not view_model.close():
        # Something that cannot be interrupted still computes; nobody waits for it any more.
        sys.stdout.flush()
        sys.stderr.flush()
        end_all()
        os._exit(0)


@contextmanager
def quick_turns() -> Iterator[None]:
    """Give the window's thread its turn ten times as often as Python does.

    Every call into Tk lets go of the interpreter, and gets it back from a thread that
    computes only when that one's turn is over: after 5 ms. To show one row takes some calls.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _close_when_told(window: Window) -> None:
    """Close the window on Ctrl+C in the terminal and when the system asks to end."""

    def close(_signal: int, _frame: FrameType | None) -> None:
        window.root.after_idle(window.close)

    signal.signal(signal.SIGINT, close)
    signal.signal(signal.SIGTERM, close)
