"""One explained slice: the map, what it explains, and its record on disk."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.data.folder import class_name
from tumorlens.explain.cam import METHODS
from tumorlens.explain.overlay import blend, panel, without_air
from tumorlens.files import new_folder
from tumorlens.images.display import display_grey
from tumorlens.images.slice import Slice
from tumorlens.models.card import FeatureLayer
from tumorlens.prediction import Prediction
from tumorlens.versions import versions_of

__all__ = ["Explanation"]


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
        How, where in the network and for which class. The layer of occlusion is
        ``"input"``.
    versus
        The class that the target is held against, or ``None``.
    flat
        True when no place speaks for the class; the map is zero then.
    peak
        What 1 on the map stands for; `evidence` has the unit. 0 where it is flat.
    prediction
        The answer for the slice.
    picture
        The slice.
    grid
        Where the map's cells lie in the network's input.
    engine
        What computed it: ``"onnxruntime"``, or Keras on a backend, such as
        ``"keras-tensorflow"``.
    float_label
        What the float network answers, where the map is of that and not of the network
        that gave `prediction`. The two may differ, for that one is often int8.
    """

    map: NDArray[np.float32]
    cells: NDArray[np.float32]
    method: str
    layer: str
    target: str
    versus: str | None
    flat: bool
    peak: float
    prediction: Prediction
    picture: Slice
    grid: FeatureLayer
    engine: str
    float_label: str | None = None

    @property
    def evidence(self) -> NDArray[np.float32]:
        """The map before it is scaled to its peak, so that slices compare; float32.

        Of Grad-CAM in logits: what each place says for the class above the bias, cut to zero
        below it. The logit is their mean and the bias, or where the head takes a smooth
        maximum, their smooth maximum. Of other methods in a unit of their own.
        """
        return self.map * np.float32(self.peak)

    def shown_map(self) -> NDArray[np.float32]:
        """Give the map as people are shown it, ``(height, width)``, from 0 to 1.

        It is `map`; of a difference of two classes without the air around the head. There the
        two have no evidence, and where the one has still less than the other their difference
        means nothing.
        """
        return self.map if self.versus is None else without_air(self.map, self.picture)

    def overlay(self, alpha: float = 0.6, colormap: str = "inferno") -> Image.Image:
        """Lay the map, as `shown_map` gives it, over the slice, in the slice's own size.

        Parameters
        ----------
        alpha
            Density of the colour at the peak, from 0 to 1.
        colormap
            A key of `tumorlens.explain.colormaps.COLORMAPS`.

        Raises
        ------
        ValueError
            When `alpha` is out of range or there is no such colour map.
        """
        return blend(display_grey(self.picture), self.shown_map(), alpha, colormap)

    def figure(self, alpha: float = 0.6, colormap: str = "inferno") -> Image.Image:
        """Show the slice and its overlay side by side, with colour bar and caption.

        A slice that is not assessable is shown without its map, and the caption says so.
        Where there is no map to see there is no colour bar. The parameters are those of
        `overlay`.
        """
        answer = self.prediction
        title = f"{class_name(answer.label)} {answer.confidence:.1%}"
        asked = self.target != answer.label or self.versus is not None
        if asked and METHODS[self.method].of_class:
            target = class_name(self.target)
            title += f"; evidence for {target} ({answer.probabilities[self.target]:.1%})"
            title += "" if self.versus is None else f" rather than {class_name(self.versus)}"
        if not answer.assessable:  # a map would lend weight to an answer that has none
            title = f"not assessable: {answer.reason}"
            footer = f"No map is shown. {answer.model}. Research use only."
            return panel(self.picture, self.overlay(0), title, footer, None)
        footer = f"{self.describe()}. Research use only."
        bar = None if self.flat else colormap
        return panel(self.picture, self.overlay(alpha, colormap), title, footer, bar)

    def _repr_png_(self) -> bytes:
        """Show the explanation in a notebook, as `figure` draws it."""
        content = io.BytesIO()
        self.figure().save(content, "PNG", optimize=True)
        return content.getvalue()

    def describe(self, *, with_layer: bool = True) -> str:
        """Say in a line what the map shows: method, class, layer and model."""
        method = METHODS[self.method]
        about = f"for {class_name(self.target)}" if method.of_class else "of no class"
        if self.versus is not None and method.of_class:
            about += f" rather than {class_name(self.versus)}"
        layer = f", layer {self.layer}" if with_layer else ""
        text = f"{method.title} {about}{layer}, {self.prediction.model}"
        if self.float_label not in (None, self.prediction.label):
            text += f" (its float network says {class_name(str(self.float_label))})"
        return text + (" (flat: no place speaks for it)" if self.flat and with_layer else "")

    def why_flat(self) -> str:
        """Say why the map is empty; nothing when it is not."""
        if not self.flat:
            return ""
        if not METHODS[self.method].of_class:
            return "nothing in the picture stands out"
        if self.target != "notumor":
            return f"no place in the picture speaks for {class_name(self.target)}"
        if self.prediction.label == self.target:
            return (
                "the answer is no tumour, which has no evidence of its own; "
                "ask for another class to see what speaks for it"
            )
        return "no place in the picture speaks against a tumour"

    def manifest(self) -> dict[str, Any]:
        """Describe the explanation as its record does."""
        packages = ["tumorlens", "numpy", "onnxruntime", "pillow"]
        if self.engine.startswith("keras"):
            packages.append("keras")
        return {
            **self.prediction.to_dict(),
            "method": self.method,
            "layer": self.layer,
            "target": self.target,
            "versus": self.versus,
            "engine": self.engine,
            "float_label": self.float_label,
            "plane": None if self.picture.geometry is None else self.picture.geometry.plane,
            "peak": self.peak,
            "flags": {"flat": self.flat, "assessable": self.prediction.assessable},
            "shape": list(self.map.shape),
            "cells": list(self.cells.shape),
            "versions": versions_of(packages),
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
