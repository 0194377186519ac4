"""A map of a volume as NIfTI, lying where the scan lies."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.explain.lattice import Lattice
from tumorlens.extras import require
from tumorlens.images.geometry import VolumeGeometry

__all__ = ["affine_of", "require_nifti", "write_nifti"]

_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_SCANNER: Final = 1  # the code of coordinates that are the scanner's own
_SHEARED: Final = 1e-3  # mm: what a quaternion may be off before it is left out


def require_nifti() -> Any:
    """Give nibabel.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    return require("nibabel", "writing the evidence as a volume", "nifti")


def affine_of(grid: VolumeGeometry, form: Any = None) -> NDArray[np.float64]:
    """Say where voxels lie as NIfTI does: from their indices to mm, RAS.

    Parameters
    ----------
    grid
        In mm (LPS).
    form
        As `write_nifti` takes it. Without one the affine is rounded as NIfTI holds it, to
        float32.
    """
    affine = _TO_RAS @ grid.affine + 0.0  # and no -0.0
    if form is None:
        affine = affine.astype(np.float32).astype(np.float64)
    return np.asarray(affine)


def write_nifti(
    path: Path,
    lattice: Lattice,
    affine: NDArray[np.float64],
    form: Any = None,
    about: str = "",
) -> None:
    """Write a map beside the scan it belongs to, compressed, some of it at a time.

    Parameters
    ----------
    path
        The file, ``.nii.gz``.
    lattice
        The map.
    affine
        From indices to mm, RAS.
    form
        The place as the source's own header has it; see `tumorlens.images.volume.Volume`.
    about
        What it is, at most 79 letters.

    Raises
    ------
    MissingExtraError
        When nibabel is not installed.
    """
    nib = require_nifti()
    two = form is not None and form["sizeof_hdr"] == nib.Nifti2Header.sizeof_hdr
    kind = nib.Nifti2Header if two else nib.Nifti1Header  # and no header of a pair
    header = kind(endianness="<") if form is None else kind.from_header(form)
    header.set_data_dtype(np.float32)
    header.set_data_shape(lattice.grid.shape)
    if form is None:
        header.set_xyzt_units("mm")
        header.set_qform(affine, code=_SCANNER)
        if np.abs(header.get_qform() - affine).max() > _SHEARED:
            header.set_qform(None, code=0)
        header.set_sform(affine, code=_SCANNER)
    elif not np.array_equal(header.get_best_affine(), affine):
        header.set_sform(affine, code=_SCANNER)
    header["cal_max"] = max(lattice.largest, 1e-6)  # one scale for every slice
    header["descrip"] = about.encode("ascii", "replace")[:79]
    header.set_slope_inter(1, 0)
    header.set_data_offset(kind.sizeof_hdr + 4)  # 4: there are no extensions
    with path.open("wb") as file, gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
        packed.write(header.binaryblock + bytes(4))
        for block in lattice.blocks():
            packed.write(block.astype("<f4", copy=False).tobytes("F"))  # first axis fastest
