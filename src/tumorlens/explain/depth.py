"""One slice explained through the depth of the network: a contact sheet and its record."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.explain.batch import free_folder, name_slices
from tumorlens.explain.explainer import Explainable, Question, explain_layers
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.overlay import contact_sheet
from tumorlens.files import new_folder
from tumorlens.sources.failure import Failure

__all__ = ["draw_depth", "explain_depth", "save_depth"]


def explain_depth(
    classifier: Explainable,
    paths: Iterable[str],
    out: str | os.PathLike[str],
    question: Question,
    layers: Sequence[str] | None = None,
) -> Iterator[tuple[list[Explanation], Path] | Failure]:
    """Explain every slice of every file at several layers and save a record of each.

    Parameters
    ----------
    classifier
        The model.
    paths
        Files.
    out
        Folder for the records, each named after its file.
    question
        What to explain; its layer does not count.
    layers
        Names of layers; all of them when ``None``.

    Yields
    ------
    tuple or Failure
        The explanations, early to late, and their folder; or what was wrong with a file.
    """
    for path in paths:
        found = name_slices(path)
        if isinstance(found, Failure):
            yield found
            continue
        for picture, name in found:
            explained = explain_layers(classifier, picture, question, layers)
            yield explained, save_depth(explained, free_folder(Path(out), name))


def draw_depth(explained: Sequence[Explanation]) -> Image.Image:
    """Draw one slice's overlays at several layers on one sheet.

    A slice that is not assessable is shown without its maps.
    """
    first = explained[0]
    answer = first.prediction
    title = f"{answer.label} {answer.confidence:.1%}"
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


def save_depth(explained: Sequence[Explanation], folder: str | os.PathLike[str]) -> Path:
    """Write a record of one slice at several layers, whole or not at all.

    ``layers.png`` (as `draw_depth` draws it), ``maps.npz`` (each layer's map at its own
    resolution, not scaled) and, last, ``manifest.json``.

    Raises
    ------
    OutputError
        When the folder is not empty or cannot be written.
    """
    sheet, maps = io.BytesIO(), io.BytesIO()
    draw_depth(explained).save(sheet, "PNG")
    np.savez(maps, **{one.layer: one.cells for one in explained}, allow_pickle=False)
    manifest = explained[0].manifest()
    for name in ("layer", "cells"):
        del manifest[name]
    manifest["flags"] = {"assessable": explained[0].prediction.assessable}
    manifest["layers"] = {
        one.layer: {"cells": list(one.cells.shape), "flat": one.flat} for one in explained
    }
    with new_folder(folder) as work:
        (work / "maps.npz").write_bytes(maps.getvalue())
        (work / "layers.png").write_bytes(sheet.getvalue())
        (work / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return Path(folder)
