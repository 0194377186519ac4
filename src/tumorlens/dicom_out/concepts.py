"""Coded concepts of the reports: those of SNOMED CT and DICOM where there are any.

The rest is said in a coding scheme of our own, ``99TUMORLENS``; PS3.16 section 8 reserves names
that begin with 99 for that. Its values are made of the concept's name, so that one name has one
code in every report.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from tumorlens.extras import require

__all__ = ["SCHEME", "class_concept", "own_concept", "probability_concept", "sr"]

SCHEME: Final = "99TUMORLENS"

# SNOMED CT International: the disorder that a class of slices is named after.
_SNOMED: Final = {
    "glioma": ("393564001", "Glioma"),
    "meningioma": ("302820008", "Intracranial meningioma"),
    "pituitary": ("254956000", "Pituitary adenoma"),
}
_NO_TUMOUR: Final = ("notumor", "None of the tumours that the model knows")
_LONGEST_VALUE, _LONGEST_MEANING = 16, 64  # characters (PS3.5, SH and LO)


def sr() -> Any:
    """Import highdicom's structured reports."""
    return require("highdicom.sr", "writing DICOM", "dicom-out")


def class_concept(name: str) -> Any:
    """Code a class of the model.

    Parameters
    ----------
    name
        As the model's card has it.

    Returns
    -------
    highdicom.sr.CodedConcept
        Of SNOMED CT for the tumours that have a code there, else of `SCHEME`.
    """
    if name in _SNOMED:
        value, meaning = _SNOMED[name]
        return sr().CodedConcept(value, "SCT", meaning)
    if name == _NO_TUMOUR[0]:
        return sr().CodedConcept(_NO_TUMOUR[0], SCHEME, _NO_TUMOUR[1])
    return own_concept(name)


def probability_concept(name: str) -> Any:
    """Code the probability of a class."""
    return own_concept(f"Probability of {name}")


def own_concept(meaning: str) -> Any:
    """Code a concept of our own.

    Parameters
    ----------
    meaning
        What it is. What no code's meaning may hold is left out.

    Returns
    -------
    highdicom.sr.CodedConcept
        Of `SCHEME`.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", meaning.lower()).strip("-")
    if not plain or len(plain) > _LONGEST_VALUE:
        plain = hashlib.sha256(meaning.encode()).hexdigest()[:_LONGEST_VALUE]
    shown = "".join(c for c in meaning if c.isprintable() and c != "\\")[:_LONGEST_MEANING]
    return sr().CodedConcept(plain, SCHEME, shown)
