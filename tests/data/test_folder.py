"""Which pictures a data folder holds, and what it is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tumorlens.data.folder import CLASSES, Example, find_examples
from tumorlens.errors import DataError


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


def test_missing_and_empty_classes_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "glioma/a.png", "notumor/.hidden")
    (tmp_path / "pituitary").mkdir()
    with pytest.raises(DataError, match="holds no pictures of meningioma, notumor, pituitary"):
        find_examples(tmp_path)


def test_a_folder_that_is_no_class_is_named_with_those_that_are(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{name}/a.png" for name in CLASSES), "unsure/a.png")
    with pytest.raises(DataError, match="unsure is not named after a class; name it one of glioma"):
        find_examples(tmp_path)
