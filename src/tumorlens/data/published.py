"""The public set of 7,023 pictures: what it should have been published with.

For each file, known by its SHA-256 whatever it is called: the label, with four put
right; the patient, the family of copies or the cluster of near-duplicates it belongs to;
a fold from 0 to 4; and, where it neither trains nor counts, why. No group, and no pair of
near-duplicates, lies in two folds. Fold 0 is for testing.

This is its second version. In the first, a "notumor" family was only what looks alike as
it stands or mirrored; 53 families with upside-down and turned copies lay in several folds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

__all__ = ["FILE_NAME", "TEST_FOLD", "VERSION", "Facts", "Published", "facts", "published"]

FILE_NAME: Final = "brain-tumor-mri-7023.csv"
"""The manifest's file in ``tumorlens/data/published``."""

FACTS_NAME: Final = "brain-tumor-mri-7023-facts.csv"
"""What was seen on the pictures, beside it."""

VERSION: Final = 2
"""Which folds these are; a model's card says by which it was trained."""

TEST_FOLD: Final = 0
"""The fold that no published model has seen."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the manifest says of a file.

    Parameters
    ----------
    sha256
        Of the file.
    label
        One of `tumorlens.data.folder.CLASSES`, corrected.
    group
        ``P…`` for a patient, ``N…`` for a family of copies of "notumor" pictures, ``C…``
        for a cluster of near-duplicates.
    fold
        From 0 to 4.
    excluded
        Why the picture neither trains nor counts, such as ``"CT"``; empty when it does.
    """

    sha256: str
    label: str
    group: str
    fold: int
    excluded: str = ""

    @property
    def source(self) -> str:
        """Which collection the file comes from; empty when that is not known."""
        return "figshare 1512427" if self.group.startswith("P") else ""  # the set of Cheng


@cache
def published() -> Mapping[str, Published]:
    """Read the manifest that comes with the package, by SHA-256."""
    path = resources.files("tumorlens.data") / "published" / FILE_NAME
    rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    return MappingProxyType(
        {
            row["sha256"]: Published(
                row["sha256"], row["label"], row["group"], int(row["fold"]), row["excluded"]
            )
            for row in rows
        }
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a careful layman sees on a picture of the set; empty where nobody looked.

    Parameters
    ----------
    sequence
        Such as ``"T2"`` or ``"T1C"``, T1 with contrast.
    plane
        ``"axial"``, ``"coronal"`` or ``"sagittal"``.
    skull
        ``"whole"``, ``"cropped"`` or ``"stripped"``.
    finding
        Of a "notumor" picture: ``"none"``, ``"uncertain"`` or ``"other finding"``.
    sella
        Whether it shows the sella.
    """

    sequence: str = ""
    plane: str = ""
    skull: str = ""
    finding: str = ""
    sella: bool = False


@cache
def facts() -> Mapping[str, Facts]:
    """Read what was seen on the pictures, by SHA-256."""
    path = resources.files("tumorlens.data") / "published" / FACTS_NAME
    rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    return MappingProxyType(
        {
            row["sha256"]: Facts(
                row["sequence"], row["plane"], row["skull"], row["finding"], row["sella"] == "1"
            )
            for row in rows
        }
    )
