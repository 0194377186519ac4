"""Standard streams that take whatever is printed, also where there are none."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["prepare_streams"]

_PLAIN: Final = {"×": "x", "→": "->", "…": "...", "–": "-", "±": "+-", "↓": "v", "·": "-"}
_HANDLER: Final = "tumorlens.plain"


def prepare_streams() -> None:
    """Make standard output and standard error fit for use.

    What their encoding lacks is replaced: our own signs by plain ones, others by ``?``. A
    stream that was closed before the start, as cron or ``>&-`` do, becomes one that
    swallows everything, so that no file which is opened later takes its place.
    """
    codecs.register_error(_HANDLER, _replace)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nothing = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115  # to the end
            setattr(sys, name, nothing)
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(char, "?") for char in lost), error.end
