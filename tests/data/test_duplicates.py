"""Copies are found whatever was done to them; other people's slices are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from drawn_heads import draw_head
from tumorlens.data.align import align, correlate, framed
from tumorlens.data.candidates import MIRRORED, WAYS
from tumorlens.data.copies import ALTERATIONS, Alteration, alter
from tumorlens.data.duplicates import COPY, KIN, Pair, clusters, compare_all, find_pairs
from tumorlens.data.fingerprint import fingerprint, shrunk
from tumorlens.data.folder import CLASSES
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice

FOUND = [name for name in ALTERATIONS if "10 %" not in name and "8°" not in name]


@pytest.fixture(scope="module")
def people() -> list[Slice]:
    return [read_slices(draw_head(label, seed))[0] for label in CLASSES for seed in range(6)]


@pytest.fixture(scope="module")
def prints(people: list[Slice]) -> NDArray[np.uint8]:
    return np.stack([fingerprint(person) for person in people])


def copies(people: list[Slice], how: Alteration) -> NDArray[np.uint8]:
    return np.stack([fingerprint(read_slices(alter(person, how))[0]) for person in people])


def test_slices_of_different_people_are_no_copies(prints: NDArray[np.uint8]) -> None:
    assert find_pairs(prints) == []
    assert find_pairs(prints, least=KIN) == []


@pytest.mark.parametrize("name", FOUND)
def test_copies_are_found_and_nothing_else(
    name: str, people: list[Slice], prints: NDArray[np.uint8]
) -> None:
    count = len(people)
    found = find_pairs(np.concatenate([prints, copies(people, ALTERATIONS[name])]))
    assert {pair.second - pair.first for pair in found} == {count}, "a stranger was found"
    assert len(found) >= 0.9 * count
    right_way = sum((pair.way == MIRRORED) == ALTERATIONS[name].mirror for pair in found)
    assert right_way == len(found)


TURNS = {
    "": lambda p: p,
    "mirrored": np.fliplr,
    "upside down": np.flipud,
    "turned by 180°": lambda p: np.rot90(p, 2),
    "transposed": np.transpose,
    "turned by 90° to the right": lambda p: np.rot90(p, -1),
    "turned by 90° to the left": np.rot90,
    "transposed and turned by 180°": lambda p: np.rot90(p.T, 2),
}


def sharpened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(3, 250, 0)))


def stretched(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A monotone curve of contrast that is no gamma."""
    return (255 / (1 + np.exp((90 - pixels.astype(float)) / 28))).astype(np.uint8)


def captioned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In a black frame with a white line, text burnt in at its corners and a scale bar."""
    framed_ = np.pad(pixels, 30)
    framed_[2:4, 2:-2] = framed_[-4:-2, 2:-2] = 255
    image = Image.fromarray(framed_)
    draw = ImageDraw.Draw(image)
    draw.text((8, 8), "SE 4 IM 12", fill=255)
    draw.text((image.width - 70, image.height - 18), "W 512 L 256", fill=255)
    draw.line((image.width - 12, 60, image.width - 12, 120), fill=255, width=2)
    return np.asarray(image)


@pytest.mark.parametrize("change", [sharpened, stretched, captioned, lambda p: p])
def test_turned_copies_are_found_whatever_else_was_done(
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    people: list[Slice],
    prints: NDArray[np.uint8],
) -> None:
    ways = [WAYS[i % len(WAYS)] for i in range(len(people))]
    turned = [
        TURNS[way](change(person.pixels.astype(np.uint8)))
        for way, person in zip(ways, people, strict=True)
    ]
    copied = np.stack([fingerprint(read_slices(np.ascontiguousarray(p))[0]) for p in turned])
    found = find_pairs(np.concatenate([prints, copied]), least=KIN)
    count = len(people)
    assert [(p.first, p.second) for p in found] == [(i, i + count) for i in range(count)]
    back = {"turned by 90° to the right": "turned by 90° to the left"}
    back |= {there: here for here, there in back.items()}
    assert [p.way for p in found] == [back.get(way, way) for way in ways]


def test_the_same_picture_is_its_own_best_copy(prints: NDArray[np.uint8]) -> None:
    (pair,) = find_pairs(np.stack([prints[0], prints[3], prints[0]]))
    assert (pair.first, pair.second, pair.way) == (0, 2, "")
    assert pair.similarity == pytest.approx(1, abs=1e-3)


def test_every_pair_is_given_once_and_in_order(prints: NDArray[np.uint8]) -> None:
    both = np.concatenate([prints, prints[::-1]])
    pairs = compare_all(both)
    places = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert len(set(places)) == len(places)
    assert all(first < second for first, second in places)
    found = pairs.at_least(COPY)
    assert [(p.first, p.second) for p in found] == [
        (i, len(both) - 1 - i) for i in range(len(prints))
    ]
    assert found == sorted(found)


def test_many_blocks_find_what_one_finds(
    prints: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = np.concatenate([prints[:8], prints[:8, :, ::-1], prints[8:12]])
    expected = find_pairs(both)
    assert len(expected) == 8
    for name, size in (
        ("candidates._BLOCK", 3),
        ("duplicates._BATCH", 2),
        ("duplicates._CHUNK", 5),
    ):
        monkeypatch.setattr(f"tumorlens.data.{name}", size)
    assert [(p.first, p.second, p.way) for p in find_pairs(both)] == [
        (p.first, p.second, p.way) for p in expected
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_few_pictures_have_no_pairs(count: int, prints: NDArray[np.uint8]) -> None:
    assert find_pairs(prints[:count]) == []


def test_blank_pictures_are_like_nothing(prints: NDArray[np.uint8]) -> None:
    blank = np.zeros_like(prints[:2])
    assert find_pairs(np.concatenate([blank, prints[:2]]), least=KIN) == []


def test_progress_is_told_to_the_end(prints: NDArray[np.uint8]) -> None:
    told: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        assert not note
        told[stage] = done, total

    find_pairs(np.concatenate([prints, prints]), progress=progress)
    assert list(told) == ["correlating", "laying over", "comparing details"]
    assert all(done == total for done, total in told.values())


def test_links_join_into_clusters() -> None:
    assert clusters(6, [(4, 5), (0, 2), (2, 4)]) == [0, 1, 0, 3, 0, 0]
    assert clusters(3, []) == [0, 1, 2]


def test_pairs_sort_by_place() -> None:
    near, far = Pair(0, 2, 0.95), Pair(0, 1, 0.99, MIRRORED)
    assert sorted([near, far]) == [far, near]


def test_alignment_finds_how_a_picture_was_moved(prints: NDArray[np.uint8]) -> None:
    small = shrunk(prints[:4])
    frames = np.tile(np.array([0.94, 0.05, -0.04], np.float32), (4, 1))
    maps, fits = align(
        framed(small, frames), small, np.tile(np.eye(2, 3, dtype=np.float32), (4, 1, 1))
    )
    assert maps[:, 0, 0] == pytest.approx(np.full(4, 0.94), abs=0.02)
    assert maps[:, :, 2] == pytest.approx(np.tile([0.05, -0.04], (4, 1)), abs=0.02)
    assert (fits > 0.99).all()
    assert correlate(framed(small, frames), small, maps) == pytest.approx(fits, abs=1e-4)
