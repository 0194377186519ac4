"""Whether a picture can be assessed at all: what is plain to see without a network."""

from __future__ import annotations

from typing import Final

import numpy as np

from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice

__all__ = ["check_picture"]

_SMALLEST_SIDE: Final = 48  # pixels: below it no slice in the training data, and no anatomy
_LONGEST_ASPECT: Final = 4.0
_LEAST_CONTRAST: Final = 0.02  # of the 256 grey values, or of a volume's own range

# Terms of DICOM PS3.16 annex L for what is not the head. A word that is not among them says
# nothing: headers have names of protocols and words of many languages there.
_TERMS: Final = (
    "ABDOMEN ABDOMENPELVIS ANKLE AORTA ARM BLADDER BREAST BRONCHUS CALCANEUS CERVIX CHEST "
    "CHESTABDOMEN CLAVICLE COCCYX COLON CSPINE CTSPINE DUODENUM ELBOW ESOPHAGUS EXTREMITY FEMUR "
    "FINGER FOOT FOREARM GALLBLADDER HAND HEART HIP HUMERUS ILEUM ILIUM JEJUNUM KIDNEY KNEE LEG "
    "LIVER LSPINE LSSPINE LUNG NECKCHEST OVARY PANCREAS PELVIS PROSTATE RECTUM RIB SCAPULA "
    "SCROTUM SHOULDER SPINE SPLEEN SSPINE STERNUM STOMACH TESTIS THIGH THORAX THUMB TIBIA "
    "TIBIAFIBULA TLSPINE TOE TSPINE UTERUS VAGINA WRIST"
)
_ELSEWHERE: Final = frozenset(_TERMS.split())


def check_picture(picture: Slice, prepared: Prepared) -> str | None:
    """Say why a picture cannot be assessed, or ``None`` when nothing speaks against it.

    This finds blank, tiny and strip-like pictures, and those that the header of a DICOM
    file says are no MR or not of the head. It does not find photographs or other organs.
    """
    if told := _check_header(picture.origin):
        return told
    short, long = sorted((picture.height, picture.width))
    if picture.pixels.min() == picture.pixels.max():
        return "the picture is blank"
    if short < _SMALLEST_SIDE:
        return f"the picture is only {picture.width} × {picture.height} pixels"
    if long > _LONGEST_ASPECT * short:
        return f"the picture is a strip of {picture.width} × {picture.height} pixels"
    # The range of deeper pictures is their content's own, which one stuck pixel can stretch.
    known = picture.pixels.dtype == np.uint8 or picture.geometry is not None
    least = _LEAST_CONTRAST if known else 0.0
    if prepared.contrast <= least:
        return "the picture is blank"
    return None


def _check_header(origin: dict[str, str]) -> str | None:
    """Say what the header says against a picture."""
    modality, part = origin.get("modality", ""), origin.get("body part", "")
    if modality not in ("", "MR"):
        return f"its header says {modality[:16]}, and only MR slices can be assessed"
    if part.replace(" ", "") in _ELSEWHERE:
        return f"its header says {part.lower()}, and only slices of the head can be assessed"
    return None
