"""Files and pictures of other programs: what is on the clipboard, drag and drop."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tumorlens.errors import MissingExtraError
from tumorlens.extras import require

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DragAndDrop", "paths_in", "read_clipboard"]

_PICTURES = ("image/png", "image/tiff", "image/bmp", "image/jpeg")
_FILES = ("x-special/gnome-copied-files", "text/uri-list", "UTF8_STRING", "STRING")

# Since tkinterdnd2 0.6, the files that are dragged out on X11 arrive as zeros: Tk 8 turns what
# is not declared as text into numbers.
_SEND_FILES_AS_TEXT = """
rename ::tkdnd::xdnd::getFormatForType ::tkdnd::xdnd::tumorlensFormat
proc ::tkdnd::xdnd::getFormatForType {type} {
  if {[string match text/uri-list* $type]} {return UTF8_STRING}
  return [::tkdnd::xdnd::tumorlensFormat $type]
}
"""


class DragAndDrop:
    """Drag and drop for a window; does nothing where it is not there.

    Parameters
    ----------
    root
        The window.
    """

    def __init__(self, root: tk.Tk) -> None:
        self._root = root
        self.works = _load_library(root)

    def take_files(self, on_drop: Callable[[list[str]], object]) -> None:
        """Let files be dropped anywhere on the window."""
        if not self.works:
            return

        def drop(files: str) -> str:
            on_drop([str(path) for path in self._root.tk.splitlist(files)])
            return "copy"

        self._root.tk.call("tkdnd::drop_target", "register", self._root, "DND_Files")
        self._bind(self._root, "<<Drop>>", drop, "%D")

    def give_files(self, widget: tk.Misc, files: Callable[[], Sequence[str]]) -> None:
        """Let files be dragged out of a control; none to drag, and nothing happens."""
        if not self.works:
            return

        def begin() -> object:
            paths = tuple(files())
            return ("copy", "DND_Files", paths) if paths else "refuse_drop"

        self._root.tk.call("tkdnd::drag_source", "register", widget, "DND_Files", 1)
        self._bind(widget, "<<DragInitCmd>>", begin)

    def _bind(self, widget: tk.Misc, event: str, call: Callable[..., object], *what: str) -> None:
        self._root.tk.call("bind", widget, event, " ".join([widget.register(call), *what]))


def _load_library(root: tk.Tk) -> bool:
    """Load tkdnd; say whether it is there."""
    try:
        tkdnd = require("tkinterdnd2.TkinterDnD", "dropping files", "gui")
        # Its own class for a window does the same, but leaves one behind where this fails.
        tkdnd._require(root)  # noqa: SLF001
    except (MissingExtraError, RuntimeError):  # no library for this system
        return False
    if root.tk.call("tk", "windowingsystem") == "x11":
        root.tk.eval(_SEND_FILES_AS_TEXT)
    return True


def read_clipboard(root: tk.Misc) -> bytes | Image | list[str]:
    """Give the picture on the clipboard, or the paths of the files named there.

    Returns
    -------
    bytes, PIL.Image.Image or list of str
        The list is empty when there is neither.
    """
    if root.tk.call("tk", "windowingsystem") != "x11":
        return _read_grabbed(root)
    offered = _read(root, "TARGETS").split()
    for kind in _PICTURES:
        if kind in offered and (content := _bytes_of(_read(root, kind))):
            return content
    return _first_paths(root, offered)


def paths_in(text: str) -> list[str]:
    """Find the paths in a text of paths and file URIs, one a line; those that exist."""
    lines = [line.strip().strip("\"'") for line in text.replace("\0", "\n").splitlines()]
    paths = [_path_of(line) for line in lines if line and not line.startswith("#")]
    return [path for path in paths if path and _exists(path)]


def _read_grabbed(root: tk.Misc) -> bytes | Image | list[str]:
    from PIL import Image, ImageGrab  # noqa: PLC0415

    found = ImageGrab.grabclipboard()
    if isinstance(found, Image.Image):
        return found
    if isinstance(found, Sequence) and found:
        return [str(path) for path in found]
    return _first_paths(root, ["STRING"])


def _first_paths(root: tk.Misc, offered: Sequence[str]) -> list[str]:
    for kind in _FILES:
        if kind not in offered:
            continue
        text = _read(root, kind)
        found = _bytes_of(text)
        if paths := paths_in(found.decode("utf-8", "surrogateescape") if found else text):
            return paths
    return []


def _read(root: tk.Misc, kind: str) -> str:
    try:
        return str(root.clipboard_get(type=kind))
    except tk.TclError:  # nothing there, or its owner does not answer
        return ""


def _bytes_of(text: str) -> bytes:
    """Undo how Tk hands over what it does not know as text: as numbers, ``0x89 0x50``."""
    numbers = text.split()
    if not all(number.startswith("0x") for number in numbers):
        return b""
    try:
        return bytes(int(number, 16) for number in numbers)
    except ValueError:
        return b""


def _path_of(line: str) -> str:
    if not line.startswith("file:"):
        return line
    path = unquote(urlsplit(line).path, errors="surrogateescape")
    return path.lstrip("/") if path[2:3] == ":" else path  # file:///C:/…


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
