"""A secondary capture of the overlay: a picture in colour for whoever looks through the study.

It is the picture that ``overlay.png`` is: slice, evidence and a caption that says research use
only. It has no geometry, for it is no scan.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.dicom_out.study import WARNING, Source, adopt, labels, new_uid
from tumorlens.explain.explanation import Explanation
from tumorlens.extras import require
from tumorlens.images.geometry import SliceGeometry
from tumorlens.models.card import Card

__all__ = ["build_capture"]

_SERIES: Final = 9102
"""Number of the captures' series; that of the report is the one before it."""

_SIDES: Final = ("R", "L"), ("A", "P"), ("F", "H")
"""Where x, y and z run to, backwards and forwards (PS3.3 section C.7.6.1.1.1)."""


def build_capture(
    explanation: Explanation,
    source: Source,
    frame: int | None,
    card: Card,
    series: str,
    number: int,
) -> Any:
    """Make an object of one explained slice.

    Parameters
    ----------
    explanation
        The slice with its map.
    source
        The object that it was read from.
    frame
        Which of its frames, from 1, or ``None``.
    card
        Of the model.
    series
        Identifier of the captures' series.
    number
        Its place in there, from 1.

    Returns
    -------
    highdicom.sc.SCImage
        To be saved. RGB, packed without loss.

    Raises
    ------
    UnreadableImageError
        When what the source says of patient and study is damaged.
    """
    geometry = explanation.picture.geometry
    capture = require("highdicom.sc", "writing DICOM", "dicom-out").SCImage(
        pixel_array=_pixels(explanation.figure()),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P") if geometry is None else _sides(geometry),
        study_instance_uid=source.study,
        series_instance_uid=series,
        series_number=_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=number,
        transfer_syntax_uid=require("pydicom.uid", "writing DICOM", "dicom-out").RLELossless,
        **labels(card),
    )
    if geometry is None:
        capture.PatientOrientation = None
    adopt(capture, source)
    _derive(capture, explanation, source, frame)
    return capture


def _derive(capture: Any, explanation: Explanation, source: Source, frame: int | None) -> None:
    """Say what it was made of, and how."""
    codes = require("pydicom.sr.codedict", "writing DICOM", "dicom-out").codes
    concept = require("highdicom.sr", "writing DICOM", "dicom-out").CodedConcept
    origin = require("pydicom", "writing DICOM", "dicom-out").Dataset()
    origin.ReferencedSOPClassUID = source.evidence.SOPClassUID
    origin.ReferencedSOPInstanceUID = source.evidence.SOPInstanceUID
    if frame is not None:
        origin.ReferencedFrameNumber = frame
    purpose = codes.DCM.SourceImageForImageProcessingOperation
    origin.PurposeOfReferenceCodeSequence = [concept.from_code(purpose)]
    capture.SourceImageSequence = [origin]
    capture.DerivationDescription = f"{explanation.describe()}. {WARNING}"[:1024]
    burned = str(source.whole.get("BurnedInAnnotation") or "").upper()
    capture.BodyPartExamined = "BRAIN"
    capture.BurnedInAnnotation = "YES" if burned == "YES" else "NO"  # our caption names nobody


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture.convert("RGB"), dtype=np.uint8)


def _sides(geometry: SliceGeometry) -> tuple[str, str]:
    """Name where rows and columns run to: the side of the patient that is nearest."""
    return _side(geometry.right), _side(geometry.down)


def _side(direction: tuple[float, ...]) -> str:
    axis = int(np.abs(direction).argmax())
    return _SIDES[axis][direction[axis] > 0]
