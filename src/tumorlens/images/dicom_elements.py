"""Elements of a DICOM file: counted while pydicom reads them, and looked at without a word.

An element of eight bytes becomes hundreds of bytes of Python and takes tens of microseconds, so
that a file well within the limit on bytes would take hours and more memory than there is.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np

from tumorlens.extras import require
from tumorlens.images.limits import Limits

__all__ = ["Counted", "Elements", "Values", "check_tables"]

_HEAD: Final = 8  # bytes that each element and each item of a sequence begins with
_MOST_TABLE: Final = 2**20  # bytes; a table for greys has 65,536 entries of two at most
_UNITS: Final = {"US": "H", "UL": "I", "SS": "h", "SL": "i", "FL": "f", "FD": "d"}
_MOST_TEXT: Final = 1024
_TABLES: Final = ("ModalityLUTSequence", "VOILUTSequence")


class Elements:
    """Counts the elements of one file, those in its sequences too.

    Parameters
    ----------
    source
        The file, for the error.
    limits
        How many are too many.
    """

    def __init__(self, source: str, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._count = 0

    def count(self) -> None:
        """Count one more.

        Raises
        ------
        UnreadableImageError
            When they are too many.
        """
        self._count += 1
        if self._count > self._limits.max_elements:
            raise self._limits.too_many_elements(self._source)

    def items(self, element: Any) -> list[Any]:
        """Parse the sequence that an element holds, unless that is done: a data set an item.

        Raises
        ------
        UnreadableImageError
            When it holds too many elements.
        """
        value = element.value
        if isinstance(value, bytes):
            reader = require("pydicom.filereader", "reading DICOM", "dicom")
            form = element.is_implicit_VR, element.is_little_endian
            stream = Counted(value, self)
            value = reader.read_sequence(stream, *form, len(value), ["iso8859"])
        return list(value) if hasattr(value, "__iter__") else []


class Counted(io.BytesIO):
    """Bytes whose reads tell how many elements there are."""

    def __init__(self, data: bytes, elements: Elements) -> None:
        super().__init__(data)
        self._elements = elements

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual, and count what may be the beginning of an element."""
        if size == _HEAD:
            self._elements.count()
        return super().read(size)


def check_tables(dataset: Any) -> None:
    """Refuse tables for greys that pydicom would parse at length, whatever they hold.

    Raises
    ------
    ValueError
        When one is larger than any table is.
    """
    for name in _TABLES:
        if name in dataset:
            value = dataset.get_item(name).value
            if isinstance(value, bytes) and len(value) > _MOST_TABLE:
                raise ValueError(f"{name} is too large")


class Values:
    """Values of a data set, taken from the bytes of the file: nothing is warned of or shown."""

    def __init__(self, dataset: Any, counted: Elements) -> None:
        self._dataset = dataset
        self._counted = counted
        self._sequences: dict[str, list[Values]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._dataset

    def item(self, name: str) -> Values | None:
        """Give the first item of a sequence."""
        items = self.items(name)
        return items[0] if items else None

    def items(self, name: str) -> list[Values]:
        """Give the items of a sequence."""
        if name not in self._dataset:
            return []
        if name not in self._sequences:
            items = self._counted.items(self._dataset.get_item(name))
            self._sequences[name] = [Values(item, self._counted) for item in items]
        return self._sequences[name]

    def text(self, name: str) -> str:
        """Give a text; empty where there is none."""
        raw = self._raw(name)
        if raw is None or not isinstance(raw[0], bytes | str):
            return "" if raw is None else str(raw[0])[:_MOST_TEXT]
        value = raw[0]
        shown = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        return shown[:_MOST_TEXT].strip(" \0")

    def numbers(self, name: str) -> tuple[float, ...]:
        """Give finite numbers, whatever they are written as; none where one is damaged."""
        raw = self._raw(name)
        if raw is None:
            return ()
        value, kind, little = raw
        try:
            if isinstance(value, bytes) and kind in _UNITS:
                order, unit = "<" if little else ">", _UNITS[kind]
                count = len(value) // struct.calcsize(unit)
                found = struct.unpack(f"{order}{count}{unit}", value)
            elif isinstance(value, bytes):
                texts = value[:_MOST_TEXT].decode("ascii").strip(" \0").split("\\")
                found = tuple(float(text) for text in texts if text.strip())
            else:
                found = tuple(float(x) for x in (value if np.iterable(value) else [value]))
        except (ValueError, TypeError, struct.error):
            return ()
        return tuple(map(float, found)) if np.isfinite(found).all() else ()

    def whole(self, name: str, default: int = 0) -> int:
        """Give the first number as an integer."""
        values = self.numbers(name)
        return int(values[0]) if values else default

    def _raw(self, name: str) -> tuple[Any, str, bool] | None:
        """Give a value as it stands in the file, its kind, and whether little ends come first."""
        datadict = require("pydicom.datadict", "reading DICOM", "dicom")
        tag = datadict.tag_for_keyword(name)
        if tag not in self._dataset:
            return None
        element = self._dataset.get_item(tag)
        little = getattr(element, "is_little_endian", True)
        kind = str(element.VR or datadict.dictionary_VR(tag))
        return element.value, kind, little
