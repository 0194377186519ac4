"""Many files: a folder each, and nothing stops the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier
from tumorlens.data.phantom import draw_phantom
from tumorlens.explain.batch import explain_files, folder_name, free_folder
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
    made = ["scan", None, "stack-slice0", "stack-slice1", "scan-2", None]
    assert [None if isinstance(r, Failure) else r[1].name for r in results] == made
    assert {p.name for p in out.iterdir()} == set(filter(None, made))
    for result in results:
        if isinstance(result, Failure):
            assert result.path in (files[1], files[4])
            continue
        explanation, folder = result
        assert isinstance(explanation, Explanation)
        assert explanation.target == "glioma"
        np.testing.assert_array_equal(np.load(folder / "map.npy"), explanation.map)
    paths = [r.path if isinstance(r, Failure) else r[0].prediction.path for r in results]
    assert paths == [files[0], files[1], files[2], files[2], files[3], files[4]]


def test_explaining_again_makes_new_folders(
    classifier: Classifier, files: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        list(explain_files(classifier, files[:1], out, Question()))
    assert {p.name for p in out.iterdir()} == {"scan", "scan-2"}


def test_a_long_name_is_no_obstacle(classifier: Classifier, tmp_path: Path) -> None:
    path = tmp_path / ("n" * 246 + ".png")
    Image.fromarray(draw_phantom("glioma", 1).pixels).save(path)
    out = tmp_path / "out"
    (result,) = explain_files(classifier, [str(path)], out, Question())
    assert not isinstance(result, Failure)
    assert (result[1] / "manifest.json").is_file()


def test_a_free_folder_is_free(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    assert free_folder(tmp_path, "a") == tmp_path / "a-2"
    (tmp_path / "a-2").write_text("a file counts too")
    assert free_folder(tmp_path, "a") == tmp_path / "a-3"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/scan.png", "scan"),
        ("a/new\nline.png", "new_line"),
        ("a/...png", "slice"),
        ("a/..png", "slice"),
        ("a/\u202egnp.png", "_gnp"),
        ("a/" + "n" * 250, "n" * 100),
    ],
)
def test_a_folder_is_named_after_its_file_as_far_as_that_goes(path: str, name: str) -> None:
    assert folder_name(path) == name
