"""What a fingerprint keeps of a slice, and what it lets go."""

from __future__ import annotations

import numpy as np
import pytest

from drawn_heads import draw_head
from tumorlens.data import fingerprint as view
from tumorlens.data.fingerprint import (
    COARSE,
    SIZE,
    detail,
    even,
    fingerprint,
    shrunk,
    vectors,
)
from tumorlens.images.read import read_slices


def test_borders_brightness_and_size_do_not_count() -> None:
    head = draw_head("glioma", 1)
    plain = fingerprint(read_slices(head)[0])
    assert plain.shape == (SIZE, SIZE)
    assert plain.dtype == np.uint8
    changed = (
        np.pad(head, 40),
        (head // 2 + 30 * (head > 25)).astype(np.uint8),
        head.repeat(2, axis=0).repeat(2, axis=1),
    )
    for other in changed:
        both = vectors(even(shrunk(np.stack([plain, fingerprint(read_slices(other)[0])]))))
        assert both[0] @ both[1] > 0.95


def test_coarse_views_are_unit_vectors_and_blank_pictures_nought() -> None:
    prints = np.stack([fingerprint(read_slices(draw_head("notumor", seed))[0]) for seed in (1, 2)])
    found = vectors(even(shrunk(np.concatenate([prints, np.zeros_like(prints[:1])]))))
    assert found.shape == (3, COARSE * COARSE)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 0], abs=1e-5)


def test_detail_is_of_even_strength_wherever_it_lies() -> None:
    head = fingerprint(read_slices(draw_head("notumor", 3))[0])
    dimmed = head.copy()
    dimmed[:, : SIZE // 2] //= 3  # as a coil far from one side would
    one, other = detail(np.stack([head, dimmed])).astype(np.float32)
    inner = (slice(20, 76), slice(20, 40))
    assert np.corrcoef(one[inner].ravel(), other[inner].ravel())[0, 1] > 0.9
    assert other[inner].std() > 0.7 * one[inner].std(), "a third of the contrast, had it stayed"
    assert np.abs(detail(np.zeros((1, SIZE, SIZE), np.uint8))).max() == 0


def test_the_frame_of_a_head_follows_it() -> None:
    small = np.zeros((1, COARSE, COARSE), np.float32)
    small[0, 4:28, 4:28] = shrunk(fingerprint(read_slices(draw_head("glioma", 4))[0])[None])[
        0, 4:28, 4:28
    ]
    moved = np.roll(small, (2, -3), axis=(1, 2))
    (half, column, row), (half2, column2, row2) = view.head_frames(np.concatenate([small, moved]))
    assert half2 == pytest.approx(half, rel=0.02)
    assert column2 - column == pytest.approx(-3 * 2 / COARSE, abs=0.02)
    assert row2 - row == pytest.approx(2 * 2 / COARSE, abs=0.02)
    assert np.isfinite(view.head_frames(np.zeros((1, COARSE, COARSE), np.float32))).all()
