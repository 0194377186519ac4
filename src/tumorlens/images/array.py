"""How an array becomes slices, whichever library holds it."""

from __future__ import annotations

from itertools import repeat
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import UnreadableImageError
from tumorlens.images.grey import float_pixels, luma
from tumorlens.images.limits import Limits
from tumorlens.images.slice import Slice

__all__ = ["ForeignPicture", "library_of", "read_array", "tensor_array"]

_LIBRARIES = frozenset({"nibabel", "pydicom", "torch"})

_ARRAY = "<array>"


class _Tensor(Protocol):
    def numpy(self, *, force: bool = ...) -> Any: ...


class _Image(Protocol):
    @property
    def dataobj(self) -> Any: ...


class _Dataset(Protocol):
    @property
    def pixel_array(self) -> Any: ...


ForeignPicture: TypeAlias = _Tensor | _Image | _Dataset
"""A torch tensor, an image of nibabel or a data set of pydicom."""


def library_of(source: object) -> str | None:
    """Say which known library a picture comes from, without importing any.

    Types that are made of theirs count: highdicom's data sets, MONAI's tensors.
    """
    names = {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
    return min(names & _LIBRARIES, default=None)


def tensor_array(tensor: Any) -> NDArray[Any]:
    """Turn a torch tensor into an array; bfloat16, which NumPy does not know, into float32.

    Raises
    ------
    UnreadableImageError
        When its values cannot be had: it is sparse, quantised or empty of memory.
    """
    try:
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        array: NDArray[Any] = tensor.numpy(force=True)  # detached, and from whichever device
    except (TypeError, RuntimeError, NotImplementedError, ValueError) as exc:
        found = f"a tensor without plain values ({' '.join(str(exc).split())[:120]})"
        raise UnreadableImageError("<tensor>", found, "give a dense tensor of numbers") from exc
    return array


def read_array(array: NDArray[Any], limits: Limits) -> list[Slice]:
    """Take the pictures out of an array."""
    planes, spent = _planes(array), 0
    for index, (height, width, *_) in enumerate(repeat(planes.shape[1:], len(planes))):
        spent = limits.check_frame(_ARRAY, (width, height), index, spent)
    try:
        return [_plane_slice(plane, index) for index, plane in enumerate(planes)]
    except ValueError as exc:
        found = f"a picture that holds nothing ({exc})"
        raise UnreadableImageError(_ARRAY, found, "give an array with values") from exc


def _planes(array: NDArray[Any]) -> NDArray[Any]:
    """Put the pictures on the first axis: shape ``(n, height, width[, channels])``."""
    kind = array.dtype.kind
    if kind not in "biuf":
        hint = "give integers, floating point or true/false"
        raise UnreadableImageError(_ARRAY, f"values of type {array.dtype}", hint)
    if array.ndim not in (2, 3) or len(array) == 0:
        hint = "give shape (height, width), (height, width, 2 to 4) or (n, height, width)"
        raise UnreadableImageError(_ARRAY, f"an array of shape {array.shape}", hint)
    if array.ndim == 2:
        return array[np.newaxis]
    if array.shape[2] in (2, 4) and kind in "iu" and array.dtype.name not in ("uint8", "uint16"):
        hint = "give uint8, uint16 or floating point, or no alpha"
        raise UnreadableImageError(_ARRAY, f"alpha of type {array.dtype}", hint)
    return array[np.newaxis] if 1 <= array.shape[2] <= 4 else array


def _plane_slice(plane: NDArray[Any], index: int) -> Slice:
    """Make a slice of one picture of an array."""
    hidden: NDArray[np.bool_] = np.ma.getmaskarray(plane)
    values = np.asarray(np.ma.getdata(plane))
    if values.dtype == np.bool_:
        values = values * np.uint8(255)
    if values.ndim == 3:
        values, hidden = luma(values), np.logical_or.reduce(hidden, axis=2)
    pixels, value_range = _plane_pixels(values, hidden)
    origin = {"format": "array", "mode": plane.dtype.name}
    return Slice(pixels, value_range, index=index, origin=origin)


def _plane_pixels(
    values: NDArray[Any], hidden: NDArray[np.bool_]
) -> tuple[NDArray[Any], tuple[float, float]]:
    """Copy grey values, with the hidden ones at the lowest of the others."""
    if values.dtype != np.uint8:
        return float_pixels(values, hidden)
    if hidden.all():
        raise ValueError("all of it is masked")
    return np.where(hidden, values.min(where=~hidden, initial=255), values), (0.0, 255.0)
