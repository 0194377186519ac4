"""Varied pictures: every move against another program's, and all in one resampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tumorlens.data.phantom import draw_phantom
from tumorlens.train.augment import augment, draw_transforms
from tumorlens.train.recipe import Augmentation

NOTHING = Augmentation(rotation=0, shift=0, shear=0, zoom=0, flip=False, brightness=(1.0, 1.0))
SIZE = 96
HEAD = draw_phantom("meningioma", 4, SIZE).pixels


class Fixed:
    """Draws the ends of every range: no chance left, so that one move can be looked at."""

    def __init__(self, end: str) -> None:
        self.end = end

    def uniform(self, low: float, high: float, size: Any) -> NDArray[np.float64]:
        return np.full(size, high if self.end == "high" else low)

    def random(self, size: int) -> NDArray[np.float64]:
        return np.zeros(size)  # always mirrored, if at all


def only(**moves: Any) -> Augmentation:
    values = {name: getattr(NOTHING, name) for name in Augmentation.__dataclass_fields__}
    return Augmentation(**{**values, **moves})


def moved(
    recipe: Augmentation, end: str = "high", pixels: NDArray[np.uint8] = HEAD
) -> NDArray[np.float32]:
    batch, _ = augment(pixels[None], Fixed(end), recipe)  # type: ignore[arg-type]
    result = np.asarray(batch)
    assert result.shape == (1, SIZE, SIZE, 1)
    assert result.dtype == np.float32
    return result[0, ..., 0]


def by_pillow(change: Callable[[Image.Image], Image.Image]) -> NDArray[np.float32]:
    return np.asarray(change(Image.fromarray(HEAD)), np.float32) / 255


def affine(*rows: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.transform(
        picture.size, Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR
    )


def test_no_move_changes_nothing() -> None:
    for end in ("high", "low"):
        np.testing.assert_allclose(moved(NOTHING, end), HEAD / 255, atol=1e-6)


@pytest.mark.parametrize(("end", "degrees"), [("high", 25), ("low", -25)])
def test_rotation_is_pillows(end: str, degrees: float) -> None:
    wanted = by_pillow(lambda p: p.rotate(degrees, Image.Resampling.BILINEAR))
    np.testing.assert_allclose(moved(only(rotation=25.0), end), wanted, atol=0.01)


@pytest.mark.parametrize(("end", "sign"), [("high", 1), ("low", -1)])
def test_shift_is_a_fraction_of_the_side(end: str, sign: int) -> None:
    step = sign * 12  # an eighth of 96
    wanted = np.roll(HEAD, (-step, -step), (0, 1)) / 255
    inner = slice(12, -12)  # beyond it comes what rolled around
    got = moved(only(shift=0.125), end)
    np.testing.assert_allclose(got[inner, inner], wanted[inner, inner], atol=1e-5)


@pytest.mark.parametrize(("end", "factor"), [("high", 1.25), ("low", 0.75)])
def test_zoom_is_about_the_centre(end: str, factor: float) -> None:
    beside = SIZE / 2 * (1 - factor)
    wanted = by_pillow(affine(factor, 0, beside, 0, factor, beside))
    got = moved(only(zoom=0.25), end)
    inner = slice(14, -14)  # beyond it Pillow fills with black
    np.testing.assert_allclose(got[inner, inner], wanted[inner, inner], atol=0.01)


@pytest.mark.parametrize(("end", "sign"), [("high", 1), ("low", -1)])
def test_shear_is_by_an_angle(end: str, sign: int) -> None:
    angle = sign * np.deg2rad(15)
    half = SIZE / 2
    a, b = np.cos(angle), -np.sin(angle)
    wanted = by_pillow(affine(a, 0, half - a * half, b, 1, -b * half))
    np.testing.assert_allclose(moved(only(shear=15.0), end), wanted, atol=0.01)


def test_flip_mirrors_left_and_right() -> None:
    np.testing.assert_allclose(moved(only(flip=True)), HEAD[:, ::-1] / 255, atol=1e-6)


@pytest.mark.parametrize(("end", "factor"), [("high", 1.6), ("low", 0.4)])
def test_brightness_is_a_factor_and_stays_in_range(end: str, factor: float) -> None:
    got = moved(only(brightness=(0.4, 1.6)), end)
    np.testing.assert_allclose(got, np.clip(HEAD / 255 * factor, 0, 1), atol=1e-6)


def test_some_are_turned_upside_down() -> None:
    still = replace(Augmentation(), rotation=0, shift=0, shear=0, zoom=0, flip=False)
    random = np.random.default_rng(0)
    rows = draw_transforms(random, 400, 64, replace(still, turn=0.25))
    turned = np.isclose(rows[:, 0], -1) & np.isclose(rows[:, 4], -1)
    assert turned.mean() == pytest.approx(0.25, abs=0.06)
    np.testing.assert_allclose(rows[turned][:, [2, 5]], 63, atol=1e-4)
    np.testing.assert_allclose(rows[~turned][:, [0, 4]], 1)


def test_what_comes_in_from_outside_is_the_nearest_pixel() -> None:
    ramp = np.tile(np.linspace(40, 200, SIZE).astype(np.uint8), (SIZE, 1))
    got = moved(only(shift=0.25), "high", ramp)
    np.testing.assert_allclose(got[:, -24:], ramp[0, -1] / 255, atol=1e-5)
    got = moved(only(shift=0.25), "low", ramp)
    np.testing.assert_allclose(got[:, :24], ramp[0, 0] / 255, atol=1e-5)


def test_all_moves_go_through_one_resampling(monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    calls: list[tuple[int, ...]] = []
    whole = keras.ops.image.affine_transform

    def count(images: Any, transform: Any, **options: Any) -> Any:
        calls.append(images.shape)
        return whole(images, transform, **options)

    monkeypatch.setattr(keras.ops.image, "affine_transform", count)
    augment(np.stack([HEAD] * 3), np.random.default_rng(0), Augmentation())
    assert calls == [(3, SIZE, SIZE, 1)]


def test_together_the_moves_are_the_single_ones_one_after_the_other() -> None:
    """In homogeneous coordinates about the centre: rotate, shift, shear, zoom, mirror."""
    full = Augmentation(rotation=20, shift=0.1, shear=10, zoom=0.3)

    def matrix(recipe: Augmentation) -> NDArray[np.float64]:
        row = draw_transforms(Fixed("high"), 1, SIZE, recipe)[0]  # type: ignore[arg-type]
        assert row[6] == row[7] == 0
        return np.append(row[:6].astype(np.float64), [0, 0, 1]).reshape(3, 3)

    single = [
        matrix(only(rotation=20)),
        matrix(only(shift=0.1)),
        matrix(only(shear=10)),
        matrix(only(zoom=0.3)),
        matrix(only(flip=True)),
    ]
    np.testing.assert_allclose(matrix(full), np.linalg.multi_dot(single), atol=1e-4)


def test_the_same_seed_gives_the_same_pictures_and_another_does_not() -> None:
    batch = np.stack([HEAD] * 4)
    one, again, other = (
        np.asarray(augment(batch, np.random.default_rng(seed), Augmentation())[0])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.01
    assert np.abs(one[0] - one[1]).mean() > 0.01  # within a batch, too
    assert one.min() >= 0
    assert one.max() <= 1


def test_moves_are_drawn_over_their_whole_range() -> None:
    random = np.random.default_rng(0)
    rows = draw_transforms(random, 4000, SIZE, only(rotation=30.0)).astype(np.float64)
    angles = np.rad2deg(np.arctan2(rows[:, 3], rows[:, 0]))
    assert angles.min() == pytest.approx(-30, abs=0.2)
    assert angles.max() == pytest.approx(30, abs=0.2)
    assert abs(angles.mean()) < 1
    mirrored = draw_transforms(random, 4000, SIZE, only(flip=True))[:, 0] < 0
    assert mirrored.mean() == pytest.approx(0.5, abs=0.04)
    zooms = draw_transforms(random, 4000, SIZE, only(zoom=0.2))
    assert zooms[:, 0].min() == pytest.approx(0.8, abs=0.01)
    assert zooms[:, 0].max() == pytest.approx(1.2, abs=0.01)
    assert abs(np.corrcoef(zooms[:, 0], zooms[:, 4])[0, 1]) < 0.1  # rows and columns apart


def test_masks_move_with_their_pictures() -> None:
    masks = np.zeros((4, *HEAD.shape), bool)
    masks[:, 20:30, 12:22] = True
    pixels = np.where(masks, np.uint8(200), np.uint8(40))
    still = Augmentation(brightness=(1.0, 1.0))
    grey, moved = augment(pixels, np.random.default_rng(2), still, masks)
    grey, moved = np.asarray(grey), np.asarray(moved)
    assert grey.shape == moved.shape == (*masks.shape, 1)
    np.testing.assert_allclose((grey - 40 / 255) / (160 / 255), moved, atol=1e-5)
    assert (moved[0] != moved[1]).any()
    assert augment(pixels, np.random.default_rng(2), still)[1] is None
