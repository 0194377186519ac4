"""The evidence of a whole volume: a map in the scan's own voxels, and its record on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.explain.lattice import Lattice
from tumorlens.explain.nifti_file import require_nifti, write_nifti
from tumorlens.files import new_folder, write_text
from tumorlens.versions import versions_of
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["EVIDENCE_NAME", "VolumeExplanation", "volume_manifest"]

EVIDENCE_NAME: Final = "evidence.nii.gz"


@dataclass(frozen=True, slots=True, eq=False)
class VolumeExplanation:
    """Where in a volume the evidence for a class lies.

    Parameters
    ----------
    affine
        float64, ``(4, 4)``: from indices of `map` to mm, RAS, as NIfTI has it.
    method, layer
        How, and where in the network.
    target
        The class that is explained in all slices: the one asked for, else that of the volume.
        ``None`` where no slice counted and none was asked for; the map is zero then.
    versus
        The class that the target is held against, or ``None``.
    answer
        The answer for the volume.
    explained
        The slices that hold evidence, in the volume's own order.
    """

    affine: NDArray[np.float64]
    method: str
    layer: str
    target: str | None
    versus: str | None
    answer: VolumeAnswer
    explained: tuple[int, ...]
    _lattice: Lattice = field(repr=False)
    _form: Any = field(default=None, repr=False)

    @property
    def map(self) -> NDArray[np.float32]:
        """The evidence of each voxel, float32, three axes in the order of the source's own.

        Of NIfTI and MGH those of the file, of DICOM column, row and slice, with room for slices
        that are missing. All slices are on one scale: of Grad-CAM the evidence in logits above
        the bias, as `Explanation.evidence` has it. 0 where nothing speaks for the class, and in
        slices that are missing, are not assessable or show no brain. It is held packed, and
        made anew each time it is asked for: 4 bytes a voxel.
        """
        return self._lattice.array()

    def plane(self, index: int) -> NDArray[np.float32]:
        """Give the evidence of one of the slices of `explained`, in the source's own pixels."""
        return self._lattice.plane(index)

    def manifest(self) -> dict[str, Any]:
        """Describe it as its record does."""
        return {
            **volume_manifest(self.answer, self.method, self.layer, self.target, self.versus),
            "explained": list(self.explained),
            "shape": list(self._lattice.grid.shape),
            "affine": self.affine.tolist(),
            "largest": self._lattice.largest,
        }

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the record into a new folder, whole or not at all.

        ``evidence.nii.gz``, float32 in the source's own geometry, so that viewers lay it over
        the scan, and, last, ``manifest.json``.

        Parameters
        ----------
        folder
            Must not exist, or be empty.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        OutputError
            When the folder is not empty or cannot be written.
        MissingExtraError
            When nibabel is not installed.
        """
        require_nifti()
        about = f"tumorlens {self.method} {self.target}, research use only"
        with new_folder(folder) as work:
            write_nifti(work / EVIDENCE_NAME, self._lattice, self.affine, self._form, about)
            write_text(work / "manifest.json", json.dumps(self.manifest(), indent=2) + "\n")
        return Path(folder)


def volume_manifest(
    answer: VolumeAnswer, method: str, layer: str, target: str | None, versus: str | None
) -> dict[str, Any]:
    """Say what a record of a volume is about, before its map is made."""
    said = answer.to_dict()
    return {
        "path": said["path"],
        **said["volume"],
        "method": method,
        "layer": layer,
        "target": target,
        "versus": versus,
        "versions": versions_of(["tumorlens", "numpy", "onnxruntime", "pillow", "nibabel"]),
    }
