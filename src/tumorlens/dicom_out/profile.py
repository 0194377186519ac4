"""The standard's table of what may tell who a patient is, and what becomes of it.

The Basic Application Level Confidentiality Profile is a table of 655 attributes (PS3.15, table
E.1-1). It is taken from dicom-anonymizer (Kitware, BSD licence), which keeps it by edition, 2026c
the newest, and has a dummy for each kind of value. Its own walk is not used: it does not look into
sequences. Looked at beside it: dicognito (MIT), which replaces names and identifiers and keeps
descriptions and comments, so it is not this profile; deid (MIT), which has recipes to write
yourself, and brings Matplotlib.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tumorlens.extras import require

__all__ = ["EDITION", "Action", "Profile", "load_profile", "put_dummy"]

EDITION: Final = "2026c"

Action: TypeAlias = Literal["remove", "empty", "dummy", "uid"]

# What the categories of the table mean for an image. Where removing and a dummy are both right,
# a dummy keeps the image readable by whoever wants the attribute.
_ACTIONS: Final[tuple[tuple[str, Action], ...]] = (
    ("X_TAGS", "remove"),
    ("Z_TAGS", "empty"),
    ("X_Z_TAGS", "empty"),
    ("D_TAGS", "dummy"),
    ("Z_D_TAGS", "dummy"),
    ("X_D_TAGS", "dummy"),
    ("X_Z_D_TAGS", "dummy"),
    ("U_TAGS", "uid"),
    ("X_Z_U_STAR_TAGS", "uid"),
)
# The library's own are of the year 1, which validators refuse.
_DAYS: Final = {"DA": "19000101", "DT": "19000101000000", "TM": "000000"}
_FEATURE: Final = "taking a patient out of DICOM"


@dataclass(frozen=True, slots=True)
class Profile:
    """What becomes of which attribute.

    Parameters
    ----------
    actions
        By group and element.
    """

    actions: dict[tuple[int, int], Action]

    def action(self, group: int, element: int) -> Action | None:
        """Say what becomes of an attribute; ``None`` where the table keeps it.

        Private attributes, those of repeating groups (overlays, curves) and padding behind the
        pixels are removed whole.
        """
        if group % 2 or 0x5000 <= group <= 0x60FF or group == 0xFFFC:
            return "remove"
        return self.actions.get((group, element))


@functools.cache
def load_profile() -> Profile:
    """Read the table.

    Raises
    ------
    MissingExtraError
        When dicom-anonymizer is not installed.
    """
    selector = require("dicomanonymizer.dicomfields_selector", _FEATURE, "dicom-out")
    tables = selector.dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return Profile(
        {
            (tag[0], tag[1]): action
            for name, action in _ACTIONS
            for tag in tables[name]
            if len(tag) == 2  # the others are repeating groups
        }
    )


def put_dummy(element: Any) -> bool:
    """Put a value that says nothing in the place of another; say whether there is one."""
    if element.VR == "SQ":
        return False
    if element.is_empty:
        return True
    if element.VR in _DAYS:
        element.value = _DAYS[element.VR]
        return True
    anonymizer = require("dicomanonymizer.simpledicomanonymizer", _FEATURE, "dicom-out")
    try:
        anonymizer.replace_element(element)
    except NotImplementedError:
        return False
    return True
