"""The weights in an HDF5 file from elsewhere: arrays by layer, and nothing that leads out of it.

HDF5 is a file system in a file. A name in it may be a link to another file, an
array may be kept in other files or put together from them: whoever reads such a
file unawares reads ``/etc/passwd`` as weights (CVE-2026-1669; through the groups of
older files, CVE-2026-12480). So every name is looked at before it is followed, and the
whole tree is walked before any array is read.

The library that reads HDF5 is written in C and crashes on some damaged files. It
therefore runs in a process of its own, which has no Keras, and which
`tumorlens.checkpoint.reader` starts::

    python -P -m tumorlens.checkpoint.hdf5 FILE ANSWER < ORDER

``ORDER`` is a JSON list of arrays to read, or ``null`` to list what there is. What
came of it is written to the folder ``ANSWER``: ``answer.json``, and ``arrays.npz``.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tumorlens.errors import ModelError, UnsafeModelError
from tumorlens.extras import require
from tumorlens.untrusted import printable

__all__ = ["StoredLayer", "list_layers", "main", "open_hdf5", "read_arrays"]

_MOST_OBJECTS: Final = 20_000
_DEEPEST: Final = 12
_LARGEST: Final = 2**30  # bytes that one array may claim
_MEMORY: Final = 8 * 2**30  # bytes of address space, of which most is never touched
_DAMAGED: Final = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)
"""What reading a damaged file raises."""

_FILTERS: Final = (1, 2, 3, 32_000)  # deflate, shuffle, checksum, LZF: none needs a plug-in
_LONGEST_NAME: Final = 200
_ROOTS: Final = ("layers", "_layer_checkpoint_dependencies")
"""Where Keras 3, and Keras 2 from 2.12 on, keep the layers."""

_ORDER: Final = (
    *("depthwise_kernel", "pointwise_kernel", "kernel", "bias"),
    *("gamma", "beta", "moving_mean", "moving_variance"),
)
"""Order of a layer's weights, which older files hold by name."""

_NO_LAYERS: Final = ("top_level_model_weights", "optimizer_weights")
_NUMBERED: Final = re.compile(r"(?P<kind>.*?)(_(?P<number>\d+))?")


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """One layer's weights in the file.

    Parameters
    ----------
    kind
        The layer's class as Keras writes it, such as ``"conv2d"``; in older files
        what its name begins with.
    number
        Its place among those of its kind.
    name
        The layer's own name, or ``None`` where the file does not say it.
    arrays
        Where its weights lie in the file, in their order.
    shapes
        What the file says of their shapes.
    """

    kind: str
    number: int
    name: str | None
    arrays: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


def main(file: str, answer: str) -> int:
    """Do what standard input orders, and write down what came of it.

    Parameters
    ----------
    file
        The HDF5 file.
    answer
        A folder that is there.

    Returns
    -------
    int
        The exit status: 0 when the order was carried out.
    """
    _limit_memory()
    order = json.load(sys.stdin)
    said: dict[str, Any]
    try:
        with open_hdf5(file) as opened:
            if order is None:
                layers = [dataclasses.asdict(layer) for layer in list_layers(opened)]
                said = {"config": _text(opened, "model_config"), "layers": layers}
            else:
                arrays: dict[str, Any] = read_arrays(opened, order)
                np.savez(Path(answer) / "arrays.npz", **arrays)
                said = {}
    except ModelError as error:
        said = {"error": type(error).__name__, "message": str(error)}
    except _DAMAGED as error:
        said = {"error": "ModelError", "message": f"the HDF5 file is damaged ({error})"}
    (Path(answer) / "answer.json").write_text(json.dumps(said), encoding="utf-8")
    return 1 if "error" in said else 0


def open_hdf5(file: str) -> Any:
    """Open an HDF5 file and walk all of it.

    Parameters
    ----------
    file
        Its path.

    Returns
    -------
    h5py.File
        Everything below it is a group or an array of numbers inside this file.

    Raises
    ------
    UnsafeModelError
        When anything in it leads out of it, holds objects, needs a plug-in, or claims
        more memory than any network has.
    OSError, RuntimeError, KeyError, ValueError, TypeError
        When it is no HDF5 file, or damaged.
    """
    h5py = require("h5py", "reading checkpoints", "train")
    opened = h5py.File(file, "r")
    _walk(h5py, opened)
    return opened


def list_layers(opened: Any) -> list[StoredLayer]:
    """List the layers that have weights, in the order of their numbers.

    Raises
    ------
    ModelError
        When there are none, or they are those of a network within a network.
    """
    root = next((opened[name] for name in _ROOTS if name in opened), None)
    if root is not None:
        layers = [_new_layer(name, root[name]) for name in root]
    else:
        root = opened.get("model_weights", opened)
        names = [name for name in root if _is_group(root[name]) and name not in _NO_LAYERS]
        layers = [_old_layer(name, root[name]) for name in names]
    found = [layer for layer in layers if layer.arrays]
    if not found:
        raise ModelError("it holds no weights of layers")
    return sorted(found, key=lambda layer: (layer.kind, layer.number))


