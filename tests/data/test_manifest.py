"""A manifest says what every file is, survives being written, and refuses nonsense."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from PIL import Image

from drawn_heads import draw_head, write_heads
from tumorlens.data.copies import ALTERATIONS, alter
from tumorlens.data.manifest import (
    Manifest,
    find_labelled,
    make_manifest,
    read_manifest,
    write_manifest,
)
from tumorlens.data.published import Published
from tumorlens.errors import DataError
from tumorlens.images.read import read_slices


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    return write_heads(tmp_path / "heads", training=3, testing=2)


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def publish(monkeypatch: pytest.MonkeyPatch, *rows: Published) -> None:
    table = MappingProxyType({row.sha256: row for row in rows})
    monkeypatch.setattr("tumorlens.data.manifest.published", lambda: table)


def test_every_picture_is_described(heads: Path) -> None:
    manifest = make_manifest(heads)
    assert len(manifest.entries) == 20
    assert not manifest.unreadable
    by_path = {entry.path: entry for entry in manifest.entries}
    one = by_path["Testing/glioma/glioma_1001.png"]
    path = heads / one.path
    assert one.sha256 == hash_of(path)
    assert (one.label, one.corrected_label, one.split) == ("glioma", "glioma", "Testing")
    assert (one.width, one.height, one.mode, one.format) == (160, 160, "L", "PNG")
    assert one.bytes == path.stat().st_size
    assert one.fold is None
    assert len({entry.group for entry in manifest.entries}) == 20


def test_copies_share_a_group_and_pixels_tell_equal_ones(heads: Path) -> None:
    original = heads / "Training" / "glioma" / "glioma_0.png"
    copy = heads / "Testing" / "glioma" / "copy.jpg"
    copy.write_bytes(alter(read_slices(original)[0], ALTERATIONS["all at once"]))
    Image.open(original).convert("RGB").save(heads / "Testing" / "glioma" / "same.bmp")
    by_name = {Path(e.path).name: e for e in make_manifest(heads).entries}
    first, second, third = (by_name[n] for n in ("glioma_0.png", "copy.jpg", "same.bmp"))
    assert first.group == second.group == third.group
    assert first.pixel_sha256 == third.pixel_sha256 != second.pixel_sha256
    assert first.sha256 != third.sha256
    assert len({e.group for e in by_name.values()}) == len({*by_name} - {"copy.jpg", "same.bmp"})


def test_published_files_bring_their_label_group_and_fold(
    heads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = heads / "Training" / "pituitary" / "pituitary_0.png"
    publish(monkeypatch, Published(hash_of(known), "meningioma", "P007", 3))
    copy = heads / "Testing" / "pituitary" / "copy.jpg"
    copy.write_bytes(alter(read_slices(known)[0], ALTERATIONS["mirrored"]))
    by_name = {Path(e.path).name: e for e in make_manifest(heads).entries}
    found = by_name["pituitary_0.png"]
    assert (found.label, found.corrected_label) == ("pituitary", "meningioma")
    assert (found.group, found.fold) == ("P007", 3)
    assert found.source
    twin = by_name["copy.jpg"]
    assert (twin.group, twin.fold) == ("P007", 3)
    assert twin.corrected_label == "pituitary", "only the published file's label is known"
    stranger = by_name["pituitary_1.png"]
    assert stranger.group.startswith("L")
    assert stranger.fold is None


def test_groups_can_be_left_to_the_published_or_out(
    heads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = heads / "Training" / "glioma" / "glioma_0.png"
    publish(monkeypatch, Published(hash_of(known), "glioma", "P001", 0))
    groups = {e.group for e in make_manifest(heads, groups="published").entries}
    assert groups == {"P001", ""}
    assert {e.group for e in make_manifest(heads, groups="none").entries} == {""}
    with pytest.raises(DataError, match="auto, published, none"):
        make_manifest(heads, groups="some")


def test_what_cannot_be_read_is_listed(heads: Path, tmp_path: Path) -> None:
    (heads / "Training" / "glioma" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    manifest = write_manifest(make_manifest(heads), tmp_path / "m.csv")
    assert len(manifest.entries) == 20
    (bad,) = manifest.unreadable
    assert bad.path.name == "broken.png"
    with (tmp_path / "m.unreadable.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == "heads/Training/glioma/broken.png"
    assert "PNG" in row["reason"]


def test_a_manifest_is_read_as_it_was_written(heads: Path, tmp_path: Path) -> None:
    made = make_manifest(heads)
    folded = made.with_folds([i % 3 for i in range(20)])
    written = write_manifest(folded, tmp_path / "deep" / "m.csv")
    read = read_manifest(tmp_path / "deep" / "m.csv")
    assert read.entries == written.entries
    assert read.sha256 == folded.sha256 != made.sha256
    assert [e.path.read_bytes() for e in read.examples()] == [
        (heads / e.path).read_bytes() for e in made.entries
    ]
    assert read.entries[0].path == "../heads/Training/glioma/glioma_0.png"


def test_patients_known_from_elsewhere_become_groups(heads: Path, tmp_path: Path) -> None:
    made = make_manifest(heads, groups="none")
    patients = [f"patient {i // 2}" for i in range(20)]
    written = write_manifest(made.with_groups(patients), tmp_path / "m.csv")
    assert [entry.group for entry in written.entries] == patients
    assert {entry.group for entry in made.entries} == {""}
    with pytest.raises(ValueError, match="shorter"):
        made.with_groups(patients[1:])


def test_data_and_manifest_move_together_or_apart(heads: Path, tmp_path: Path) -> None:
    write_manifest(make_manifest(heads), heads / "m.csv")
    moved = tmp_path / "elsewhere"
    shutil.move(heads, moved)
    assert all(e.path.is_file() for e in read_manifest(moved / "m.csv").examples())
    shutil.move(moved / "m.csv", tmp_path / "m.csv")
    apart = read_manifest(tmp_path / "m.csv", root=moved)
    assert all(e.path.is_file() for e in apart.examples())


def test_the_hash_is_of_what_is_said_of_the_pictures(heads: Path) -> None:
    made = make_manifest(heads)
    assert replace(made, entries=made.entries[::-1]).sha256 == made.sha256
    renamed = tuple(replace(e, path=f"x/{e.path}") for e in made.entries)
    assert replace(made, entries=renamed).sha256 == made.sha256
    relabelled = (replace(made.entries[0], corrected_label="notumor"), *made.entries[1:])
    assert replace(made, entries=relabelled).sha256 != made.sha256


def test_labels_are_the_corrected_ones(heads: Path) -> None:
    made = make_manifest(heads)
    one = replace(made.entries[0], corrected_label="notumor")
    manifest = Manifest((one, *made.entries[1:]), heads)
    assert manifest.labels[0] == manifest.examples()[0].label == "notumor"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("label", "brain", "`label` must be one of glioma"),
        ("sha256", "abc", "`sha256` must be 64 hexadecimals"),
        ("width", "wide", "`width` must be a whole number, got 'wide'"),
        ("width", "512.5", "`width` must be a whole number, got '512.5'"),
        ("bytes", "512.000", "`bytes` must be a whole number"),
        ("width", "0", "at least 1"),
        ("fold", "-1", "`fold` must be at least 0"),
        ("fold", "first", "`fold` must be a whole number"),
        ("split", "Extra", "`split` must be"),
        ("path", "", "`path` is empty"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(
    column: str, value: str, said: str, tmp_path: Path
) -> None:
    root = write_heads(tmp_path / "few", training=1, testing=0)
    write_manifest(make_manifest(root), tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[1][column] = value
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataError, match=rf"m\.csv, line 3: .*{said}"):
        read_manifest(tmp_path / "m.csv")


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    with pytest.raises(DataError, match="cannot be read as a manifest"):
        read_manifest(path)
    for content in (b"\xff\xfe\x00", "path,stra\xdfe\n".encode("latin-1"), b"a\0b,c\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as a manifest"):
            read_manifest(path)
    for content in (b"", b"\n\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="lacks the columns path"):
            read_manifest(path)
    path.write_text("path,label\na.png,glioma\n")
    with pytest.raises(DataError, match="lacks the columns sha256"):
        read_manifest(path)
    root = write_heads(tmp_path / "few", training=1, testing=0)
    write_manifest(make_manifest(root), path)
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + "\n")
    with pytest.raises(DataError, match="lists no pictures"):
        read_manifest(path)
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    with pytest.raises(DataError, match="is listed twice"):
        read_manifest(path)


def test_other_spellings_of_a_class_are_read(tmp_path: Path) -> None:
    root = tmp_path / "odd"
    for name, label in (
        ("glioma_tumor", "glioma"),
        ("meningioma_tumor", "meningioma"),
        ("no_tumor", "notumor"),
        ("pituitary_tumor", "pituitary"),
    ):
        (root / name).mkdir(parents=True)
        Image.fromarray(draw_head(label, 1)).save(root / name / "a.png")
    manifest = make_manifest(root)
    assert [e.label for e in manifest.entries] == ["glioma", "meningioma", "notumor", "pituitary"]
    assert {e.split for e in manifest.entries} == {""}


def _as_pandas(rows: list[list[str]]) -> bytes:
    """With its index, and whole numbers as floats, since one fold is empty."""
    rows[1][rows[0].index("fold")] = ""
    whole = [[f"{c}.0" if c.isdecimal() else c for c in row] for row in rows]
    return "\n".join(",".join(["" if not i else str(i), *r]) for i, r in enumerate(whole)).encode()


def _as_excel(rows: list[list[str]]) -> bytes:
    rows = [*rows[:2], [""] * len(rows[0]), *rows[2:], [""] * len(rows[0]), []]
    return b"\xef\xbb\xbf" + "\r\n".join(",".join(row) for row in rows).encode()


def _as_german_excel(rows: list[list[str]]) -> bytes:
    decimal = [[f"{c},00" if c.isdecimal() else c for c in row] for row in rows]
    return ("sep=;\r\n" + "\r\n".join(";".join(row) for row in decimal)).encode("utf-8-sig")


def _as_unicode_text(rows: list[list[str]]) -> bytes:
    return "\r\n".join("\t".join(row) for row in rows).encode("utf-16")


def _as_r(rows: list[list[str]]) -> bytes:
    """With row names under an empty name, everything quoted, NA for what is not known."""
    quoted = [["", *rows[0]]] + [[str(i), *(c or "NA" for c in r)] for i, r in enumerate(rows[1:])]
    return "\n".join(",".join(f'"{cell}"' for cell in row) for row in quoted).encode()


def _by_hand(rows: list[list[str]]) -> bytes:
    rows[0] = [f" {name.upper().replace('_', ' ')} " for name in rows[0]]
    for row in rows[1:]:
        row[0] = ".\\" + row[0].replace("/", "\\")
        row[1:] = [f"  {cell.upper() if i < 2 else cell}  " for i, cell in enumerate(row[1:])]
    return "\n\n".join(",".join(row) for row in rows).encode()


@pytest.mark.parametrize(
    "program", [_as_pandas, _as_excel, _as_german_excel, _as_unicode_text, _as_r, _by_hand]
)
def test_a_manifest_survives_other_programs(
    program: Callable[[list[list[str]]], bytes], tmp_path: Path
) -> None:
    root = write_heads(tmp_path / "few", training=1, testing=0)
    made = make_manifest(root, groups="none").with_folds([0, 1, 2, 3])
    made = made.with_groups(["", "P2", "P3", "P4"])
    path = tmp_path / "m.csv"
    written = write_manifest(made, path)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    path.write_bytes(program(rows))
    read = read_manifest(path).entries
    first = replace(written.entries[0], fold=None) if program is _as_pandas else written.entries[0]
    assert read == (first, *written.entries[1:])


def test_one_file_under_two_spellings_is_listed_twice(tmp_path: Path) -> None:
    root = write_heads(tmp_path / "few", training=1, testing=0)
    write_manifest(make_manifest(root), root / "m.csv")
    text = (root / "m.csv").read_text()
    line = text.splitlines()[1]
    for other in (f"./{line}", line.replace("/", "//"), line.replace("/", "\\")):
        (root / "m.csv").write_text(f"{text}{other}\n")
        with pytest.raises(DataError, match="is listed twice"):
            read_manifest(root / "m.csv")


def test_a_backslash_in_a_name_is_no_separator(tmp_path: Path) -> None:
    root = write_heads(tmp_path / "few", training=1, testing=0)
    one = root / "Training" / "glioma" / "glioma_0.png"
    one.rename(one.with_name("left\\right.png"))
    write_manifest(make_manifest(root), root / "m.csv")
    assert read_manifest(root / "m.csv").entries[0].path == r"Training/glioma/left\right.png"


def test_columns_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    root = write_heads(tmp_path / "few", training=1, testing=0)
    path = tmp_path / "m.csv"
    write_manifest(make_manifest(root).with_folds([0, 1, 2, 3]), path)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *(f"{i},{row}" for i, row in enumerate(rows))]))
    with pytest.raises(DataError, match=r"line 2: 16 cells under 15 columns; quote .* row names"):
        read_manifest(path)
    path.write_text("\n".join([f"{head},Label", *(f"{row},glioma" for row in rows)]))
    with pytest.raises(DataError, match="two columns named label"):
        read_manifest(path)


@pytest.mark.parametrize("stored", ["a picture", "a folder"])
def test_sets_whose_files_are_links_into_a_store(stored: str, tmp_path: Path) -> None:
    """As git-annex and DVC keep them: equal files are one object, under two names."""
    root = write_heads(tmp_path / "set", training=1, testing=1)
    first, *others = sorted((root / "Training").rglob("*.png"))
    store = tmp_path / "store"
    store.mkdir()
    if stored == "a folder":
        shutil.move(first.parent, store / "ab")
        first.parent.symlink_to(store / "ab")
    for path in (*others, *(root / "Testing").rglob("*.png")):
        object_ = store / hash_of(path)[:8]
        path.replace(object_)
        path.symlink_to(object_)
    twin = root / "Testing" / "glioma" / "twin.png"
    twin.symlink_to(others[0].readlink())
    made = make_manifest(root)
    assert not made.unreadable
    written = write_manifest(made, tmp_path / "lists" / "m.csv")
    assert len(written.entries) == 9
    assert written.entries[0].path == "../set/Training/glioma/glioma_0.png"
    assert {e.path for e in written.entries} >= {"../set/Testing/glioma/twin.png"}
    read = read_manifest(tmp_path / "lists" / "m.csv")
    assert [hash_of(e.path) for e in read.examples()] == [e.sha256 for e in read.entries]


def test_what_is_excluded_is_not_among_the_labelled(heads: Path) -> None:
    made = make_manifest(heads)
    rows = (replace(made.entries[0], excluded="CT"), *made.entries[1:])
    write_manifest(replace(made, entries=rows), heads / "manifest.csv")
    _, examples = find_labelled(heads / "manifest.csv")
    assert len(examples) == len(rows) - 1
