"""Percentiles without NumPy's detours are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorlens.images.percentiles import count_levels, percentiles, percentiles_of_levels

LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(1, 3000),
    seed=st.integers(0, 99),
    shares=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    greys=st.sampled_from([2, 20, 255]),
)
def test_they_are_those_of_numpy(
    size: int, seed: int, shares: tuple[float, float], greys: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, greys, size, dtype=np.uint8)
    values = LEVELS[pixels]
    for asked in (shares, shares[0]):
        # The last bit is of NumPy's version; 2.4 agrees in it.
        wanted = pytest.approx(np.percentile(values, asked), rel=1e-6, abs=1e-7)
        assert percentiles(values, asked) == wanted
        assert percentiles_of_levels(LEVELS, count_levels(pixels), asked) == wanted
