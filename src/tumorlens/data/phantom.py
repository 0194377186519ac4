"""Drawn pictures that look a little like MRI slices, with a lesion at a known place.

For tests, demonstrations and teaching: no scan of a person is needed, and the right
answer is known to the pixel. Nothing learnt from them says anything about scans.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.data.folder import CLASSES

__all__ = ["Phantom", "draw_phantom", "write_patients", "write_phantoms"]


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A drawn slice.

    Parameters
    ----------
    pixels
        uint8, ``(size, size)``.
    lesion
        Where the lesion is, bool, ``(size, size)``; nowhere for ``"notumor"``.
    label
        Its class.
    """

    pixels: NDArray[np.uint8]
    lesion: NDArray[np.bool_]
    label: str


def draw_phantom(label: str, seed: int, size: int = 128, *, step: int = 0) -> Phantom:
    """Draw a head with or without a lesion.

    A glioma is a ragged dim blob with a bright rim inside the brain, a meningioma a
    bright round one at the skull, a pituitary tumour a small bright one at the
    centre below.

    Parameters
    ----------
    label
        One of `CLASSES`.
    seed
        The same seed draws the same head.
    size
        Side in pixels.
    step
        How many slices away from the first one of that head, from 0 to 4: what lies
        inside changes a little from slice to slice.

    Raises
    ------
    ValueError
        When there is no such class or step.
    """
    if label not in CLASSES:
        raise ValueError(f"`label` must be one of {', '.join(CLASSES)}, got {label!r}")
    if step not in range(5):
        raise ValueError(f"`step` must be from 0 to 4, got {step!r}")
    random = np.random.default_rng((seed, CLASSES.index(label)))
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    wide, tall = random.uniform(0.60, 0.72), random.uniform(0.74, 0.86)
    x, y = x - random.uniform(-0.06, 0.06), y - random.uniform(-0.06, 0.06)
    radius = np.hypot(x / wide, y / tall)
    head = np.zeros((size, size))
    head[radius < 1.0] = 0.85  # scalp
    head[radius < 0.93] = 0.12  # skull
    head[radius < 0.86] = random.uniform(0.36, 0.46)  # brain
    phase = random.uniform(0, 6) + 0.2 * step
    folds = 0.05 * np.sin(9 * x + 7 * np.sin(5 * y + phase)) * np.cos(11 * y)
    head = np.where(radius < 0.86, head + folds, head)
    smaller = 1 - 0.06 * step  # ventricles and lesion taper off
    for side in (-1, 1):  # ventricles
        head[np.hypot((x - side * 0.11) / 0.07, (y + 0.08) / 0.2) < smaller] = 0.14
    lesion = _lesion(label, x, y, wide, tall, smaller, random)
    inside = head.copy()
    inside[lesion] = 0.95 if label != "glioma" else 0.24
    if label == "glioma":
        inside[lesion & ~_shrunk(lesion)] = 0.9
    noise = random.normal(0, 0.015, (step + 1, *head.shape))[-1]  # of each slice its own
    noisy = inside + noise * (radius < 1.02)
    return Phantom(np.clip(noisy * 255, 0, 255).astype(np.uint8), lesion, label)


def write_phantoms(
    folder: str | os.PathLike[str], *, training: int, testing: int, size: int = 128
) -> Path:
    """Write a small data set in the usual layout, ``Training|Testing/<class>/*.png``.

    Parameters
    ----------
    folder
        Where to.
    training, testing
        Pictures of each class.
    size
        Side in pixels.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    root = Path(folder)
    for part, count, first in (("Training", training, 0), ("Testing", testing, 100_000)):
        for label in CLASSES:
            (root / part / label).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                picture = Image.fromarray(draw_phantom(label, first + i, size).pixels)
                picture.save(root / part / label / f"{label}_{i:04d}.png")
    return root


def write_patients(
    folder: str | os.PathLike[str], *, patients: int, slices: int = 3, size: int = 128
) -> Path:
    """Write a small data set whose official split leaks, as that of the public set does.

    Every patient has several slices, ``<class>_p<patient>_s<slice>.png``. The last one
    goes to ``Testing`` and the others to ``Training``, so that every patient is on both
    sides.

    Parameters
    ----------
    folder
        Where to.
    patients
        Of each class.
    slices
        Of each patient, from 2 to 5.
    size
        Side in pixels.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        When patients would have too few or too many slices.
    """
    if slices not in range(2, 6):
        raise ValueError(f"`slices` must be from 2 to 5, got {slices!r}")
    root = Path(folder)
    for label in CLASSES:
        for step in range(slices):
            part = root / ("Training" if step < slices - 1 else "Testing") / label
            part.mkdir(parents=True, exist_ok=True)
            for patient in range(patients):
                picture = Image.fromarray(draw_phantom(label, patient, size, step=step).pixels)
                picture.save(part / f"{label}_p{patient:03d}_s{step}.png")
    return root


def _lesion(
    label: str,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    wide: float,
    tall: float,
    smaller: float,
    random: np.random.Generator,
) -> NDArray[np.bool_]:
    if label == "notumor":
        return np.zeros(x.shape, dtype=bool)
    if label == "pituitary":
        return np.asarray(np.hypot(x, y - 0.5 * tall) < smaller * random.uniform(0.09, 0.12))
    angle = random.uniform(0, 2 * np.pi)
    reach = 0.72 if label == "meningioma" else 0.42
    cx, cy = reach * wide * np.cos(angle), reach * tall * np.sin(angle)
    distance, turn = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    if label == "meningioma":
        return np.asarray(distance < smaller * random.uniform(0.12, 0.16))
    ragged = 1 + 0.2 * np.sin(5 * turn + random.uniform(0, 6))
    return np.asarray(distance < smaller * random.uniform(0.17, 0.22) * ragged)


def _shrunk(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take a rim of two pixels off a mask."""
    inner = mask.copy()
    for step in (1, 2):
        for axis in (0, 1):
            inner &= np.roll(mask, step, axis) & np.roll(mask, -step, axis)
    return inner
