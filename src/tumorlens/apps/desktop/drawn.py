"""Small pictures for controls and marks, drawn at any scale, so that they are always sharp."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw

__all__ = ["arrow", "disc", "mark", "rounded", "stretched", "tick_box", "track"]

_FINER = 4  # drawn that many times larger, then reduced: smooth edges


def rounded(
    size: tuple[int, int], radius: float, fill: str, line: str | None = None, width: float = 1
) -> Image.Image:
    """Draw a box with round corners, all of `size`."""

    def draw(on: ImageDraw.ImageDraw) -> None:
        box = (0, 0, size[0] * _FINER - 1, size[1] * _FINER - 1)
        on.rounded_rectangle(
            box, radius * _FINER, fill=fill, outline=line, width=round(width * _FINER)
        )

    return _drawn(size, draw)


def stretched(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Repeat the row and the column in the middle until a picture has at least that size.

    Tk fills a control with copies of the middle of its picture, and for each copy of one
    that is see-through it asks the screen what lies below: a small middle takes a second
    to fill a window, a large one nothing.
    """
    pixels = np.asarray(image)
    for axis, least in enumerate(reversed(size)):  # rows, then columns
        counts = np.ones(pixels.shape[axis], int)
        counts[len(counts) // 2] += max(0, least - len(counts))
        pixels = pixels.repeat(counts, axis)
    return Image.fromarray(pixels)


def tick_box(
    side: int, fill: str, line: str, tick: str | None, gap: int, width: float = 1
) -> Image.Image:
    """Draw a box to be ticked, with room behind it."""
    image = Image.new("RGBA", (side + gap, side))
    image.paste(rounded((side, side), side / 5, fill, line, width), (0, 0))
    if tick is not None:

        def draw(on: ImageDraw.ImageDraw) -> None:
            points = [(0.24, 0.53), (0.42, 0.71), (0.77, 0.30)]
            on.line(_at(points, side), fill=tick, width=round(side / 8 * _FINER), joint="curve")

        image.alpha_composite(_drawn((side, side), draw))
    return image


def disc(side: int, fill: str, line: str, width: float) -> Image.Image:
    """Draw a disc with a rim."""
    return rounded((side, side), side / 2, fill, line, width)


def track(size: tuple[int, int], thick: float, fill: str) -> Image.Image:
    """Draw the line on which a slider's disc runs, in the middle of `size`."""
    image = Image.new("RGBA", size)
    line = rounded((size[0], max(1, round(thick))), thick / 2, fill)
    image.paste(line, (0, (size[1] - line.height) // 2))
    return image


def arrow(side: int, colour: str) -> Image.Image:
    """Draw an arrow that points down."""

    def draw(on: ImageDraw.ImageDraw) -> None:
        points = [(0.22, 0.38), (0.5, 0.66), (0.78, 0.38)]
        on.line(_at(points, side), fill=colour, width=round(side / 8 * _FINER), joint="curve")

    return _drawn((side, side), draw)


_SHAPES: Sequence[Sequence[tuple[float, float]]] = (
    (),  # a disc
    ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)),
    ((0.5, 0.05), (0.98, 0.92), (0.02, 0.92)),
    ((0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)),
)


def mark(side: int, kind: int, colour: str, gap: int = 0) -> Image.Image:
    """Draw the mark of a class: known by its shape as well as by its colour.

    Parameters
    ----------
    side
        In pixels.
    kind
        Which class, from 0; after four the shapes begin again.
    colour
        Of the class.
    gap
        Pixels of room behind it.
    """

    def draw(on: ImageDraw.ImageDraw) -> None:
        shape = _SHAPES[kind % len(_SHAPES)]
        if shape:
            on.polygon(_at(shape, side), fill=colour)
        else:
            on.ellipse((0, 0, side * _FINER - 1, side * _FINER - 1), fill=colour)

    image = Image.new("RGBA", (side + gap, side))
    image.paste(_drawn((side, side), draw), (0, 0))
    return image


def _at(points: Sequence[tuple[float, float]], side: int) -> list[tuple[float, float]]:
    most = side * _FINER - 1
    return [(x * most, y * most) for x, y in points]


def _drawn(size: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    # Transparent, but of a colour near the drawn one: Tk mixes edges without alpha badly.
    large = Image.new(
        "RGBA", (size[0] * _FINER, size[1] * _FINER), (*ImageColor.getrgb("#808080"), 0)
    )
    draw(ImageDraw.Draw(large))
    return large.resize(size, Image.Resampling.BOX)
