"""What is on the clipboard: a picture, or the paths of files."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["paths_in", "read_clipboard"]

_PICTURES = ("image/png", "image/tiff", "image/bmp", "image/jpeg")
_FILES = ("x-special/gnome-copied-files", "text/uri-list", "UTF8_STRING", "STRING")


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
