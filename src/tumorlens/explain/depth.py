"""One slice explained through the depth of the network: a contact sheet and its record."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tumorlens.data.folder import class_name
from tumorlens.explain.batch import Saved, Work, name_question, save_records
from tumorlens.explain.explainer import Explainable, Question, explain_layers
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.overlay import contact_sheet
from tumorlens.files import new_folder
from tumorlens.images.slice import Slice
from tumorlens.prediction import Prediction
from tumorlens.progress import Progress, silent
from tumorlens.sources.failure import Failure

__all__ = ["Depth", "draw_depth", "explain_depth"]


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """One slice explained at several layers.

    Parameters
    ----------
    layers
        The explanations, early to late; at least one.
    """

    layers: Sequence[Explanation]

    @property
    def prediction(self) -> Prediction:
        """The answer for the slice."""
        return self.layers[0].prediction

    def manifest(self) -> dict[str, Any]:
        """Describe the explanations as their record does."""
        manifest = self.layers[0].manifest()
        for name in ("layer", "cells"):
            del manifest[name]
        manifest["flags"] = {"assessable": self.prediction.assessable}
        manifest["layers"] = {
            one.layer: {"cells": list(one.cells.shape), "flat": one.flat} for one in self.layers
        }
        return manifest

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write a record of them, whole or not at all.

        ``layers.png`` (as `draw_depth` draws it), ``maps.npz`` (each layer's map at its own
        resolution, not scaled) and, last, ``manifest.json``.

        Raises
        ------
        OutputError
            When the folder is not empty or cannot be written.
        """
        sheet, maps = io.BytesIO(), io.BytesIO()
        draw_depth(self.layers).save(sheet, "PNG")
        arrays: dict[str, Any] = {one.layer: one.cells for one in self.layers}
        np.savez(maps, **arrays)  # and no option: NumPy 2.0 would save it as an array too
        with new_folder(folder) as work:
            (work / "maps.npz").write_bytes(maps.getvalue())
            (work / "layers.png").write_bytes(sheet.getvalue())
            (work / "manifest.json").write_text(json.dumps(self.manifest(), indent=2) + "\n")
        return Path(folder)


def explain_depth(
    classifier: Explainable,
    paths: Iterable[Work],
    out: str | os.PathLike[str],
    question: Question,
    layers: Sequence[str] | None = None,
    *,
    progress: Progress = silent,
    **options: Any,
) -> Iterator[Saved | Failure]:
    """Explain every slice of every file at several layers and save a record of each.

    Parameters
    ----------
    classifier
        The model.
    paths, out
        As `tumorlens.explain.batch.save_records` takes them; so are the options.
    question
        What to explain; its layer does not count.
    layers
        Names of layers; all of them when ``None``.
    progress
        Called after each layer of a slice.
    """

    def explain(pictures: Sequence[Slice]) -> Iterator[Depth]:
        for picture in pictures:
            yield Depth(explain_layers(classifier, picture, question, layers, progress=progress))

    return save_records(explain, paths, out, f"{name_question(question)}-layers", **options)


def draw_depth(explained: Sequence[Explanation]) -> Image.Image:
    """Draw one slice's overlays at several layers on one sheet.

    A slice that is not assessable is shown without its maps.
    """
    first = explained[0]
    answer = first.prediction
    title = f"{class_name(answer.label)} {answer.confidence:.1%}"
    if not answer.assessable:
        title = f"not assessable: {answer.reason}"
    tiles = [
        (
            one.overlay(0.6 if answer.assessable else 0),
            one.layer,
            f"{one.cells.shape[0]} x {one.cells.shape[1]}{', flat' if one.flat else ''}",
        )
        for one in explained
    ]
    what = first.describe(with_layer=False)
    footer = f"{what}, {len(tiles)} layers early to late, each scaled by itself. Research use only."
    if not answer.assessable:
        footer = f"No maps are shown. {answer.model}. Research use only."
    return contact_sheet(tiles, title, footer)
