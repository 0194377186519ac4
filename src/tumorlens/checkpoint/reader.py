"""Reading HDF5 files from elsewhere in a process of its own: if it crashes, nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.checkpoint.hdf5 import StoredLayer
from tumorlens.errors import MissingExtraError, ModelError, UnsafeModelError
from tumorlens.extras import installed

__all__ = ["look_through", "take_arrays"]

# -P: a module that lies beside the file must not be taken for one of ours.
_COMMAND: Final = (sys.executable, "-P", "-m", "tumorlens.checkpoint.hdf5")
_SECONDS: Final = 120.0
_KINDS: Final = {"UnsafeModelError": UnsafeModelError, "ModelError": ModelError}


def look_through(file: Path, *, source: str) -> tuple[str | None, list[StoredLayer]]:
    """Walk an HDF5 file and list what it holds, reading no array.

    Parameters
    ----------
    file
        The file.
    source
        Where it came from, for the message of an error.

    Returns
    -------
    tuple
        The config of a whole model, or ``None``; and the layers that have weights.

    Raises
    ------
    UnsafeModelError
        When something in it leads out of it, or is no array of numbers.
    ModelError
        When it is damaged, or holds no flat network.
    """
    with tempfile.TemporaryDirectory() as answer:
        said = _run(file, None, Path(answer), source)
    layers = [
        StoredLayer(
            layer["kind"],
            layer["number"],
            layer["name"],
            tuple(layer["arrays"]),
            tuple(map(tuple, layer["shapes"])),
        )
        for layer in said["layers"]
    ]
    return said["config"], layers


def take_arrays(file: Path, names: Sequence[str], *, source: str) -> list[NDArray[np.float32]]:
    """Read arrays of an HDF5 file that `look_through` listed.

    Raises
    ------
    UnsafeModelError, ModelError
        As `look_through` does.
    """
    with tempfile.TemporaryDirectory() as answer:
        _run(file, list(names), Path(answer), source)
        with np.load(Path(answer) / "arrays.npz", allow_pickle=False) as arrays:
            return [arrays[str(i)] for i in range(len(names))]


def _run(file: Path, order: list[str] | None, answer: Path, source: str) -> dict[str, Any]:
    """Have the other process do something, and read what came of it."""
    if not installed("h5py"):
        raise MissingExtraError("reading Keras checkpoints", "train")
    said: dict[str, Any] | None = None
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603  # our own module
            [*_COMMAND, str(file), str(answer)],
            input=json.dumps(order),
            text=True,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if (answer / "answer.json").is_file():
            said = json.loads((answer / "answer.json").read_text(encoding="utf-8"))
    if said is None:
        raise ModelError(
            f"{source}: the HDF5 file is damaged so that the library that reads it fails; fetch "
            "it again"
        )
    if "error" in said:
        raise _KINDS[said["error"]](f"{source} is not read: {said['message']}")
    return said
