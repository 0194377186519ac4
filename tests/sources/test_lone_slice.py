"""What is left of a series once its doubles are out is named by its own file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dicoms import content, draw
from tumorlens.images.volume import Volume
from tumorlens.sources.series import find_units


def test_one_slice_of_two_files_is_named_by_its_file(tmp_path: Path) -> None:
    grey = np.add.outer(np.arange(80) * 2, np.arange(64)).astype(np.int16)
    files = [tmp_path / "0.dcm", tmp_path / "1.dcm"]
    for i, file in enumerate(files):
        file.write_bytes(content(draw(grey + i, ImagePositionPatient=[0.0, 0.0, 0.0])))
    units = list(find_units([str(file) for file in files]))
    (volume,) = units
    assert isinstance(volume, Volume)
    assert volume.path == str(files[0])
    assert volume[0].path == str(files[0])