def read_arrays(opened: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read arrays as float32, named by their place in `names`."""
    return {str(i): np.asarray(opened[name][()], np.float32) for i, name in enumerate(names)}


def _limit_memory() -> None:
    """Let no file take more memory than any network needs, where the system can see to it."""
    if importlib.util.find_spec("resource") is None:
        return
    resource: Any = importlib.import_module("resource")
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _walk(h5py: Any, opened: Any) -> None:
    """Look at every name in the file before it is followed."""
    left: list[tuple[str, Any]] = [("", opened)]
    seen: set[tuple[int, int]] = set()
    while left:
        path, group = left.pop()
        for name in group:
            here = f"{path}/{name}"
            link = group.get(name, getlink=True)
            if type(link) is not h5py.HardLink:
                raise _unsafe(here, "is a link")
            item = group[name]
            place = h5py.h5o.get_info(item.id)
            if (key := (place.fileno, place.addr)) in seen:
                raise _unsafe(here, "is there under two names")
            seen.add(key)
            if len(seen) > _MOST_OBJECTS or here.count("/") > _DEEPEST:
                raise UnsafeModelError("it holds more than the weights of any network")
            if isinstance(item, h5py.Group):
                left.append((here, item))
            elif isinstance(item, h5py.Dataset):
                _check_array(item, here)
            else:
                raise _unsafe(here, "is neither a group nor an array")


def _check_array(item: Any, here: str) -> None:
    if item.external:
        raise _unsafe(here, "is kept in another file")
    if item.is_virtual:
        raise _unsafe(here, "is put together from other files")
    if item.dtype.kind not in "fiub" or item.dtype.hasobject:
        raise _unsafe(here, "holds objects, text or links instead of numbers")
    plan = item.id.get_create_plist()
    if any(plan.get_filter(i)[0] not in _FILTERS for i in range(plan.get_nfilters())):
        raise _unsafe(here, "needs a plug-in to be read")
    claimed = max(math.prod(item.shape or ()), math.prod(item.chunks or ())) * item.dtype.itemsize
    if claimed > _LARGEST:
        raise _unsafe(here, f"claims {claimed} bytes")


def _new_layer(group_name: str, group: Any) -> StoredLayer:
    """Read a layer as Keras 3 stores it: ``conv2d_1/vars/0``."""
    if any(name in group for name in _ROOTS):
        raise _nested(group_name)
    kind, number = _split(group_name)
    if "vars" not in group:
        return StoredLayer(kind, number, None, (), ())
    numbered = group["vars"]
    names = sorted((x for x in numbered if x.isdecimal()), key=int)
    own_name = _text(numbered, "name")
    if own_name is not None and len(own_name) > _LONGEST_NAME:
        raise ModelError(f"a layer has a name of {len(own_name)} letters")
    return _layer(kind, number, own_name, [numbered[name] for name in names])


def _old_layer(name: str, group: Any) -> StoredLayer:
    """Read a layer as Keras 2 stored it: ``conv2d_1/conv2d_1/kernel:0``."""
    found: dict[str, Any] = {}
    left = [group]
    while left:
        inner = left.pop()
        for part in inner:
            if _is_group(inner[part]):
                left.append(inner[part])
                continue
            weight = part.partition(":")[0]
            if weight not in _ORDER or weight in found:
                raise _nested(name)
            found[weight] = inner[part]
    kind, number = _split(name)
    return _layer(kind, number, name, [found[weight] for weight in _ORDER if weight in found])


def _layer(kind: str, number: int, name: str | None, arrays: list[Any]) -> StoredLayer:
    shapes = tuple(tuple(array.shape or ()) for array in arrays)
    return StoredLayer(kind, number, name, tuple(array.name for array in arrays), shapes)


def _nested(name: str) -> ModelError:
    return ModelError(
        f"{printable(name, 80)!r} is a network within the network, or a layer of another kind; "
        "only flat networks can be read"
    )


def _split(name: str) -> tuple[str, int]:
    """Split ``conv2d_12`` into its kind and its number."""
    match = _NUMBERED.fullmatch(name)
    assert match is not None  # noqa: S101  # everything matches
    return match["kind"], int(match["number"] or 0)


def _text(item: Any, name: str) -> str | None:
    """Read an attribute that is one text; ``None`` when there is none such."""
    if name not in item.attrs or item.attrs.get_id(name).shape != ():
        return None
    value = item.attrs[name]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _is_group(item: Any) -> bool:
    return hasattr(item, "keys")


def _unsafe(here: str, what: str) -> UnsafeModelError:
    return UnsafeModelError(f"{printable(here, 120)} {what}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
