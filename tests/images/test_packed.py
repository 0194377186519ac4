"""Zips: pictures and series as in a folder, and no more memory than an honest one needs."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dicoms import content, draw
from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import open_parts, open_slices, read_slices
from tumorlens.images.volume import Volume

GREY = np.add.outer(np.arange(20) * 9, np.arange(16)).astype(np.uint8)


def png(values: NDArray[Any] = GREY) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def series(count: int = 4, **changes: Any) -> dict[str, bytes]:
    """Draw files of one scan, in no order of name."""
    return {
        f"scan/{(7 * i) % 11}": content(
            draw(
                (GREY + i).astype(np.int16),
                ImagePositionPatient=[0.0, 0.0, 3.0 * i],
                **changes,
            )
        )
        for i in range(count)
    }


def refusal(data: bytes, **limits: int) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        read_slices(data, limits=Limits(**limits))
    return str(caught.value)


def test_pictures_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "scans.zip"
    others = {"notes.txt": b"a text", "__MACOSX/._a.png": b"x", ".hidden.png": b"x"}
    path.write_bytes(packed({"b/c.png": png(GREY[::-1]), "a.png": png(), **others}))
    first, second = read_slices(path)
    assert (first.path, second.path) == (f"{path}/a.png", f"{path}/b/c.png")
    np.testing.assert_array_equal(first.pixels, GREY)
    np.testing.assert_array_equal(second.pixels, GREY[::-1])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_series_is_a_volume_ordered_by_place(method: int) -> None:
    volume = open_slices(packed({**series(), "readme.txt": b"a text"}, method))
    assert isinstance(volume, Volume)
    assert [int(x.pixels[0, 0]) for x in volume] == [0, 1, 2, 3]


def test_a_series_beside_pictures_follows_them() -> None:
    found = read_slices(packed({**series(2), "a.png": png()}))
    assert [x.origin["format"] for x in found] == ["PNG", "DICOM", "DICOM"]


def test_what_is_wrong_in_it_is_named() -> None:
    assert refusal(packed({"a.txt": b"text"})).startswith("<bytes>: a ZIP archive without pictures")
    assert refusal(packed({"a.png": png()[:45]})).startswith("<bytes>/a.png: a PNG picture that")
    inner = packed({"a.png": png()})
    assert "a ZIP archive within another" in refusal(packed({"b.zip": inner}))
    assert "packed by method 12" in refusal(packed({"a.png": png()}, zipfile.ZIP_BZIP2))
    assert "is damaged" in refusal(inner[:-30])


def test_a_damaged_member_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "scans.zip"
    inner, whole = packed({"x.png": png()}), series()
    bad = {"b.png": png()[:45], "c.zip": inner, "scan/0": whole["scan/0"][:-20]}
    path.write_bytes(packed({**whole, **bad, "a.png": png(), "d.txt": b"text"}))
    parts = open_parts(str(path))
    wrong = [part for part in parts if isinstance(part, UnreadableImageError)]
    assert [error.source for error in wrong] == [f"{path}/{name}" for name in bad]
    assert "a ZIP archive within another; unpack it" in str(wrong[1])
    picture, volume = (part for part in parts if not isinstance(part, UnreadableImageError))
    assert picture[0].path == f"{path}/a.png"
    assert isinstance(volume, Volume)
    assert len(volume) == 3


def test_a_member_that_cannot_be_unpacked_is_named() -> None:
    """One of its bytes is changed, and its checksum fits no more."""
    data = bytearray(packed({"a.png": png(), "b.png": png(GREY[::-1])}))
    data[data.index(b"b.png") + 20] ^= 0xFF
    first, second = open_parts(io.BytesIO(data), "up.zip")
    assert not isinstance(first, UnreadableImageError)
    assert str(second).startswith("up.zip/b.png: a file that cannot be unpacked")


def test_a_member_without_a_name_is_read() -> None:
    """Found by fuzzing: Python looks at the last letter of every name."""
    data = bytearray(packed({"a": png()}))
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    struct.pack_into("<II", data, end + 12, end - at - 1, at - 1)
    for place, name in ((at + 28, at + 46), (26, 30)):
        data[place] = 0
        del data[name]
    assert len(read_slices(bytes(data))) == 1


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    assert "more than 3 files" in refusal(
        packed({f"{i}.png": png() for i in range(4)}), max_members=3
    )
    zeros = packed({"a.nii": bytes(2**27)})
    assert "200 times" in refusal(zeros)
    assert "more than 1,000 bytes once it is unpacked" in refusal(zeros, max_unpacked=1000)
    assert "more than 50 bytes" in refusal(packed({"a.png": png()}), max_bytes=50)


def test_entries_that_share_their_bytes_count_each() -> None:
    """A list of many entries at one place, as in the bombs that do not nest."""
    data = packed({"a.nii": bytes(2**20)})
    at = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry = data[at:end]
    many = data[:at] + entry * 100 + data[end:]
    tail = many.rindex(b"PK\5\6")
    whole = bytearray(many)
    struct.pack_into("<HHI", whole, tail + 8, 100, 100, 100 * len(entry))
    assert "once it is unpacked" in refusal(bytes(whole))


def test_a_size_that_lies_gives_no_more_than_it_says() -> None:
    data = bytearray(packed({"a.png": png()}))
    at = data.index(b"PK\1\2")
    struct.pack_into("<I", data, at + 24, 40)
    assert "<bytes>/a.png: " in refusal(bytes(data))


WHOLE = packed({"a.png": png(), **series(2)}, zipfile.ZIP_STORED)


@settings(max_examples=150, deadline=None, database=None)
@given(st.data())
def test_damage_is_survived(data: st.DataObject) -> None:
    whole = bytearray(WHOLE)
    del whole[data.draw(st.integers(1, len(whole))) :]
    for _ in range(data.draw(st.integers(0, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_slices(bytes(whole), limits=Limits(max_total_pixels=10**5))
    except UnreadableImageError as error:
        assert str(error).isprintable()  # noqa: PT017
