"""Insertion and deletion, with a network that is known."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.evaluate.faithful import SHARES, area, curves, deletion, insertion

SPOT = (slice(8, 16), slice(24, 32))  # a sixteenth of 32 by 32


def seen(pictures: np.ndarray) -> np.ndarray:
    """A network that asks how bright one spot is."""
    return pictures[:, *SPOT].mean(axis=(1, 2))


@pytest.fixture
def pixels() -> np.ndarray:
    pixels = np.zeros((32, 32), np.float32)
    pixels[SPOT] = 1
    return pixels


def test_the_right_map_deletes_and_inserts_at_once(pixels: np.ndarray) -> None:
    right = pixels.copy()
    taken, given = deletion(pixels, right, seen), insertion(pixels, right, seen)
    assert SHARES[0] == 0
    assert SHARES[-1] == 1
    np.testing.assert_allclose(taken, [1] + [0] * 8)
    assert given[0] < 1  # blurred
    np.testing.assert_allclose(given[1:], 1)
    assert area(taken) == pytest.approx(1 / 16)


def test_the_wrong_map_does_so_last(pixels: np.ndarray) -> None:
    wrong = 1 - pixels
    taken, given = deletion(pixels, wrong, seen), insertion(pixels, wrong, seen)
    np.testing.assert_allclose(taken, [1] * 8 + [0])
    assert (given[:8] < 1).all()
    assert given[8] == 1
    assert area(taken) > area(deletion(pixels, pixels, seen))
    assert area(given) < area(insertion(pixels, pixels, seen))


def test_no_picture_is_scored_twice(pixels: np.ndarray) -> None:
    asked = []

    def counted(pictures: np.ndarray) -> np.ndarray:
        asked.extend(picture.tobytes() for picture in pictures)
        return seen(pictures)

    noise = np.random.default_rng(0).random(pixels.shape, np.float32)
    first, same, other = curves(pixels, [noise, 3 * noise, 1 - noise], counted)
    assert len(asked) == 3 + 2 * 2 * (len(SHARES) - 2)  # the ends, and two maps that differ
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(other[0], deletion(pixels, 1 - noise, seen))
