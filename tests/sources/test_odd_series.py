"""Series whose headers cannot be taken at their word: whose they are, and where slices lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicoms import content, draw
from tumorlens.errors import UnreadableImageError
from tumorlens.explain.lattice import off_by
from tumorlens.images.volume import Volume
from tumorlens.sources.series import find_units

GREY = np.add.outer(np.arange(80) * 2, np.arange(64)).astype(np.int16)


def volumes(folder: Path, heights: list[float], **changes: list[str]) -> list[Volume]:
    """Write slices at heights, with elements that change from slice to slice, and open them."""
    files = []
    for i, height in enumerate(heights):
        own = {name: values[i] for name, values in changes.items()}
        dataset = draw(GREY + i, ImagePositionPatient=[0.0, 0.0, height], **own)
        files.append(folder / f"{i}.dcm")
        files[-1].write_bytes(content(dataset))
    return [unit for unit in find_units(list(map(str, files))) if isinstance(unit, Volume)]


def test_two_patients_are_two_volumes_whatever_their_series_says(tmp_path: Path) -> None:
    found = volumes(tmp_path, [0, 3, 6, 9], PatientID=["A", "B", "A", "B"])
    assert [len(volume) for volume in found] == [2, 2]
    assert {Path(path).name for path in found[0].paths} == {"0.dcm", "2.dcm"}


def test_two_studies_are_two_volumes(tmp_path: Path) -> None:
    found = volumes(tmp_path, [0, 3, 6, 9], StudyInstanceUID=["1.2", "1.2", "1.3", "1.3"])
    assert [len(volume) for volume in found] == [2, 2]


@pytest.mark.parametrize("far", [1e7, 1e30])
def test_a_stray_slice_makes_no_picture_of_all_memory(far: float, tmp_path: Path) -> None:
    (volume,) = volumes(tmp_path, [0, 3, 6, far])
    with pytest.raises(UnreadableImageError, match="too many when made square; take out slices"):
        volume.in_plane("coronal")


def test_uneven_slices_are_told_from_missing_ones(tmp_path: Path) -> None:
    for name, heights, away in (
        ("even", [0.0, 3, 6, 9], 0),
        ("missing", [0.0, 3, 9, 12], 0),
        ("uneven", [0.0, 1, 9, 30], 11),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (volume,) = volumes(folder, heights)
        assert off_by(volume) == pytest.approx(away, abs=0.5)
