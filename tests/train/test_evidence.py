"""Masks as targets of evidence maps, and the loss that teaches them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tumorlens.data.folder import CLASSES
from tumorlens.networks.geometry import CellGrid
from tumorlens.networks.network import build_network
from tumorlens.train.batches import as_targets
from tumorlens.train.evidence import UNKNOWN, cell_coverage, evidence_loss


def test_a_spot_falls_into_the_cell_whose_centre_is_nearest() -> None:
    grid = CellGrid(jump=8.0, start=7.0)
    for y, x in ((7, 7), (15, 63), (95, 23), (60, 60)):
        mask = np.zeros((1, 96, 96), np.float32)
        mask[0, y, x] = 1
        cells = cell_coverage(mask, grid, 12)[0]
        nearest = [round((at - grid.start) / grid.jump) for at in (y, x)]
        assert np.argwhere(cells).tolist() == [nearest]
        assert cells.max() == pytest.approx(1 / 64)


def test_coverage_is_a_share() -> None:
    full = np.ones((2, 64, 64), np.float32)
    cells = cell_coverage(full, CellGrid(jump=4.0, start=1.5), 16)
    np.testing.assert_array_equal(cells, 1)
    shifted = cell_coverage(full, CellGrid(jump=4.0, start=3.5), 16)
    np.testing.assert_allclose(shifted[0, 5], [*[1.0] * 15, 0.5])  # half beyond the border


def test_the_loss_worked_by_hand(keras: Any) -> None:
    targets = np.zeros((1, 2, 2, 1), np.float32)
    targets[0, 0, 0] = 1
    evidence = np.array([[[[2.0], [-1.0]], [[0.0], [3.0]]]], np.float32)
    softplus = np.log1p(np.exp(np.array([-1.0, 0.0, 3.0])))
    expected = np.log1p(np.exp(-2.0)) + softplus.mean()
    found = keras.ops.convert_to_numpy(evidence_loss(targets, evidence))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_what_is_not_known_teaches_nothing(keras: Any) -> None:
    evidence = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    unknown = np.full(evidence.shape, UNKNOWN, np.float32)
    found = keras.ops.convert_to_numpy(evidence_loss(unknown, evidence))
    np.testing.assert_array_equal(found, 0)


def test_evidence_in_the_mask_costs_less_than_beside_it(keras: Any) -> None:
    targets = np.zeros((2, 8, 8, 3), np.float32)
    targets[:, 2:4, 2:4, 1] = 1
    evidence = np.full((2, 8, 8, 3), -4, np.float32)
    evidence[0, 2:4, 2:4, 1] = 4
    evidence[1, 5:7, 5:7, 1] = 4
    right, wrong = keras.ops.convert_to_numpy(evidence_loss(targets, evidence))
    assert right < 0.1
    assert wrong > 1


def test_targets_say_what_is_known_and_what_is_not() -> None:
    model = build_network("tiny-fpn", size=64)
    labels = np.array([CLASSES.index(x) for x in ("glioma", "notumor", "pituitary", "meningioma")])
    masks = np.zeros((4, 64, 64), np.float32)
    masks[0, 10:30, 10:30] = 1
    masks[3, 40:50, 40:50] = 1
    targets = as_targets(labels, masks, model)
    assert targets["logits"] is labels
    maps = targets["evidence"]
    assert maps.shape == (4, 16, 16, 3)
    assert maps[0, ..., 0].max() == 1
    assert maps[3, ..., 1].max() == 1
    assert not maps[0, ..., 1:].any()
    assert not maps[1].any()  # no tumour: no evidence for one anywhere
    assert (maps[2, ..., 2] == UNKNOWN).all()  # somewhere, but nobody has outlined it
    assert not maps[2, ..., :2].any()
    nobody = as_targets(labels, None, model)["evidence"]
    assert (nobody[[0, 2, 3], ..., [0, 2, 1]] == UNKNOWN).all()
    assert as_targets(labels, masks, build_network("tiny")) is labels
