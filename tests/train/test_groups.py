"""Pictures without a patient stand for themselves, wherever groups count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tumorlens.data.folder import CLASSES, Example
from tumorlens.train.drawn import _shares
from tumorlens.train.pictures import Pictures, hash_files, split_off
from tumorlens.train.recipe import Recipe


def grouped(labels: list[int], groups: list[str]) -> Pictures:
    pixels = np.zeros((len(labels), 4, 4), np.uint8)
    return Pictures(pixels, np.array(labels, np.int64), "", groups=tuple(groups))


def test_ungrouped_pictures_are_drawn_as_often_as_lone_ones() -> None:
    pictures = grouped([0] * 201, ["P1", *[""] * 200])
    shares = _shares(pictures, Recipe(balance="groups"))
    np.testing.assert_allclose(shares, 1 / 201)


def test_ungrouped_pictures_beside_groups_are_held_out_too() -> None:
    labels = np.zeros(100, np.int64)
    _, off = split_off(labels, 0.2, 0, [f"P{i // 2}" for i in range(50)] + [""] * 50)
    assert off.size == 20
    assert (off >= 50).any()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_a_share_above_nothing_holds_out_some_of_every_class(share: float) -> None:
    labels = np.repeat(np.arange(len(CLASSES)), 30)
    groups = [f"P{i // 3}" for i in range(labels.size)]  # ten patients a class
    kept, off = split_off(labels, share, 0, groups)
    assert set(labels[off]) == set(labels[kept]) == set(range(len(CLASSES)))
    assert not {groups[i] for i in kept} & {groups[i] for i in off}


def test_nothing_is_held_out_unasked_and_no_class_loses_its_last_group() -> None:
    labels = np.array([0, 0, 1, 1], np.int64)
    assert split_off(labels, 0, 0, ["A", "B", "C", "C"])[1].size == 0
    assert 2 in split_off(labels, 0.1, 0, ["A", "B", "C", "C"])[0]


def test_a_file_that_is_gone_is_left_out_of_the_hash(tmp_path: Path) -> None:
    there, gone = (Example(tmp_path / name, "glioma", "") for name in ("there", "gone"))
    there.path.write_bytes(b"picture")
    assert hash_files([there, gone]) == hash_files([there])
