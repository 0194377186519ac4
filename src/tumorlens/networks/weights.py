"""Float weights as safetensors: names and arrays, never code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tumorlens.errors import ModelError
from tumorlens.files import write_whole
from tumorlens.networks.network import FUSING
from tumorlens.untrusted import printable

__all__ = ["load_weights", "parse_weights", "read_weights", "save_weights"]


def save_weights(model: Any, path: str | os.PathLike[str], *, half: bool = True) -> None:
    """Write a network's weights, named ``layer/variable``.

    Parameters
    ----------
    model
        A network from `build_network`.
    path
        The file to write; it appears whole or not at all.
    half
        Store half precision, which halves the file and keeps about 3 digits.
    """
    arrays = {name: _stored(variable, half=half) for name, variable in _variables(model)}
    write_whole(path, save(arrays, metadata={"network": model.name}))


def read_weights(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read a safetensors file into arrays by name.

    Raises
    ------
    ModelError
        When the file is missing or is not safetensors.
    """
    try:
        return parse_weights(Path(path).read_bytes(), source=os.fspath(path))
    except OSError as error:
        raise ModelError(f"cannot read the weights {os.fspath(path)}: {error.strerror}") from error


def parse_weights(data: bytes, *, source: str) -> dict[str, NDArray[Any]]:
    """Turn the bytes of a safetensors file into arrays by name.

    Raises
    ------
    ModelError
        When they are not safetensors, or hold other than real numbers that NumPy knows;
        `source` is named.
    """
    try:
        arrays: dict[str, NDArray[Any]] = load(data)
    except (
        SafetensorError,
        KeyError,
        ValueError,
    ) as error:  # types NumPy lacks, too
        raise ModelError(
            f"{source} is not a safetensors file of ours ({printable(error, 200)}); give one "
            "written by `tumorlens export`"
        ) from error
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise ModelError(
                f"{source}: {printable(name, 200)} holds {array.dtype}; weights are of float16, "
                "float32 or float64"
            )
    return arrays


def load_weights(model: Any, arrays: Mapping[str, NDArray[Any]], *, head: bool = True) -> None:
    """Put arrays into a network, refusing anything that does not fit.

    Parameters
    ----------
    model
        A network from `build_network`.
    arrays
        As `read_weights` gives them.
    head
        Whether the layers of the head must be there too. Without it the last ones keep
        their values, and those that fuse levels are taken over if they are there.

    Raises
    ------
    ModelError
        When an array is missing, or has another shape.
    """
    kept, optional = (set(), set()) if head else _head_layers(model)
    for name, variable in _variables(model):
        layer = name.partition("/")[0]
        if layer in kept or (layer in optional and name not in arrays):
            continue
        if name not in arrays:
            raise ModelError(f"the weights lack {name!r}; are they of the network {model.name!r}?")
        found, wanted = arrays[name].shape, tuple(variable.shape)
        if found != wanted:
            raise ModelError(f"the weight {name!r} has shape {found}, the network wants {wanted}")
        variable.assign(arrays[name].astype(np.float32))


def _head_layers(model: Any) -> tuple[set[str], set[str]]:
    """Name the layers that give the answers, and those that fuse a backbone's levels."""
    names = [layer.name for layer in model.layers]
    if "pool" in names:
        return set(names[names.index("pool") :]), set()
    return {"evidence"}, {name for name in names if name.startswith(FUSING)}


def _stored(variable: Any, *, half: bool) -> NDArray[Any]:
    """Give a weight as it is written: in half precision where that can hold it."""
    values = np.ascontiguousarray(variable.numpy(), dtype=np.float32)
    fits = np.abs(values).max(initial=0) <= np.finfo(np.float16).max
    return values.astype(np.float16) if half and fits else values


def _variables(model: Any) -> Iterator[tuple[str, Any]]:
    """Every weight with its name; the state of random generators is not one."""
    for layer in model.layers:
        for variable in layer.weights:
            if variable.dtype == "float32":
                yield f"{layer.name}/{variable.name}", variable
