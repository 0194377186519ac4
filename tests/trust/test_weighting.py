"""Groups count alike, however many slices they have."""

from __future__ import annotations

import numpy as np

from tumorlens.trust.weighting import group_weights, own_groups


def test_groups_count_alike_and_slices_without_one_stand_for_themselves() -> None:
    weights = group_weights(["A", "A", "A", "B", "", ""])
    np.testing.assert_allclose(weights, [1 / 12] * 3 + [1 / 4] * 3)
    assert weights.sum() == 1


def test_no_name_can_be_that_of_a_slice_of_its_own() -> None:
    assert len(set(own_groups(["", "", "0", "1", "0"]))) == 4
