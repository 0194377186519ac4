"""Pictures that nobody could assess are named, the others pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.images.geometry import SliceGeometry
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.trust.picture_check import check_picture


def check(pixels: np.ndarray) -> str | None:
    picture = read_slices(pixels)[0]
    return check_picture(picture, prepare(picture, 64))


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("size", [48, 128, 512])
def test_heads_pass(label: str, size: int) -> None:
    assert check(draw_phantom(label, 3, size).pixels) is None


def test_a_dark_head_passes() -> None:
    assert check(draw_phantom("glioma", 3).pixels // 8) is None


@pytest.mark.parametrize("value", [0, 1, 77, 255])
@pytest.mark.parametrize("shape", [(128, 128), (100, 160), (20, 20)])
def test_a_picture_of_one_grey_is_blank(value: int, shape: tuple[int, int]) -> None:
    assert check(np.full(shape, value, np.uint8)) == "the picture is blank"
    assert check(np.full(shape, value, np.float32)) == "the picture is blank"


def test_a_picture_with_a_whiff_of_noise_is_blank() -> None:
    noise = np.random.default_rng(0).integers(100, 104, (128, 128))
    assert check(noise.astype(np.uint8)) == "the picture is blank"


def test_tiny_pictures_are_named_with_their_size() -> None:
    tiny = np.asarray(Image.fromarray(draw_phantom("glioma", 3).pixels).resize((60, 47)))
    assert check(tiny) == "the picture is only 60 × 47 pixels"


def test_strips_are_named_with_their_size() -> None:
    strip = np.tile(draw_phantom("glioma", 3).pixels[:50], (1, 2))
    assert check(strip[:, :200]) is None
    assert check(strip[:, :201]) == "the picture is a strip of 201 × 50 pixels"
    assert check(strip[:, :201].T) == "the picture is a strip of 50 × 201 pixels"


def test_a_stuck_pixel_does_not_make_a_deep_picture_blank() -> None:
    head = draw_phantom("glioma", 1).pixels.astype(np.uint16)
    head[3, 3] = 65535
    picture = read_slices(head)[0]
    assert check_picture(picture, prepare(picture, 64)) is None


def test_a_strip_of_noise_is_a_strip() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 20_000), dtype=np.uint8)
    assert check(noise) == "the picture is a strip of 20000 × 60 pixels"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"modality": "CT"}, "its header says CT"),
        ({"modality": "MR", "body part": "KNEE"}, "its header says knee"),
        ({"modality": "MR", "body part": "L SPINE"}, "its header says l spine"),
        ({"modality": "MR", "body part": "HEAD"}, None),
        ({"modality": "MR", "body part": "KOPF"}, None),
        ({"modality": "MR"}, None),
        ({}, None),
    ],
)
def test_what_a_header_says_counts(told: dict[str, str], found: str | None) -> None:
    picture = replace(read_slices(draw_phantom("glioma", 3).pixels)[0], origin=told)
    said = check_picture(picture, prepare(picture, 64))
    assert said is None if found is None else found in str(said)


def test_a_slice_of_a_volume_is_judged_by_the_volumes_range() -> None:
    noise = np.random.default_rng(0).uniform(0, 5, (128, 128)).astype(np.float32)
    place = SliceGeometry((0, 0, 0), (0, 1, 0), (1, 0, 0))
    picture = replace(read_slices(noise)[0], value_range=(0.0, 1000.0), geometry=place)
    assert check_picture(picture, prepare(picture, 64)) == "the picture is blank"
