"""A file of several slices is no picture: it is left out, counted, and told what to do with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.folder import find_examples
from tumorlens.data.manifest import make_manifest
from tumorlens.data.odd import find_odd
from tumorlens.data.several import note_dicom, note_several
from tumorlens.data.survey import survey
from tumorlens.errors import DataError
from tumorlens.train.pictures import load_pictures


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    folder = tmp_path / "set" / "glioma"
    folder.mkdir(parents=True)
    grey = np.full((48, 48), 90, np.uint8)
    grey[12:30, 12:30] = 200
    pages = [Image.fromarray(grey) for _ in range(3)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    return folder.parent


def test_nothing_but_volumes_is_an_error_that_counts_them(stack: Path) -> None:
    with pytest.raises(DataError, match="1 of the files are volumes and are left out"):
        make_manifest(stack, groups="none")
    with pytest.raises(DataError, match="1 of the files are volumes and are left out"):
        load_pictures(find_examples(stack), 32)


def test_volumes_among_pictures_are_left_out_and_noted(stack: Path) -> None:
    Image.new("L", (48, 48), 7).save(stack / "glioma" / "one.png")
    made = make_manifest(stack, groups="none")
    assert [entry.path for entry in made.entries] == ["glioma/one.png"]
    [bad] = made.unreadable
    assert "3 slices in one file" in bad.reason
    assert "tumorlens evaluate" in bad.reason
    assert note_several([bad.reason, "damaged"])[0].startswith("1 of the files are volumes")
    assert note_several(["damaged"]) == []
    assert note_dicom(["PNG", "DICOM"]) == []
    assert note_dicom(["DICOM", "DICOM"])[0].startswith("2 DICOM files count as a picture each")
    said: list[str] = []
    pictures = load_pictures(
        find_examples(stack), 32, lambda _stage, _done, _total, note="": said.append(note)
    )
    assert len(pictures) == 1
    assert "1 of the files are volumes" in said[-1]
    assert note_several(pictures.unreadable)
    found = survey(find_examples(stack))
    assert [bad.path.name for bad in found.unreadable] == ["stack.tif"]
    [name] = {name for names in find_odd(found.looks, ["one.png"]).values() for name in names}
    assert name == "one.png"
