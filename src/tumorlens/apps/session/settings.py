"""What the window remembers: the last folder and the look. No file names, no answers."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from tumorlens.errors import OutputError
from tumorlens.files import write_whole

__all__ = ["Settings", "read_settings", "settings_path", "write_settings"]


@dataclass(slots=True)
class Settings:
    """What is kept from one day to the next.

    Parameters
    ----------
    folder
        Where pictures were opened last, or ``None``.
    appearance
        ``"light"`` or ``"dark"``.
    scale
        Size of text and controls, 1 for 100 %; ``None`` to follow the screen.
    """

    folder: str | None = None
    appearance: str = "dark"
    scale: float | None = None

    def remember(self, path: str) -> None:
        """Keep the folder that was opened, or that of the file; nothing says that it exists."""
        with contextlib.suppress(OSError):
            # Path.is_dir raises on a name that is too long.
            self.folder = path if os.path.isdir(path) else str(Path(path).absolute().parent)  # noqa: PTH112


def settings_path() -> Path:
    """Name the file where this system keeps a program's settings."""
    return Path(click.get_app_dir("tumorlens")) / "window.json"


def read_settings(path: str | os.PathLike[str]) -> Settings:
    """Read the settings; what is missing or makes no sense is as on the first day."""
    found: object = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(Path(path).read_bytes())
    settings = Settings()
    if not isinstance(found, dict):
        return settings
    folder, appearance, scale = (found.get(key) for key in ("folder", "appearance", "scale"))
    if isinstance(folder, str) and "\0" not in folder:
        settings.folder = folder
    if appearance in ("light", "dark"):
        settings.appearance = appearance
    if isinstance(scale, int | float) and 1 <= scale <= 4:
        settings.scale = float(scale)
    return settings


def write_settings(path: str | os.PathLike[str], settings: Settings) -> None:
    """Keep the settings. Where they cannot be kept they are forgotten: nothing depends on them."""
    with contextlib.suppress(OutputError):
        write_whole(path, json.dumps(asdict(settings), indent=2) + "\n")
