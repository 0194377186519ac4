"""The window's small parts that need no window: geometry and drawn pictures."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tumorlens.apps.desktop.drawn import stretched
from tumorlens.apps.desktop.sight import Sight, fitting, locate


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
