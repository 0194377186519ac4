"""Arrays of a small safetensors file, read with NumPy alone.

For what the light path needs beside the network. The format has a length, a JSON table of
names, types, shapes and places, and the numbers: nothing in it can be run, and an array is
no larger than its bytes. (https://huggingface.co/docs/safetensors, "Format")
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import ModelError

__all__ = ["parse_tensors"]

_TYPES: Final = {"F16": "<f2", "F32": "<f4"}
_MOST_HEADER: Final = 2**16


def parse_tensors(data: bytes, *, source: str) -> dict[str, NDArray[np.float32]]:
    """Turn the bytes of a safetensors file of numbers into arrays by name.

    Parameters
    ----------
    data
        The file: half and single precision only.
    source
        Where it came from, for the message of an error.

    Returns
    -------
    dict
        float32 arrays, all finite.

    Raises
    ------
    ModelError
        When it is no such file.
    """
    try:
        return _parse(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{source} is not a safetensors file of numbers ({error}); fetch or calibrate the "
            "model again"
        ) from error


def _parse(data: bytes) -> dict[str, NDArray[np.float32]]:
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= min(_MOST_HEADER, len(data) - 8):
        raise ValueError("its header is damaged")
    table = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    return {name: _read(body, row) for name, row in table.items() if name != "__metadata__"}


def _read(body: memoryview, row: dict[str, Any]) -> NDArray[np.float32]:
    start, end = row["data_offsets"]
    kind, shape = np.dtype(_TYPES[row["dtype"]]), tuple(row["shape"])
    if not all(isinstance(x, int) and x >= 0 for x in (start, end, *shape)):
        raise ValueError("a shape or a place is no whole number")
    if end > len(body) or end - start != math.prod(shape) * kind.itemsize:
        raise ValueError("an array is not as long as its shape")
    array = np.frombuffer(body[start:end], dtype=kind).reshape(shape).astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("an array holds what is no number")
    return array
