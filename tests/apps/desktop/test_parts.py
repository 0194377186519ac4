"""The window's small parts that need no window: geometry, clipboard, settings, words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tumorlens.apps.desktop.clipboard import paths_in
from tumorlens.apps.desktop.drawn import stretched
from tumorlens.apps.desktop.rows import Row, State, printable, to_csv
from tumorlens.apps.desktop.settings import Settings, read_settings, settings_path, write_settings
from tumorlens.apps.desktop.shortcuts import shown_keys
from tumorlens.apps.desktop.sight import Sight, fitting, locate
from tumorlens.apps.desktop.status_bar import time_left


@given(
    zoom=st.floats(0.05, 32),
    place=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
    room=st.tuples(st.integers(1, 3000), st.integers(1, 2000)),
    size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
def test_what_is_seen_lies_inside_and_keeps_its_shape(
    zoom: float, place: tuple[float, float], room: tuple[int, int], size: tuple[int, int]
) -> None:
    pane = locate(Sight(zoom, place[0] * size[0], place[1] * size[1]), room, size)
    if pane is None:
        return
    left, top, right, bottom = pane.box
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert pane.left >= 0
    assert pane.top >= 0
    assert pane.left + pane.width <= room[0]
    assert pane.top + pane.height <= room[1]
    # To one screen pixel, the part is as wide and as high as the zoom says.
    assert abs(pane.width - (right - left) * zoom) <= 1.01
    assert abs(pane.height - (bottom - top) * zoom) <= 1.01


def test_the_middle_of_the_slice_is_in_the_middle_of_the_room() -> None:
    pane = locate(Sight(2.0, 50, 30), (400, 300), (100, 60))
    assert pane is not None
    assert (pane.left, pane.top, pane.width, pane.height) == (100, 90, 200, 120)
    assert pane.box == (0, 0, 100, 60)
    assert locate(Sight(1.0, -500, 30), (400, 300), (100, 60)) is None


@given(
    size=st.tuples(st.integers(1, 60_000), st.integers(1, 60_000)),
    turns=st.lists(st.booleans(), max_size=60),
)
def test_a_wheel_never_loses_the_slice(size: tuple[int, int], turns: list[bool]) -> None:
    room = (629, 635)
    fit = sight = fitting(room, size)
    assert locate(fit, room, size) is not None  # a line is seen, however thin
    for nearer in turns:
        before = sight
        sight = sight.zoomed(1.25 if nearer else 0.8, (31, -17), fit.zoom).kept(size)
        assert (sight.zoom >= before.zoom) if nearer else (sight.zoom <= before.zoom)
        assert locate(sight, room, size) is not None


@given(zoom=st.floats(0.5, 30), offset=st.tuples(st.integers(-300, 300), st.integers(-300, 300)))
def test_what_is_under_the_pointer_stays_there(zoom: float, offset: tuple[int, int]) -> None:
    room, at = (640, 640), (320 + offset[0], 320 + offset[1])
    sight = Sight(zoom, 128, 128)
    nearer = sight.zoomed(1.25, offset, 1.0)
    before, after = sight.pixel_at(*at, room), nearer.pixel_at(*at, room)
    # To one screen pixel, for the slice begins at a whole one.
    assert all(abs(a - b) <= 1 + 2 / zoom for a, b in zip(before, after, strict=True))


def test_paths_on_the_clipboard(tmp_path: Path) -> None:
    first, second = tmp_path / "with space é.png", tmp_path / "b.png"
    for path in (first, second):
        path.write_bytes(b"")
    uris = f"# a comment\r\n{first.as_uri()}\r\n{second.as_uri()}\r\n"
    assert paths_in(uris) == [str(first), str(second)]
    assert paths_in(f'copy\n"{first}"\n{tmp_path}') == [str(first), str(tmp_path)]
    assert paths_in("a sentence about nothing\n" + "x" * 5000 + "\n\0") == []


@given(st.text(max_size=200))
def test_any_text_may_be_on_the_clipboard(text: str) -> None:
    for path in paths_in(text):
        assert Path(path).exists()


def test_settings_are_kept_and_hold_no_names(tmp_path: Path) -> None:
    path = tmp_path / "new" / "window.json"
    write_settings(path, Settings("/scans", "light", 1.5))
    assert read_settings(path) == Settings("/scans", "light", 1.5)
    assert set(Settings.__slots__) == {"folder", "appearance", "scale"}
    assert settings_path().name == "window.json"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000),
        b'{"folder": 3, "appearance": "pink", "scale": "2"}',
        b'{"folder": "a\\u0000b", "scale": NaN}',
        b'{"scale": 99}',
    ],
)
def test_settings_that_make_no_sense_are_as_on_the_first_day(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "window.json").write_bytes(content)
    assert read_settings(tmp_path / "window.json") == Settings()


def test_settings_that_cannot_be_kept_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    write_settings(tmp_path / "file" / "window.json", Settings())
    assert read_settings(tmp_path / "file" / "window.json") == Settings()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (4.6, "5 s left"),
        (59.6, "1 min left"),
        (125, "2 min left"),
        (3700, "1 h 1 min left"),
    ],
)
def test_time_left_in_words(seconds: float | None, text: str) -> None:
    assert time_left(seconds) == text


def test_keys_in_words() -> None:
    assert shown_keys("Ctrl+Shift+o") == "Ctrl+Shift+O"
    assert shown_keys("Ctrl+plus") == "Ctrl++"
    assert shown_keys("bracketleft") == "["
    assert shown_keys("Ctrl+o", mac=True) == "⌘+O"


def test_a_table_of_nothing_and_of_what_waits() -> None:
    head = "path,slice,label,confidence,p_a,prediction_set,assessable,reason,model,error\n"
    assert to_csv([], ["a"]) == head
    rows = [Row(0, "x", "x.png"), Row(1, "y", None, state=State.UNREADABLE, error="bad, very")]
    lines = to_csv(rows, ["a"]).splitlines()
    assert lines[1] == "x.png,0,,,,,,,,not classified"
    assert lines[2] == 'y,0,,,,,,,,"bad, very"'


def test_names_that_cannot_be_shown() -> None:
    assert printable("a\x1b[31m\udcffb") == "a�[31m�b"
    assert printable("one\ntwo\u202egnp.exe \U0001f9e0 é שלום") == "one�two�gnp.exe � é שלום"


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 99),
)
def test_a_stretched_picture_repeats_only_its_middle(
    shape: tuple[int, int], size: tuple[int, int], seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 4)).astype(np.uint8)
    found = np.asarray(stretched(Image.fromarray(pixels), size))
    assert found.shape[:2] == (max(shape[0], size[1]), max(shape[1], size[0]))
    above, left = shape[0] // 2, shape[1] // 2
    below, right = shape[0] - above - 1, shape[1] - left - 1
    rows = [*range(above + 1), *range(found.shape[0] - below, found.shape[0])]
    columns = [*range(left + 1), *range(found.shape[1] - right, found.shape[1])]
    np.testing.assert_array_equal(found[np.ix_(rows, columns)], pixels)
    middle = found[above : found.shape[0] - below, left : found.shape[1] - right]
    assert (middle == pixels[above, left]).all()
