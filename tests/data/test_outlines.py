"""Masks: the right one for each picture, lying as the picture lies."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.outlines import MaskedPicture, find_masked, read_mask
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import DataError


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures by class, two of one slice, one of the two mirrored."""
    for folder in ("pictures/Training/glioma", "pictures/Training/pituitary", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    glioma, pituitary = draw_phantom("glioma", 1), draw_phantom("pituitary", 2)
    root = tmp_path / "pictures" / "Training"
    Image.fromarray(glioma.pixels).save(root / "glioma" / "a.png")
    Image.fromarray(glioma.pixels[:, ::-1]).save(root / "glioma" / "b.png")
    Image.fromarray(pituitary.pixels).save(root / "pituitary" / "c.png")
    for name, phantom in (("7", glioma), ("8", pituitary)):
        Image.fromarray(phantom.lesion).save(tmp_path / "masks" / f"{name}.png")
    rows = [
        {"image": "Training/glioma/a.png", "mask": "7", "mirrored": "0"},
        {"image": "Training/glioma/b.png", "mask": "7.png", "mirrored": "1"},
        {"image": "Training/pituitary/c.png", "mask": "8", "mirrored": ""},
        {"image": "Training/pituitary/gone.png", "mask": "8", "mirrored": ""},
    ]
    write_table(tmp_path / "table.csv", rows)
    return tmp_path


def test_pictures_find_their_masks(data: Path) -> None:
    found = find_masked(data / "pictures", data / "masks", data / "table.csv")
    assert [one.name for one in found] == [
        "Training/glioma/a.png",
        "Training/glioma/b.png",
        "Training/pituitary/c.png",
    ]
    assert [one.label for one in found] == ["glioma", "glioma", "pituitary"]
    assert [one.mirrored for one in found] == [False, True, False]
    assert {one.fold for one in found} == {None}
    lesion = draw_phantom("glioma", 1).lesion
    np.testing.assert_array_equal(read_mask(found[0], 128, 128), lesion)
    np.testing.assert_array_equal(read_mask(found[1], 128, 128), lesion[:, ::-1])


def test_a_manifest_gives_groups_and_folds(data: Path) -> None:
    for label in ("meningioma", "notumor"):  # a data set has every class
        folder = data / "pictures" / "Training" / label
        folder.mkdir()
        Image.fromarray(draw_phantom(label, 5).pixels).save(folder / "d.png")
    manifest = make_manifest(data / "pictures", groups="none").with_folds([0, 1, 0, 0, 1])
    write_manifest(manifest, data / "manifest.csv")
    arguments = (data / "pictures", data / "masks", data / "table.csv")
    everything = find_masked(*arguments, manifest=data / "manifest.csv")
    assert [one.fold for one in everything] == [0, 1, 1]
    some = find_masked(*arguments, manifest=data / "manifest.csv", fold=1)
    assert [one.path.name for one in some] == ["b.png", "c.png"]
    with pytest.raises(DataError, match="is of fold 5"):
        find_masked(*arguments, manifest=data / "manifest.csv", fold=5)


def test_a_manifest_stands_for_the_folder_that_it_lies_in(data: Path) -> None:
    (data / "pictures" / "manifest.csv").touch()
    found = find_masked(data / "pictures" / "manifest.csv", data / "masks", data / "table.csv")
    assert found == find_masked(data / "pictures", data / "masks", data / "table.csv")


def test_columns_may_have_other_names_and_say_more(data: Path) -> None:
    rows = [
        {"image": "Training/glioma/a.png", "slice": "8", "label": "meningioma", "group": "P9"},
    ]
    write_table(data / "other.csv", rows)
    arguments = (data / "pictures", data / "masks", data / "other.csv")
    (one,) = find_masked(*arguments, mask_column="slice")
    assert (one.mask.name, one.label, one.group) == ("8.png", "meningioma", "P9")
    with pytest.raises(
        DataError, match=r"lacks the columns mask; it has image, slice.*--mask-column"
    ):
        find_masked(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": "9"}, "line 2: there is no mask"),
        ({"mask": ""}, "line 2: no mask is named for Training/glioma/a.png"),
        ({"label": "flu"}, "line 2: 'flu' is no class"),
        ({"image": "nowhere.png"}, "none of the pictures"),
    ],
)
def test_what_does_not_fit_is_named(data: Path, change: dict[str, str], message: str) -> None:
    row = {"image": "Training/glioma/a.png", "mask": "7", "label": "", **change}
    write_table(data / "bad.csv", [row])
    with pytest.raises(DataError, match=message):
        find_masked(data / "pictures", data / "masks", data / "bad.csv")
    with pytest.raises(DataError, match="cannot be read as a table"):
        find_masked(data / "pictures", data / "masks", data / "missing.csv")


@pytest.mark.parametrize("side", [40, 80, 160])
def test_a_mask_of_another_size_lies_where_the_tumour_is(tmp_path: Path, side: int) -> None:
    mask = np.zeros((80, 80), bool)
    mask[20:30, 50:70] = True
    Image.fromarray(mask).save(tmp_path / "m.png")
    case = MaskedPicture("p", tmp_path / "p.png", tmp_path / "m.png", False, "glioma")
    rows, columns = np.nonzero(read_mask(case, side, side))
    factor = side / 80
    assert rows.min() == 20 * factor
    assert rows.max() == 30 * factor - 1
    assert columns.min() == 50 * factor
    assert columns.max() == 70 * factor - 1


def test_a_mask_of_something_else_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.eye(40, dtype=bool)).save(tmp_path / "m.png")
    case = MaskedPicture("p", tmp_path / "p.png", tmp_path / "m.png", False, "glioma")
    with pytest.raises(DataError, match="do not show the same"):
        read_mask(case, 40, 60)
    Image.fromarray(np.zeros((40, 40), bool)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="marks nothing"):
        read_mask(case, 40, 40)
