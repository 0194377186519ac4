"""Which pictures a data folder holds, and what it is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawn_heads import write_heads
from tumorlens.data.audit import audit_data
from tumorlens.data.folder import CLASSES, SPLITS, Example, find_examples
from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.split import select, split_manifest
from tumorlens.errors import DataError
from tumorlens.evaluate.cases import find_cases
from tumorlens.report.data_set import gather


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def test_pictures_are_sorted_by_class_then_path(tmp_path: Path) -> None:
    names = ["pituitary/b.png", "pituitary/a.png", "notumor/z.jpg", "glioma/deep/c", "glioma/d"]
    fill(tmp_path, *names, "meningioma/m.bmp")
    found = find_examples(tmp_path)
    assert found == [
        Example(tmp_path / "glioma" / "d", "glioma"),
        Example(tmp_path / "glioma" / "deep" / "c", "glioma"),
        Example(tmp_path / "meningioma" / "m.bmp", "meningioma"),
        Example(tmp_path / "notumor" / "z.jpg", "notumor"),
        Example(tmp_path / "pituitary" / "a.png", "pituitary"),
        Example(tmp_path / "pituitary" / "b.png", "pituitary"),
    ]
    assert [CLASSES.index(example.label) for example in found] == [0, 0, 1, 2, 3, 3]
    assert find_examples(str(tmp_path)) == found


@pytest.mark.parametrize(
    "names",
    [
        ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor"),
        ("Glioma Tumour", "Meningioma-Tumour", "No Tumour", "PITUITARY TUMOUR"),
        ("glioma", "meningioma", "healthy", "pituitary"),
        ("glioma", "meningioma", "Normal", "pituitary"),
        ("glioma", "meningioma", "no", "pituitary"),
    ],
)
def test_other_spellings_are_understood(tmp_path: Path, names: tuple[str, ...]) -> None:
    fill(tmp_path, *(f"{name}/a.png" for name in names))
    found = {example.path.parent.name: example.label for example in find_examples(tmp_path)}
    assert found == dict(zip(names, CLASSES, strict=True))


def test_two_spellings_of_one_class_are_one_class(tmp_path: Path) -> None:
    fill(tmp_path, "glioma/a", "Glioma_Tumor/b", "meningioma/a", "no/a", "notumor/a", "pituitary/a")
    found = find_examples(tmp_path)
    assert [CLASSES.index(example.label) for example in found] == [0, 0, 1, 2, 2, 3]


def test_what_is_hidden_or_beside_is_passed_over(tmp_path: Path) -> None:
    names = [f"{name}/{file}" for name in CLASSES for file in ("a.png", ".DS_Store")]
    fill(tmp_path, *names, ".cache/a.png", "README.txt")
    assert [example.path.name for example in find_examples(tmp_path)] == ["a.png"] * 4


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is not a folder; expected folders named glioma"):
        find_examples(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file is not a folder"):
        find_examples(tmp_path / "file")


def test_a_set_without_pictures_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "notumor/.hidden", "readme.txt")
    (tmp_path / "pituitary").mkdir()
    with pytest.raises(DataError, match="holds no pictures; expected folders named glioma"):
        find_examples(tmp_path)


def test_a_class_may_be_missing(tmp_path: Path) -> None:
    fill(tmp_path, "glioma/a.png", "notumor/.hidden")
    assert find_examples(tmp_path) == [Example(tmp_path / "glioma" / "a.png", "glioma")]


def test_parts_come_in_the_order_of_their_use(tmp_path: Path) -> None:
    names = [f"{part}/{name}/a.png" for part in ("test", "Train", "VAL") for name in CLASSES]
    fill(tmp_path, *names)
    found = find_examples(tmp_path)
    assert [e.split for e in found[::4]] == ["Training", "Validation", "Testing"]
    assert [e.label for e in found] == [*CLASSES] * 3
    assert found[4].path == tmp_path / "VAL" / "glioma" / "a.png"


def test_what_lies_in_hidden_folders_is_passed_over_and_broken_links_are_not(
    tmp_path: Path,
) -> None:
    fill(tmp_path, "glioma/.thumbnails/a.png", "glioma/b.png")
    (tmp_path / "glioma" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [e.path.name for e in find_examples(tmp_path)] == ["b.png", "gone.png"]


def test_a_folder_that_is_no_class_is_named_with_those_that_are(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{name}/a.png" for name in CLASSES), "unsure/a.png")
    with pytest.raises(DataError, match=r"no class: unsure; name them glioma.*unsure=glioma"):
        find_examples(tmp_path)
    found = find_examples(tmp_path, {"unsure": "-"})
    assert [e.label for e in found] == list(CLASSES)
    assert len(find_examples(tmp_path, {"unsure": "notumor"})) == 5


def test_a_part_beside_other_folders_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "Training/glioma/a.png", "extra/a.png")
    with pytest.raises(DataError, match="holds extra beside Training; move it elsewhere"):
        find_examples(tmp_path)
    assert len(find_examples(tmp_path, {"extra": "-"})) == 1


@pytest.mark.parametrize("suffix", [".csv", ".txt", ""])
def test_every_room_reads_the_same_sets(tmp_path: Path, suffix: str) -> None:
    """Folders in three parts, and manifests whatever they are called."""
    root = write_heads(tmp_path / "set", training=3, testing=0)
    for i, split in enumerate(SPLITS):
        for label in CLASSES:
            (root / split / label).mkdir(parents=True, exist_ok=True)
            picture = root / "Training" / label / f"{label}_{i}.png"
            picture.rename(root / split / label / picture.name)
    whole = make_manifest(root)
    assert [e.split for e in whole.entries] == [s for s in SPLITS for _ in CLASSES]
    folds = split_manifest(whole, folds=3)
    manifest = tmp_path / f"list{suffix}"
    write_manifest(folds, manifest)
    for source in (root, manifest):
        audit = audit_data(source, sample=2)
        assert {split: sum(row.values()) for split, row in audit.counts.items()} == dict.fromkeys(
            SPLITS, 4
        )
        assert len(gather(source).pictures) == 12
        assert len(find_cases(source).cases) == 12
        assert len(find_cases(source, split="Validation").cases) == 4
    assert len(select(root).training) == 4
    assert len(select(root).testing) == 8
    assert len(select(manifest).training) == 8
