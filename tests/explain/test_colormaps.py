"""Colour maps: as published, even to the eye."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from tumorlens.explain.colormaps import COLORMAPS, colours

EVERY = np.linspace(0, 1, 256, dtype=np.float32)


@pytest.mark.parametrize("name", COLORMAPS)
def test_it_is_the_published_one(name: str) -> None:
    published = np.array([mpl.colormaps[name](float(v))[:3] for v in EVERY]) * 255
    np.testing.assert_allclose(colours(EVERY, name), published, atol=3)


@pytest.mark.parametrize("name", COLORMAPS)
def test_more_is_lighter_to_every_eye(name: str) -> None:
    """By the lightness L* of CIE 1976, which colour blindness does not take away."""
    linear = (colours(EVERY[::8], name) / 255) ** 2.2
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() < 3 * np.median(steps)


def test_an_unknown_colour_map_is_refused() -> None:
    with pytest.raises(ValueError, match="'jet'; there are inferno, magma, viridis"):
        colours(EVERY, "jet")
