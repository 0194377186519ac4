"""The line around the evidence."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tumorlens.apps.session.contour import draw_contour


def test_the_line_is_bright_on_dark_and_edged_on_bright_and_leaves_what_is_within() -> None:
    heat = np.zeros((40, 40), np.float32)
    heat[10:30, 10:30] = 1.0
    for grey in (0, 255):
        plain = Image.new("RGB", (40, 40), (grey, grey, grey))
        drawn = np.asarray(draw_contour(plain, Image.fromarray(heat))).astype(int)
        assert (drawn[10:30, 10:30] == grey).all()
        assert (drawn[20, :8] == grey).all()
        edge, line = drawn[20, 8], drawn[20, 9]
        assert (edge == 0).all()
        assert line[:2].min() > 200  # as bright as it gets, whatever lies below
        assert line[0] - line[2] > 100  # and no grey of a head
