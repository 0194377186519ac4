"""Many files: a folder each, and nothing stops the rest."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier
from tumorlens.data.phantom import draw_phantom
from tumorlens.explain.batch import Saved, explain_files, find_records, folder_name
from tumorlens.explain.explainer import Question
from tumorlens.explain.explanation import Explanation
from tumorlens.sources.failure import Failure


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A picture, a broken one, a stack of two, and one of the same name elsewhere."""
    first, second = (Image.fromarray(draw_phantom("glioma", seed).pixels) for seed in (1, 2))
    (tmp_path / "in" / "other").mkdir(parents=True)
    first.save(tmp_path / "in" / "scan.png")
    (tmp_path / "in" / "broken.png").write_text("no picture")
    first.save(tmp_path / "in" / "stack.tif", save_all=True, append_images=[second])
    second.save(tmp_path / "in" / "other" / "scan.bmp")
    names = ("scan.png", "broken.png", "stack.tif", "other/scan.bmp", "missing.png")
    return [str(tmp_path / "in" / name) for name in names]


def test_each_slice_has_its_folder_in_order(
    classifier: Classifier, files: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    results = list(explain_files(classifier, files, out, Question(target="glioma")))
    names = ["scan", None, "stack-slice0", "stack-slice1", "scan", None]
    made = [name and f"{name}-gradcam-glioma" for name in names]
    made[4] = "scan-gradcam-glioma-2"
    assert [None if isinstance(r, Failure) else r.folder.name for r in results] == made
    assert {p.name for p in out.iterdir()} == set(filter(None, made))
    for result in results:
        if isinstance(result, Failure):
            assert result.path in (files[1], files[4])
            continue
        explanation = result.record
        assert isinstance(explanation, Explanation)
        assert explanation.target == "glioma"
        np.testing.assert_array_equal(np.load(result.folder / "map.npy"), explanation.map)
    paths = [r.path if isinstance(r, Failure) else r.prediction.path for r in results]
    assert paths == [files[0], files[1], files[2], files[2], files[3], files[4]]


def test_what_was_there_before_is_kept_and_what_others_add_is_not_touched(
    classifier: Classifier, files: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = find_records(out)
    for kept in (False, False):  # as two processes at once
        (result,) = explain_files(classifier, files[:1], out, Question(), before=before)
        assert isinstance(result, Saved)
        assert result.kept is kept
    (result,) = explain_files(classifier, files[:1], out, Question(), before=find_records(out))
    assert isinstance(result, Saved)
    assert result.kept
    assert {p.name for p in out.iterdir()} == {"scan-gradcam", "scan-gradcam-2"}


def test_a_record_that_lacks_a_file_is_made_again(
    classifier: Classifier, files: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    list(explain_files(classifier, files[:1], out, Question()))
    (out / "scan-gradcam" / "map.npy").unlink()
    (result,) = explain_files(classifier, files[:1], out, Question(), before=find_records(out))
    assert isinstance(result, Saved)
    assert not result.kept
    assert {p.name for p in out.iterdir()} == {"scan-gradcam"}
    assert (out / "scan-gradcam" / "map.npy").is_file()


@pytest.mark.parametrize("letter", ["n", "ß", "脑", "🧠"])
def test_a_long_name_is_no_obstacle(
    classifier: Classifier, files: list[str], tmp_path: Path, letter: str
) -> None:
    path = tmp_path / (letter * (250 // len(letter.encode())) + ".tif")
    shutil.copy(files[2], path)
    question = Question("gradcam++", target="meningioma", versus="pituitary")
    results = list(explain_files(classifier, [str(path)], tmp_path / "out", question))
    assert len(results) == 2
    for result in results:
        assert isinstance(result, Saved)
        assert (result.folder / "manifest.json").is_file()
        assert result.folder.name.startswith(letter * 10)
        assert result.folder.name.endswith("-gradcam++-meningioma-versus-pituitary")


def test_a_name_that_is_no_text_is_no_obstacle(
    classifier: Classifier, files: list[str], tmp_path: Path
) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9b\xe9.png")
    shutil.copy(files[0], path)
    (result,) = explain_files(classifier, [path], tmp_path / "out", Question())
    assert isinstance(result, Saved)
    assert result.folder.name == "b_b_-gradcam"
    assert json.loads((result.folder / "manifest.json").read_text())["path"] == path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/scan.png", "scan"),
        ("a/new\nline.png", "new_line"),
        ("a/...png", "slice"),
        ("a/..png", "slice"),
        ("a/\u202egnp.png", "_gnp"),
        ("a/" + "n" * 250, "n" * 120),
        ("a/" + "脑" * 83, "脑" * 40),
        ("a/CON.png", "_CON"),
        ("a/nul.x.png", "_nul.x"),
        ("a/lpt1 .png", "_lpt1"),
        ("a/console.png", "console"),
        ("a/b\udce9.png", "b_"),
    ],
)
def test_a_folder_is_named_after_its_file_as_far_as_that_goes(path: str, name: str) -> None:
    assert folder_name(path) == name
