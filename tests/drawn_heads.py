"""Drawn heads that differ as much as people do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom


def draw_head(label: str, seed: int, size: int = 160) -> NDArray[np.uint8]:
    """Draw a phantom with tissue of its own: phantoms alone are too alike to tell copies."""
    pixels = draw_phantom(label, seed, size).pixels.astype(np.float32)
    random = np.random.default_rng((seed, CLASSES.index(label), 9))
    coarse = random.normal(0, 45, (14, 14)).astype(np.float32)
    tissue = np.asarray(Image.fromarray(coarse).resize((size, size)))
    return np.clip(np.where(pixels > 25, pixels + tissue, pixels), 0, 255).astype(np.uint8)


def write_heads(root: Path, *, training: int = 4, testing: int = 2) -> Path:
    """Write ``Training|Testing/<class>/*.png``, every picture of another person."""
    for part, count, first in (("Training", training, 0), ("Testing", testing, 1000)):
        for label in CLASSES if count else ():
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                picture = Image.fromarray(draw_head(label, first + i))
                picture.save(root / part / label / f"{label}_{first + i}.png")
    return root
