"""How two processes hand each other text and arrays: nothing in it is ever run."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "read_frame", "write_frame"]

Frame: TypeAlias = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""What JSON can hold, and arrays by their names."""

_WORDS: Final = "words"
_LENGTH: Final = 8  # bytes that say how many follow


def write_frame(
    stream: IO[bytes], words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
) -> None:
    """Write what JSON can hold, and arrays by their names.

    Raises
    ------
    OSError
        When nobody reads at the other end any more.
    """
    content = io.BytesIO()
    text = np.array(json.dumps(words))
    np.savez(content, allow_pickle=False, **{_WORDS: text, **(arrays or {})})
    data = content.getbuffer()
    stream.write(len(data).to_bytes(_LENGTH, "little"))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame:
    """Wait for what the other end writes.

    Raises
    ------
    EOFError
        When nobody writes at the other end any more.
    """
    length = int.from_bytes(_read(stream, _LENGTH), "little")
    with np.load(io.BytesIO(_read(stream, length)), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return json.loads(str(arrays.pop(_WORDS))), arrays


def _read(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
