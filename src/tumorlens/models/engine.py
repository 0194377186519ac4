"""The one door to ONNX Runtime: no other file imports it.

Its wheels from 1.29 on report to their maker: an event with a lasting number of this
computer when it is imported, more when networks are opened. It asks the environment once,
while it is imported, whether it may; its function to switch that off comes too late for the
first event. So the answer is put there for the time of the import, and what was there before
put back: child processes inherit nothing, and import through this door themselves.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

__all__ = ["ort", "part_of_engine"]

_SWITCH: Final = "ORT_DISABLE_TELEMETRY"


def _import_quietly() -> Any:
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "1"
    try:
        engine = importlib.import_module("onnxruntime")
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
    engine.disable_telemetry_events()  # where somebody else had imported it before
    return engine


ort: Final = _import_quietly()
"""ONNX Runtime."""


def part_of_engine(name: str) -> Any:
    """Import a part of ONNX Runtime, such as ``"quantization"``."""
    return importlib.import_module(f"onnxruntime.{name}")
