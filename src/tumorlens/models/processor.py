"""Whether this processor adds products of int8 without overflow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["adds_int8_exactly"]

_TOLD: Final = Path("/proc/cpuinfo")
_VNNI: Final = frozenset(("avx512_vnni", "avx_vnni"))  # they add in 32 bits


def adds_int8_exactly(told: Path = _TOLD) -> bool:
    """Say whether every core is known to have VNNI instructions.

    Without them, x86 processors add pairs of products of unsigned and signed int8 in 16 bits,
    which overflow. Where the system does not tell (it does on Linux), the answer is False.

    Parameters
    ----------
    told
        The file that tells of processors, as Linux has it.
    """
    try:
        lines = told.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = [line.partition(":")[2].split() for line in lines if line.startswith("flags")]
    return bool(flags) and all(not _VNNI.isdisjoint(one) for one in flags)
