"""The contact sheet of a network's depth, and its record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier
from tumorlens.data.phantom import draw_phantom
from tumorlens.explain.batch import Saved
from tumorlens.explain.depth import Depth, draw_depth, explain_depth
from tumorlens.explain.explainer import Question, explain_layers
from tumorlens.explain.explanation import Explanation
from tumorlens.images.read import read_slices
from tumorlens.sources.failure import Failure


@pytest.fixture(scope="module")
def explained(classifier: Classifier) -> list[Explanation]:
    picture = read_slices(draw_phantom("meningioma", 100_002).pixels)[0]
    return explain_layers(classifier, picture, Question("layercam"))


def test_the_record_holds_every_layer(explained: list[Explanation], tmp_path: Path) -> None:
    folder = Depth(explained).save(tmp_path / "record")
    assert {p.name for p in folder.iterdir()} == {"layers.png", "maps.npz", "manifest.json"}
    with np.load(folder / "maps.npz", allow_pickle=False) as maps:
        assert list(maps) == ["relu_1", "relu_2", "relu_3", "relu_4"]
        for one in explained:
            np.testing.assert_array_equal(maps[one.layer], one.cells)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["method"] == "layercam"
    assert manifest["layers"]["relu_2"] == {"cells": [16, 16], "flat": False}
    assert manifest["engine"].startswith("keras-")
    again = Depth(explained).save(tmp_path / "again")
    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_the_sheet_shows_every_layer(explained: list[Explanation]) -> None:
    one, four = (np.asarray(draw_depth(some)) for some in (explained[:1], explained))
    assert four.shape[1] >= 4 * 176
    pixels = four.astype(int)
    coloured = (pixels.max(axis=-1) - pixels.min(axis=-1)) > 30
    for i in range(4):  # each in its own column
        assert coloured[:, 12 + 188 * i : 12 + 188 * i + 176].any()
    assert one.shape[0] == four.shape[0]
    assert draw_depth(explained * 3).size[1] > draw_depth(explained).size[1]  # a second row


def test_what_cannot_be_assessed_is_shown_without_maps(classifier: Classifier) -> None:
    blank = read_slices(np.full((80, 90), 50, np.uint8))[0]
    sheet = np.asarray(draw_depth(explain_layers(classifier, blank, Question()))).astype(int)
    assert (sheet.max(axis=-1) - sheet.min(axis=-1)).max() < 12


def test_files_give_a_record_each(classifier: Classifier, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no")
    found = list(
        explain_depth(
            classifier,
            [str(picture), str(tmp_path / "broken.png")],
            tmp_path / "out",
            Question(),
            ["relu_1", "relu_4"],
        )
    )
    assert isinstance(found[0], Saved)
    assert isinstance(found[0].record, Depth)
    assert [one.layer for one in found[0].record.layers] == ["relu_1", "relu_4"]
    folder = found[0].folder
    assert folder == tmp_path / "out" / f"{picture.stem}-gradcam-layers"
    assert isinstance(found[1], Failure)
    with Image.open(folder / "layers.png") as sheet:
        sheet.load()
