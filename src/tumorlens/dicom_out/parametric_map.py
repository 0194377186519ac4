"""The evidence of a series as a Parametric Map, which viewers lay over the series (PS3.3 A.75)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.folder import class_name
from tumorlens.dicom_out.study import Source, adopt, labels, new_uid
from tumorlens.explain.cam import METHODS
from tumorlens.explain.volume_explanation import VolumeExplanation
from tumorlens.extras import require
from tumorlens.models.card import Card

__all__ = ["build_map", "placed"]

_SERIES: Final = 9103
"""Number of the maps' series; those of report and captures are the two before it."""

_PLACE: Final = (
    *("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImagePositionPatient"),
    *("ImageOrientationPatient", "FrameOfReferenceUID", "PositionReferenceIndicator"),
)


def placed(source: Source) -> Any | None:
    """Give what a map needs of an object: where it lies, and no patient.

    Returns
    -------
    pydicom.Dataset or None
        ``None`` when it holds several pictures, or names no frame of reference.
    """
    whole = source.whole
    if len(source.header.frames) > 1 or not str(whole.get("FrameOfReferenceUID") or ""):
        return None
    found = require("pydicom", "writing DICOM", "dicom-out").Dataset()
    found.update(source.evidence)
    for name in _PLACE:
        if name in whole:
            setattr(found, name, whole[name].value)
    return found


def build_map(
    explanation: VolumeExplanation,
    planes: NDArray[np.float32],
    images: Sequence[Any],
    source: Source,
    card: Card,
) -> Any:
    """Make an object of the evidence of some slices.

    Parameters
    ----------
    explanation
        What is explained, and how.
    planes
        float32, ``(n, rows, columns)``, as the objects have them.
    images
        The objects, as `placed` gives them.
    source
        One of them, of the study.
    card
        Of the model.

    Returns
    -------
    highdicom.pm.ParametricMap
        To be saved: 32-bit floats, in the values of `VolumeExplanation.map`.

    Raises
    ------
    UnreadableImageError
        When what the source says of patient and study is damaged.
    """
    maps = require("highdicom.pm", "writing DICOM", "dicom-out")
    highdicom = require("highdicom", "writing DICOM", "dicom-out")
    most = max(float(planes.max()), 1e-6)
    what = f"{METHODS[explanation.method].title} for {class_name(str(explanation.target))}"
    unit = require("pydicom.sr.codedict", "writing DICOM", "dicom-out").codes.UCUM.NoUnits
    value = maps.RealWorldValueMapping("EVIDENCE", what[:64], unit, (0.0, most), 1.0, 0.0)
    made = maps.ParametricMap(
        list(images),
        planes,
        series_instance_uid=new_uid(),
        series_number=_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=1,
        device_serial_number="0",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[value],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(window_center=most / 2, window_width=most)
        ],
        content_label="EVIDENCE",
        content_description=what[:64],
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **labels(card),
    )
    made.BodyPartExamined = "HEAD"  # or a laterality would be asked for
    adopt(made, source)
    return made
