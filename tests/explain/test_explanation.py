"""One explained slice and its record on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import OutputError
from tumorlens.explain.explanation import Explanation
from tumorlens.images.head import find_head
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices


@pytest.fixture(scope="module")
def explanation(classifier: Classifier, picture: Path) -> Explanation:
    return classifier.explain(picture)


def test_it_explains_the_answer_in_the_slices_own_pixels(
    explanation: Explanation, classifier: Classifier, picture: Path
) -> None:
    assert explanation.prediction == classifier.predict(picture)
    assert explanation.target == explanation.prediction.label == "pituitary"
    assert (explanation.method, explanation.layer) == ("gradcam", "relu_4")
    assert explanation.map.shape == (128, 128)
    assert explanation.map.dtype == np.float32
    assert explanation.map.min() >= 0
    assert explanation.map.max() == 1
    assert explanation.cells.shape == (4, 4)
    assert not explanation.flat


def test_it_is_zero_where_the_network_did_not_look(classifier: Classifier) -> None:
    wide = np.pad(draw_phantom("pituitary", 100_000).pixels, ((0, 0), (70, 90)))
    explained = classifier.explain(wide)
    left, top, right, bottom = map(int, prepare(read_slices(wide)[0], 64).box)
    outside = np.ones(wide.shape, dtype=bool)
    outside[max(top, 0) : bottom, max(left, 0) : right] = False
    assert outside.sum() > wide.size / 3
    assert not explained.map[outside].any()
    assert explained.map[~outside].max() == 1


def test_the_evidence_for_a_lesion_is_on_the_lesion(classifier: Classifier) -> None:
    """The network has four by four cells: the peak may be a cell away, not further."""
    near = 0
    for seed in range(100_000, 100_012):
        phantom = draw_phantom("pituitary", seed)
        explained = classifier.explain(phantom.pixels, target="pituitary")
        y, x = np.unravel_index(explained.map.argmax(), explained.map.shape)
        rows, columns = np.nonzero(phantom.lesion)
        near += np.hypot(rows - y, columns - x).min() < 128 / 4
    assert near >= 10


def test_another_class_may_be_asked_for(classifier: Classifier, picture: Path) -> None:
    maps = {name: classifier.explain(picture, target=name) for name in CLASSES}
    assert all(explained.target == name for name, explained in maps.items())
    assert len({explained.map.tobytes() for explained in maps.values()}) > 1
    assert {explained.prediction.label for explained in maps.values()} == {"pituitary"}


def test_the_record_holds_what_is_promised(explanation: Explanation, tmp_path: Path) -> None:
    folder = explanation.save(tmp_path / "deep" / "record")
    assert folder == tmp_path / "deep" / "record"
    assert {p.name for p in folder.iterdir()} == {"map.npy", "overlay.png", "manifest.json"}
    saved = np.load(folder / "map.npy", allow_pickle=False)
    assert saved.dtype == np.float32
    np.testing.assert_array_equal(saved, explanation.map)
    with Image.open(folder / "overlay.png") as shown:
        assert shown.format == "PNG"
        shown.load()
        assert shown.width > 2 * 384
    manifest = json.loads((folder / "manifest.json").read_text())
    answer = explanation.prediction.to_dict()
    assert {key: manifest[key] for key in answer} == answer
    assert set(manifest) == {
        *answer,
        "method",
        "layer",
        "target",
        "versus",
        "engine",
        "float_label",
        "plane",
        "peak",
        "flags",
        "shape",
        "cells",
        "versions",
    }
    assert manifest["flags"] == {"flat": False, "assessable": True}
    assert manifest["shape"] == [128, 128]
    assert manifest["cells"] == [4, 4]
    assert manifest["versions"]["tumorlens"] == version("tumorlens")
    assert set(manifest["versions"]) == {"tumorlens", "numpy", "onnxruntime", "pillow"}


def test_the_manifest_is_written_last(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text
    seen: list[set[str]] = []

    def watch(path: Path, *arguments: str, **options: str) -> int:
        seen.append({p.name for p in path.parent.iterdir()})
        assert path.name == "manifest.json"
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", watch)
    explanation.save(tmp_path / "record")
    assert seen == [{"map.npy", "overlay.png"}]


def test_a_record_is_never_written_over(explanation: Explanation, tmp_path: Path) -> None:
    folder = explanation.save(tmp_path / "record")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(OutputError, match="exists and is not empty"):
        explanation.save(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_record_is_whole_or_not_there(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left on device"):
        explanation.save(tmp_path / "record")
    assert list(tmp_path.iterdir()) == []


def test_the_same_picture_gives_the_same_bytes(
    classifier: Classifier, picture: Path, tmp_path: Path
) -> None:
    records = []
    for name in ("one", "two"):
        folder = classifier.explain(picture).save(tmp_path / name)
        records.append({p.name: p.read_bytes() for p in folder.iterdir()})
    assert records[0] == records[1]


def is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image.convert("RGB"))
    return bool((pixels == pixels[..., :1]).all())


def is_nearly_grey(image: Image.Image) -> bool:
    """Is there no colour but the bluish tinge of the sheet?"""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    return bool((pixels.max(axis=-1) - pixels.min(axis=-1)).max() < 12)


@pytest.mark.parametrize("target", ["a", "b"])
def test_a_flat_map_is_zero_said_so_and_never_coloured(
    spot_bundle: Callable[..., Path], target: str, tmp_path: Path
) -> None:
    # Brightness speaks for neither class: not at all for a, against b.
    classifier = load(spot_bundle((0.0, -1.0)))
    pixels = draw_phantom("glioma", 1).pixels
    explained = classifier.explain(pixels, target=target)
    assert explained.flat
    assert explained.map.shape == pixels.shape
    assert not explained.map.any()
    np.testing.assert_array_equal(np.asarray(explained.overlay())[..., 0], pixels)
    assert is_grey(explained.overlay())
    manifest = json.loads((explained.save(tmp_path / "record") / "manifest.json").read_text())
    assert manifest["flags"]["flat"] is True
    assert not np.load(tmp_path / "record" / "map.npy").any()


def test_a_blank_picture_is_explained_and_marked(classifier: Classifier, tmp_path: Path) -> None:
    explained = classifier.explain(np.full((90, 70), 40, np.uint8))
    assert explained.map.shape == (90, 70)
    assert np.isfinite(explained.map).all()
    manifest = json.loads((explained.save(tmp_path / "record") / "manifest.json").read_text())
    assert manifest["flags"]["assessable"] is False
    assert manifest["reason"] == "the picture is blank"
    with Image.open(tmp_path / "record" / "overlay.png") as figure:
        assert is_nearly_grey(figure)


def test_no_colour_bar_where_there_is_no_map(
    classifier: Classifier, spot_bundle: Callable[..., Path]
) -> None:
    pixels = draw_phantom("glioma", 1).pixels
    flat = load(spot_bundle((0.0, -1.0))).explain(pixels, target="a")
    assert is_nearly_grey(flat.figure())
    assert not is_nearly_grey(classifier.explain(pixels).figure())


def test_a_figure_without_a_map_claims_none(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "tumorlens.explain.explanation.panel", lambda *arguments: said.extend(arguments[2:4])
    )
    classifier.explain(np.full((90, 70), 40, np.uint8)).figure()
    assert said == [
        "not assessable: the picture is blank",
        "No map is shown. tiny-float@1. Research use only.",
    ]


def test_the_overlay_is_colourful_at_the_peak_only(explanation: Explanation) -> None:
    shown = np.asarray(explanation.overlay(1.0)).astype(int)
    spread = shown.max(axis=-1) - shown.min(axis=-1)
    assert not spread[explanation.map == 0].any()
    assert (spread[explanation.map > 0.5] > 30).all()


def test_a_difference_of_two_classes_leaves_the_air_as_it_is(explanation: Explanation) -> None:
    everywhere = replace(explanation, map=np.ones_like(explanation.map), versus="glioma")
    head = find_head(explanation.picture.pixels)
    assert 0.1 < head.mean() < 0.9
    tinted = np.ptp(np.asarray(everywhere.overlay(), np.int16), axis=2) > 0
    assert not tinted[~head].any()
    assert tinted[head].mean() > 0.9
    assert everywhere.map.all()  # the record has it as it is
    alone = replace(everywhere, versus=None)  # what one class rests on is never left out
    assert np.ptp(np.asarray(alone.overlay(), np.int16), axis=2)[~head].any()


def test_figures_say_what_they_show(
    explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "tumorlens.explain.explanation.panel", lambda *arguments: said.extend(arguments[2:4])
    )
    explanation.figure()
    title, footer = said
    assert title.startswith("pituitary ")
    assert title.endswith("%")
    assert footer.startswith("Grad-CAM for pituitary, layer relu_4, tiny-float@1")
    assert footer.endswith("Research use only.")


def test_a_figure_says_what_the_target_is_held_against(
    classifier: Classifier, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "tumorlens.explain.explanation.panel", lambda *arguments: said.extend(arguments[2:4])
    )
    classifier.explain(picture, target="glioma", versus="notumor").figure()
    assert "; evidence for glioma (" in said[0]
    assert said[0].endswith(" rather than no tumour")
    assert "for glioma rather than no tumour, layer relu_4" in said[1]


def test_every_text_for_people_names_a_class_in_words(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "tumorlens.explain.explanation.panel", lambda *arguments: said.extend(arguments[2:4])
    )
    healthy = classifier.explain(draw_phantom("notumor", 100_000).pixels, target="notumor")
    healthy.figure()
    assert said[0].startswith("no tumour ")
    assert "for no tumour, layer" in healthy.describe()
    assert "notumor" not in " ".join(said)
