"""Draw the picture of the README: four answers with their maps.

    python scripts/readme_picture.py docs/images/answers.png

A real MR slice of a healthy head, which Matplotlib carries, and the same slice with three
tumours drawn into it. Whatever the model answers is written below; nothing here expects it to be
right. The slice lies beside the middle of the head and shows no sella, so that the third tumour
stands at the base of the skull, as near to where a pituitary tumour grows as the slice comes.
Needs `.[demo]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import tumorlens
from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import _blend, _cloud, _within, draw_lesion
from tumorlens.data.folder import class_name
from tumorlens.explain.explanation import Explanation

SIDE, GAP, TOP, FOOT = 300, 12, 40, 66
CUT: Final = (10, 20, 216, 226)  # columns and rows of the slice that show the head
INK, FAINT, PAPER = (240, 240, 240), (175, 175, 182), (16, 16, 20)
# Row, column and radii of what is drawn, in pixels of the 256 × 256 slice.
SPOTS: Final = {"meningioma": (56, 150, 14, 16), "pituitary": (144, 112, 10, 9)}


def draw_spot(pixels: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Draw a bright, even, sharply bounded tumour, as contrast agent shows these two."""
    row, column, tall, wide = SPOTS[name]
    size = pixels.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float64)
    reach = min(tall, wide)
    outside = (np.hypot((y - row) / tall, (x - column) / wide) - 1) * reach
    inside = _within(outside - 0.05 * reach * _cloud(size, 9, 5), 1.0)
    bright = 56_000 * (1 + 0.04 * _cloud(size, 1.5, 6))
    return _blend(pixels, bright, inside).astype(np.float32)


def exhibits() -> Iterator[tuple[str, Explanation]]:
    """Explain the four slices."""
    classifier, healthy = tumorlens.load(), demo_slice()
    yield "glioma, drawn", classifier.explain(draw_lesion(healthy.pixels)[0])
    yield "meningioma, drawn", classifier.explain(draw_spot(healthy.pixels, "meningioma"))
    yield "at the skull base, drawn", classifier.explain(draw_spot(healthy.pixels, "pituitary"))
    yield "healthy, as it was scanned", classifier.explain(healthy)


def words(why: Explanation) -> tuple[str, str]:
    """Say the answer, and what else it may be."""
    answer = why.prediction
    if not answer.assessable:
        return "not assessable", ""
    others = [class_name(name) for name in answer.prediction_set if name != answer.label]
    also = f"or {' or '.join(others)}" if others else "no other class in its set"
    return f"{class_name(answer.label)}, {answer.confidence:.0%}", also


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    large, small = (ImageFont.load_default(size) for size in (24, 19))
    size = (4 * (SIDE + GAP) + GAP, TOP + 2 * (SIDE + GAP) + FOOT)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (title, why) in enumerate(exhibits()):
        left, (said, also) = GAP + i * (SIDE + GAP), words(why)
        draw.text((left, GAP), title, fill=FAINT, font=small)
        for j, alpha in enumerate((0.0, 0.6 if why.prediction.assessable else 0.0)):
            tile = why.overlay(alpha).crop(CUT).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (left, TOP + j * (SIDE + GAP)))
        top = TOP + 2 * (SIDE + GAP) - 4
        draw.text((left, top), said, fill=INK, font=large)
        draw.text((left, top + 32), also, fill=FAINT, font=small)
        print(f"{title}: {said}; {also}; {why.describe()}")
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main()
