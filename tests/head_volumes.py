"""Head volumes with a tumour at a known place, in any geometry, as NIfTI or as a series.

The slices are those of the demonstration, in which the model that ships sees the tumour.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion

SLICES, ILL = 10, range(4, 8)
SPACING = (3.0, 0.9, 0.9)

# Which way slices, rows and columns run in the patient (LPS) when its slices lie in a plane.
WAYS = {
    "axial": ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    "coronal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
}


@dataclass(frozen=True)
class HeadVolume:
    """Voxels of three axes, where the tumour is, and the affine to mm, RAS."""

    values: NDArray[np.int16]
    inside: NDArray[np.bool_]
    affine: NDArray[np.float64]

    def in_tumour(self, point: Sequence[float]) -> bool:
        """Say whether a place in mm, RAS, lies in the tumour."""
        voxel = np.linalg.solve(self.affine, (*point, 1.0))[:3]
        return bool(self.inside[tuple(np.rint(voxel).astype(int))])


def draw_slices(step: int = 2) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Draw slices ``(n, rows, columns)``, some with a tumour, and where it is."""
    healthy = demo_slice().pixels
    ill, inside = draw_lesion(healthy)
    planes = np.stack([ill if i in ILL else healthy for i in range(SLICES)])
    places = np.stack([inside & (i in ILL) for i in range(SLICES)])
    return (planes[:, ::step, ::step] / 4).astype(np.int16), places[:, ::step, ::step]


def head_volume(
    plane: str = "axial",
    flips: Sequence[int] = (),
    turn: NDArray[np.float64] | None = None,
    step: int = 2,
    thick: int = 1,
) -> HeadVolume:
    """Lay the slices into a plane, with axes that run backwards, and turned in space.

    Each slice is there `thick` times.
    """
    values, inside = (np.repeat(x.transpose(2, 1, 0), thick, 2) for x in draw_slices(step))
    affine = np.eye(4)
    for axis, way in enumerate(reversed(WAYS[plane])):
        affine[:3, axis] = np.multiply(way, SPACING[2 - axis] * (step if axis < 2 else 1))
    affine[:3, 3] = (-100.5, -90.25, -20.125)
    affine[:3] = (np.eye(3) if turn is None else turn) @ affine[:3]
    for axis in flips:
        values, inside = np.flip(values, axis), np.flip(inside, axis)
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:3, axis] *= -1
    return HeadVolume(values, inside, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def turned(about_z: float, about_x: float) -> NDArray[np.float64]:
    """Make a rotation of two angles."""
    (s, c), (t, d) = ((np.sin(a), np.cos(a)) for a in (about_z, about_x))
    first = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return first @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])


def save_nifti(head: HeadVolume, path: Path, **codes: int) -> Path:
    """Write it with nibabel; `codes` are those of its qform and sform."""
    nib: Any = importlib.import_module("nibabel")
    image = nib.Nifti1Image(head.values, head.affine)
    image.set_qform(head.affine, codes.get("qform", 1))
    image.set_sform(head.affine, codes.get("sform", 3))
    image.header["descrip"] = b"Quixote^Rosinante"
    nib.save(image, path)
    return path
