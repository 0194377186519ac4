"""How to get Tk on this system."""

from __future__ import annotations

import platform
import sys
from typing import Final

__all__ = ["how_to_get_tk"]

_PACKAGES: Final = {
    "debian": ("sudo apt install python3-tk", "sudo apt install tk-dev"),
    "ubuntu": ("sudo apt install python3-tk", "sudo apt install tk-dev"),
    "fedora": ("sudo dnf install python3-tkinter", "sudo dnf install tk-devel"),
    "rhel": ("sudo dnf install python3-tkinter", "sudo dnf install tk-devel"),
    "suse": ("sudo zypper install python3-tk", "sudo zypper install tk-devel"),
    "arch": ("sudo pacman -S tk", "sudo pacman -S tk"),
    "alpine": ("sudo apk add python3-tkinter", "sudo apk add tk-dev"),
}


def how_to_get_tk() -> str:
    """Say in a sentence how to get Tk for the Python that runs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.platform == "win32":
        return "run Python's installer again, choose Modify and tick 'tcl/tk and IDLE'"
    if sys.platform == "darwin":
        return f"brew install python-tk@{version}, or use the installer from python.org"
    for_system, to_build = _commands()
    if sys.base_prefix in ("/usr", "/usr/local") and sys.executable != "":
        return f"{for_system}, then try again"
    return (
        f"this Python ({sys.base_prefix}) was built without Tk: {to_build} and build it again, or "
        f"use the system's Python ({for_system})"
    )


def _commands() -> tuple[str, str]:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    names = [system.get("ID", ""), *system.get("ID_LIKE", "").split()]
    for name in names:
        for known, commands in _PACKAGES.items():
            if known in name:
                return commands
    return ("install your system's package of Python's tkinter", "install Tk's headers")
