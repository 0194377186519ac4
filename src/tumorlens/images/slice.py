"""What a picture becomes once it is read: a slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.images.geometry import SliceGeometry

__all__ = ["Slice"]


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One grey picture and where it came from.

    Parameters
    ----------
    pixels
        Grey values, shape ``(height, width)``, uint8 or float32, all finite.
    value_range
        The values that stand for black and white. ``(0, 255)`` for uint8; of a volume,
        the same for all of its slices; the lowest and the highest value of the picture
        otherwise.
    path
        The path as it was given, or ``None`` for bytes, pictures and arrays.
    index
        Which frame of the source, from 0.
    origin
        What the reader knew of the source, for people: its format and mode.
        No network ever sees it.
    geometry
        Where it lies in the patient, or ``None`` where that is not known.
    frame
        Which frame of its DICOM file, from 0: frames are stored in any order. ``None`` elsewhere.

    Raises
    ------
    ValueError
        When `pixels` is not such an array.
    """

    pixels: NDArray[Any]
    value_range: tuple[float, float]
    path: str | None = None
    index: int = 0
    origin: dict[str, str] = field(default_factory=dict)
    geometry: SliceGeometry | None = None
    frame: int | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 2 or 0 in pixels.shape:
            raise ValueError(f"`pixels` must have shape (height, width), got {pixels.shape}")
        if pixels.dtype not in (np.uint8, np.float32):
            raise ValueError(f"`pixels` must be uint8 or float32, got {pixels.dtype}")
        if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
            raise ValueError("`pixels` must be finite")

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return int(self.pixels.shape[1])

    @property
    def name(self) -> str:
        """The source as a person would name it."""
        return self.path if self.path is not None else "<memory>"
