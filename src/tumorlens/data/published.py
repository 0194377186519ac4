"""The public set of 7,023 pictures: what it should have been published with.

For each file, known by its SHA-256 whatever it is called: the label, with four put
right; the patient or the cluster of near-duplicates it belongs to; and a fold from 0
to 4. No group, and no pair of near-duplicates, lies in two folds. Fold 0 is for testing.
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

__all__ = ["FILE_NAME", "TEST_FOLD", "Published", "published"]

FILE_NAME: Final = "brain-tumor-mri-7023.csv"
"""The manifest's file in ``tumorlens/data/published``."""

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
        ``P…`` for a patient, ``C…`` for a cluster of near-duplicates.
    fold
        From 0 to 4.
    """

    sha256: str
    label: str
    group: str
    fold: int

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
            row["sha256"]: Published(row["sha256"], row["label"], row["group"], int(row["fold"]))
            for row in rows
        }
    )
