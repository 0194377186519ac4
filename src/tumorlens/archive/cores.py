"""How many processor cores this process may use, in a container too."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

__all__ = ["usable_cores"]

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def usable_cores(own: Path = _OWN, root: Path = _ROOT) -> int:
    """Count the cores that this process may run on, at least 1.

    The least of three: what the machine has, what the process is bound to, and the quota of its
    control groups (Linux, versions 1 and 2), rounded up.

    Parameters
    ----------
    own
        The file that names the process's control groups.
    root
        Where control groups are.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [quota for folder in _groups(own, root) if (quota := _quota(folder)) is not None]
    return max(1, min([cores, *map(math.ceil, quotas)]))


def _groups(own: Path, root: Path) -> list[Path]:
    """Name the folders of the process's groups and of all groups around them."""
    found = [root, root / "cpu"]  # as a container sees its own group
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if names and "cpu" not in names.split(","):
            continue
        base = root / names if names else root
        inside = base / path.lstrip("/")
        found += [x for x in (inside, *inside.parents) if x.is_relative_to(base)]
    return found


def _quota(folder: Path) -> float | None:
    """Read how many cores' time a group may use; ``None`` without a limit."""
    quota, period = [*_words(folder / "cpu.max"), "", ""][:2]
    if not quota:
        quota = " ".join(_words(folder / "cpu.cfs_quota_us"))
        period = " ".join(_words(folder / "cpu.cfs_period_us"))
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return share if share > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
