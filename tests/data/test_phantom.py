"""Drawn heads: repeatable, and with the lesion where they say it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.folder import CLASSES, find_examples
from tumorlens.data.phantom import draw_phantom, write_patients, write_phantoms


@pytest.mark.parametrize("label", CLASSES)
def test_the_same_seed_draws_the_same_picture(label: str) -> None:
    one, again, other = (draw_phantom(label, seed, 96) for seed in (5, 5, 6))
    assert one.label == label
    assert one.pixels.shape == one.lesion.shape == (96, 96)
    assert one.pixels.dtype == np.uint8
    assert one.lesion.dtype == np.bool_
    np.testing.assert_array_equal(one.pixels, again.pixels)
    np.testing.assert_array_equal(one.lesion, again.lesion)
    assert (one.pixels != other.pixels).mean() > 0.1


@pytest.mark.parametrize("seed", range(12))
def test_the_lesion_is_what_differs_from_a_healthy_head(seed: int) -> None:
    for label in ("meningioma", "pituitary"):
        phantom = draw_phantom(label, seed)
        inside = phantom.pixels[phantom.lesion]
        assert 0.003 < phantom.lesion.mean() < 0.06
        assert np.median(inside) > 225  # bright
    glioma = draw_phantom("glioma", seed)
    values = glioma.pixels[glioma.lesion].astype(int)
    assert (values < 90).mean() > 0.5  # dim within
    assert (values > 200).mean() > 0.05  # a bright rim
    assert not draw_phantom("notumor", seed).lesion.any()


def test_lesions_lie_where_their_class_has_them() -> None:
    for seed in range(12):
        rows, _ = np.nonzero(draw_phantom("pituitary", seed).lesion)
        assert rows.mean() > 64  # below the centre
    spots = np.array(
        [np.argwhere(draw_phantom("meningioma", seed).lesion).mean(axis=0) for seed in range(30)]
    )
    assert (np.hypot(*(spots - 63.5).T) > 20).all()  # at the skull, all around
    assert spots.std(axis=0).min() > 15


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`label` must be one of glioma.*got 'flu'"):
        draw_phantom("flu", 0)


@pytest.mark.parametrize("label", CLASSES)
def test_slices_of_a_head_are_alike_and_not_the_same(label: str) -> None:
    first, next_one = (draw_phantom(label, 3, step=step) for step in (0, 1))
    other = draw_phantom(label, 4)
    near, far = (
        np.corrcoef(first.pixels.ravel(), drawn.pixels.ravel())[0, 1] for drawn in (next_one, other)
    )
    assert far < near < 1
    if label != "notumor":
        assert 0 < next_one.lesion.sum() < first.lesion.sum()  # it tapers off
        assert first.lesion[next_one.lesion].mean() > 0.9


def test_an_impossible_step_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`step` must be from 0 to 4, got 5"):
        draw_phantom("glioma", 0, step=5)


def test_a_set_of_patients_leaks_as_the_public_one_does(tmp_path: Path) -> None:
    root = write_patients(tmp_path / "set", patients=3, slices=3, size=48)
    training, testing = find_examples(root / "Training"), find_examples(root / "Testing")
    assert (len(training), len(testing)) == (24, 12)
    patients = [{e.path.stem.rpartition("_")[0] for e in part} for part in (training, testing)]
    assert patients[0] == patients[1]
    assert len(patients[0]) == 12
    assert len({e.path.read_bytes() for e in training + testing}) == 36
    with pytest.raises(ValueError, match=r"`slices` must be from 2 to 5, got 1"):
        write_patients(tmp_path / "one", patients=3, slices=1)


def test_a_written_set_has_the_usual_layout(tmp_path: Path) -> None:
    root = write_phantoms(tmp_path / "set", training=3, testing=2, size=48)
    training, testing = find_examples(root / "Training"), find_examples(root / "Testing")
    assert (len(training), len(testing)) == (12, 8)
    contents = {example.path.read_bytes() for example in training + testing}
    assert len(contents) == 20  # no test picture is a training picture
    for example in training:
        with Image.open(example.path) as picture:
            assert (picture.size, picture.mode) == ((48, 48), "L")
            index = int(example.path.stem.rpartition("_")[2])
            drawn = draw_phantom(example.label, index, 48).pixels
            np.testing.assert_array_equal(np.asarray(picture), drawn)
