"""One explained slice: the map, what it explains, and its record on disk."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.explain.cam import METHODS, scale_map
from tumorlens.explain.overlay import blend, display_grey, panel
from tumorlens.explain.place import place_map
from tumorlens.files import new_folder
from tumorlens.images.prepare import prepare
from tumorlens.images.slice import Slice

if TYPE_CHECKING:
    from tumorlens.classify import Classifier, Prediction

__all__ = ["Explanation", "explain_slice"]

_TITLES = {"gradcam": "Grad-CAM"}


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Where in a slice the evidence for a class lies.

    A map is no outline of a tumour: it shows what the network's answer rests on,
    as coarsely as the layer is.

    Parameters
    ----------
    map
        float32, ``(height, width)`` of the slice, from 0 to 1; 1 is most important.
    cells
        The same at the layer's own resolution, not scaled, float32.
    method, layer, target
        How, where in the network and for which class.
    flat
        True when no place speaks for the class; the map is zero then.
    prediction
        The answer for the slice.
    picture
        The slice.
    """

    map: NDArray[np.float32]
    cells: NDArray[np.float32]
    method: str
    layer: str
    target: str
    flat: bool
    prediction: Prediction
    picture: Slice

    def overlay(self, alpha: float = 0.6) -> Image.Image:
        """Lay the map over the slice, in the slice's own size.

        Parameters
        ----------
        alpha
            Density of the colour at the peak, from 0 to 1.
        """
        return blend(display_grey(self.picture), self.map, alpha)

    def figure(self, alpha: float = 0.6) -> Image.Image:
        """Show the slice and its overlay side by side, with colour bar and caption.

        A slice that is not assessable is shown without its map.
        """
        answer = self.prediction
        title = f"{answer.label} {answer.confidence:.1%}"
        if self.target != answer.label:
            title += f"; evidence for {self.target} ({answer.probabilities[self.target]:.1%})"
        overlay = self.overlay(alpha)
        if not answer.assessable:  # a map would lend weight to an answer that has none
            title, overlay = f"not assessable: {answer.reason}", self.overlay(0)
        what = f"{_TITLES[self.method]} for {self.target}, layer {self.layer}, {answer.model}"
        if self.flat:
            what += " (flat: no place speaks for it)"
        footer = f"{what}. Research use only."
        return panel(self.picture, overlay, title, footer)

    def manifest(self) -> dict[str, Any]:
        """Describe the explanation as its record does."""
        return {
            **self.prediction.to_dict(),
            "method": self.method,
            "layer": self.layer,
            "target": self.target,
            "flags": {"flat": self.flat, "assessable": self.prediction.assessable},
            "shape": list(self.map.shape),
            "cells": list(self.cells.shape),
            "versions": {
                name: version(name) for name in ("tumorlens", "numpy", "onnxruntime", "pillow")
            },
        }

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the record into a new folder, whole or not at all.

        ``map.npy``, ``overlay.png`` (as `figure` draws it) and, last, ``manifest.json``.

        Parameters
        ----------
        folder
            Must not exist, or be empty.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        OutputError
            When the folder is not empty or cannot be written.
        """
        picture, array = io.BytesIO(), io.BytesIO()
        np.save(array, self.map, allow_pickle=False)
        self.figure().save(picture, "PNG")
        with new_folder(folder) as work:
            (work / "map.npy").write_bytes(array.getvalue())
            (work / "overlay.png").write_bytes(picture.getvalue())
            (work / "manifest.json").write_text(json.dumps(self.manifest(), indent=2) + "\n")
        return Path(folder)


def explain_slice(
    classifier: Classifier, picture: Slice, *, method: str = "gradcam", target: str | None = None
) -> Explanation:
    """Explain one slice at the last layer, in closed form.

    Parameters
    ----------
    classifier
        The model.
    picture
        The slice.
    method
        A key of `tumorlens.explain.cam.METHODS`.
    target
        A class of the model, or ``None`` for the most probable one.

    Raises
    ------
    ValueError
        When there is no such method or class.
    """
    card = classifier.card
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; there is {', '.join(sorted(METHODS))}")
    if target is not None and target not in card.classes:
        raise ValueError(f"there is no class {target!r}; there are {', '.join(card.classes)}")
    prepared = prepare(picture, card.input.size)
    prediction, features = classifier.features(picture, prepared)
    wanted = target or prediction.label
    weights = np.array([name == wanted for name in card.classes], dtype=np.float32)
    cells = METHODS[method](features, classifier.head.gradient(features, weights))
    scaled, flat = scale_map(cells)
    placed = place_map(scaled, card.features, prepared, picture.height, picture.width)
    # Between the cells' centres the peak may be missed; 1 still means the most important.
    heat, flat_here = scale_map(placed)
    return Explanation(
        map=heat,
        cells=cells,
        method=method,
        layer=card.features.name,
        target=wanted,
        flat=flat or flat_here,
        prediction=prediction,
        picture=picture,
    )
