"""A folder is compared with a manifest by content, whatever its files are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaggle_server import files_of, manifest_of
from tumorlens.data.check import Expected, check_folder, read_expected
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_phantoms(tmp_path / "set", training=2, testing=1, size=32)


@pytest.fixture
def expected(folder: Path, tmp_path: Path) -> list[Expected]:
    return read_expected(manifest_of(files_of(folder), tmp_path / "manifest.csv"))


@pytest.fixture
def placed(folder: Path, tmp_path: Path) -> list[Expected]:
    """The same with paths."""
    return read_expected(manifest_of(files_of(folder), tmp_path / "placed.csv", paths=True))


def test_the_same_files_match_under_any_name(folder: Path, expected: list[Expected]) -> None:
    (folder / "Training" / "glioma").rename(folder / "elsewhere")
    (folder / "elsewhere" / "glioma_0000.png").rename(folder / "renamed.bin")
    found = check_folder(folder, expected)
    assert found.exact
    assert found.complete
    assert (found.matching, found.files, found.fraction) == (12, 12, 1.0)
    assert found.to_text() == f"{folder}: 12 of 12 files match (100.0 %)"


def test_one_changed_byte_is_found(folder: Path, expected: list[Expected]) -> None:
    path = folder / "Testing" / "glioma" / "glioma_0000.png"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    found = check_folder(folder, expected)
    assert not found.complete
    assert found.matching == 11
    assert [item.label for item in found.missing] == ["glioma"]
    assert [item.path for item in found.extra] == ["Testing/glioma/glioma_0000.png"]
    assert found.fraction < 1


def test_a_changed_file_differs_where_paths_are_known(folder: Path, placed: list[Expected]) -> None:
    path = folder / "Testing" / "glioma" / "glioma_0000.png"
    path.write_bytes(b"other")
    found = check_folder(folder, placed)
    assert [item.path for item in found.differing] == ["Testing/glioma/glioma_0000.png"]
    assert found.differing[0].expected in {item.sha256 for item in placed}
    assert found.missing == ()
    assert found.extra == ()
    assert "differing: 1\n  Testing/glioma/glioma_0000.png" in found.to_text()


def test_missing_and_extra_files_are_named(folder: Path, placed: list[Expected]) -> None:
    (folder / "Training" / "notumor" / "notumor_0001.png").unlink()
    (folder / "Training" / "augmented.png").write_bytes(b"new")
    found = check_folder(folder, placed)
    assert [item.path for item in found.missing] == ["Training/notumor/notumor_0001.png"]
    assert [(item.path, item.reason) for item in found.extra] == [
        ("Training/augmented.png", "not expected")
    ]


def test_copies_are_counted(folder: Path, expected: list[Expected]) -> None:
    """Some pictures of the public set occur several times: twice expected is twice needed."""
    twice = [*expected, expected[0]]
    assert check_folder(folder, twice).matching == len(expected)
    copy = folder / "Training" / "glioma" / "copy.png"
    origin = next(
        path
        for path in sorted(folder.rglob("*.png"))
        if check_folder(path.parent, [expected[0]]).complete
    )
    copy.write_bytes(origin.read_bytes())
    assert check_folder(folder, twice).exact
    assert {item.reason for item in check_folder(folder, expected).extra} == {"one copy too many"}


def test_hidden_files_do_not_count(folder: Path, expected: list[Expected]) -> None:
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "thumb.png").write_bytes(b"x")
    assert check_folder(folder, expected).exact


def test_almost_all_is_never_called_100_percent(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for i in range(2000):
        (folder / str(i)).write_bytes(str(i).encode())
    expected = read_expected(
        manifest_of({f"x/{i}": str(i).encode() for i in range(2000)}, tmp_path / "m.csv")
    )
    (folder / "7").unlink()
    assert "1,999 of 2,000 files match (99.9 %)" in check_folder(folder, expected).to_text()


def test_long_lists_are_cut_in_text_and_whole_in_json(
    folder: Path, expected: list[Expected]
) -> None:
    for i in range(25):
        (folder / f"{i:02d}.png").write_bytes(f"new {i}".encode())
    found = check_folder(folder, expected)
    assert "extra: 25\n" in found.to_text()
    assert found.to_text().endswith("… and 15 more; --json names them all")
    as_json = json.loads(json.dumps(found.to_dict()))
    assert len(as_json["extra"]) == 25
    assert as_json["complete"] is True
    assert as_json["exact"] is False


def test_progress_counts_the_files(folder: Path, expected: list[Expected]) -> None:
    seen: list[tuple[object, ...]] = []
    check_folder(folder, expected, progress=lambda *step: seen.append(step))
    assert seen == [("checked", i + 1, 12) for i in range(12)]


def test_wrong_uses_say_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder; name the one"):
        check_folder(tmp_path / "nothing")
    with pytest.raises(DataError, match="nothing to compare with"):
        check_folder(folder, [])
    bad = tmp_path / "bad.csv"
    bad.write_text("sha256,label\nnot-a-hash,glioma\n")
    with pytest.raises(DataError, match=r"bad\.csv, line 2: no SHA-256"):
        read_expected(bad)
    with pytest.raises(DataError, match="cannot be read as a CSV manifest"):
        read_expected(tmp_path / "nothing.csv")
