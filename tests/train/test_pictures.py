"""Training pictures in memory: in order, hashed, and split by class."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.folder import CLASSES, Example, find_examples
from tumorlens.data.phantom import draw_phantom
from tumorlens.data.survey import survey
from tumorlens.errors import DataError
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.train.pictures import load_pictures, split_off


def test_pictures_are_the_prepared_ones_in_order(phantom_data: Path) -> None:
    examples = find_examples(phantom_data / "Testing")
    told: list[tuple[str, int, int]] = []
    pictures = load_pictures(
        examples, 40, lambda stage, done, total, note="": told.append((stage + note, done, total))
    )
    assert len(pictures) == len(examples) == 48
    assert pictures.pixels.shape == (48, 40, 40)
    assert pictures.pixels.dtype == np.uint8
    assert [CLASSES[i] for i in pictures.labels] == [example.label for example in examples]
    for i in (0, 17, 47):
        wanted = prepare(read_slices(examples[i].path)[0], 40).pixels * 255
        np.testing.assert_allclose(pictures.pixels[i], wanted, atol=0.5001)
    assert told == [("reading", i + 1, 48) for i in range(48)]


def test_what_cannot_be_read_is_listed_and_left_out(tmp_path: Path) -> None:
    examples = []
    for i, label in enumerate(CLASSES):
        path = tmp_path / f"{i}.png"
        Image.fromarray(draw_phantom(label, 1).pixels).save(path)
        examples.append(Example(path, label))
    whole = load_pictures(examples, 32)
    examples[1].path.write_bytes(b"broken")
    pictures = load_pictures(examples, 32)
    assert pictures.labels.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(pictures.pixels, whole.pixels[[0, 2, 3]])
    assert len(pictures.unreadable) == 1
    assert str(examples[1].path) in pictures.unreadable[0]
    assert pictures.sha256 != whole.sha256
    for example in examples:
        example.path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"none of 4 files could be read; the first: .*0\.png"):
        load_pictures(examples, 32)


def test_the_hash_is_of_labels_and_contents_in_order(phantom_data: Path, tmp_path: Path) -> None:
    examples = find_examples(phantom_data / "Testing")[::6]
    sha = load_pictures(examples, 32).sha256
    moved = []
    for example in examples:  # elsewhere, under other names: still the same pictures
        path = tmp_path / f"{len(moved)}.bin"
        path.write_bytes(example.path.read_bytes())
        moved.append(Example(path, example.label))
    assert load_pictures(moved, 48).sha256 == sha
    assert load_pictures(moved[::-1], 32).sha256 != sha
    relabelled = [Example(moved[0].path, "pituitary"), *moved[1:]]
    assert load_pictures(relabelled, 32).sha256 != sha


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5])
def test_the_split_takes_its_share_of_every_class(share: float) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [40, 100, 60, 20]))
    kept, off = split_off(labels, share, seed=3)
    assert sorted([*kept, *off]) == list(range(220))
    assert kept.tolist() == sorted(kept)
    for i, count in enumerate((40, 100, 60, 20)):
        assert (labels[off] == i).sum() == round(share * count)
    again = split_off(labels, share, seed=3)
    np.testing.assert_array_equal(off, again[1])
    if share:
        assert off.tolist() != split_off(labels, share, seed=4)[1].tolist()


def test_taking_some_keeps_pictures_and_labels_together(phantom_data: Path) -> None:
    pictures = load_pictures(find_examples(phantom_data / "Testing")[::6], 32)
    some = pictures.take(np.array([5, 0]))
    np.testing.assert_array_equal(some.pixels, pictures.pixels[[5, 0]])
    assert some.labels.tolist() == pictures.labels[[5, 0]].tolist()


@pytest.mark.parametrize("reader", ["tumorlens.train.pictures", "tumorlens.data.survey"])
def test_what_is_decoded_is_what_is_hashed(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is replaced right after it was read, as by a program that syncs folders."""
    path = tmp_path / "a.png"
    Image.new("L", (40, 40), 9).save(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    module = importlib.import_module(reader)
    whole = module.read_file

    def replaced(source: Path) -> object:
        found = whole(source)
        Image.new("L", (40, 40), 200).save(path)
        return found

    monkeypatch.setattr(module, "read_file", replaced)
    if reader == "tumorlens.data.survey":
        (look,) = survey([Example(path, "glioma")]).looks
        assert (look.sha256, look.mean) == (before, pytest.approx(9 / 255))
    else:
        given = Example(path, "glioma", sha256=before)
        assert load_pictures([given], 16).unreadable == ()
