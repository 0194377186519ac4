"""Questions: any method, any class, one class against another, one slice or many."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import UnreadableImageError
from tumorlens.explain.cam import METHODS
from tumorlens.explain.explainer import Question, explain_layers
from tumorlens.images.read import read_slices


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_a_slice(classifier: Classifier, picture: Path, method: str) -> None:
    explained = classifier.explain(picture, method=method, target="pituitary")
    assert explained.method == method
    assert explained.layer == ("input" if method == "occlusion" else "relu_4")
    assert explained.map.shape == (128, 128)
    assert explained.map.max() == 1
    assert explained.map.min() >= 0
    assert METHODS[method].title in explained.describe()


def test_occlusion_finds_the_lesion(classifier: Classifier) -> None:
    near = 0
    for seed in range(100_000, 100_006):
        phantom = draw_phantom("pituitary", seed)
        explained = classifier.explain(phantom.pixels, method="occlusion", target="pituitary")
        y, x = np.unravel_index(explained.map.argmax(), explained.map.shape)
        rows, columns = np.nonzero(phantom.lesion)
        near += np.hypot(rows - y, columns - x).min() < 128 / 8
    assert near >= 5


def test_one_class_against_another_is_the_difference_of_their_scores(
    spot_bundle: Callable[..., Path],
) -> None:
    classifier = load(spot_bundle((1.0, 3.0, -2.0)))
    pixels = draw_phantom("glioma", 1).pixels
    alone = classifier.explain(pixels, target="a", method="hirescam")
    against = classifier.explain(pixels, target="a", versus="c", method="hirescam")
    np.testing.assert_allclose(against.cells, 3 * alone.cells, rtol=1e-5)
    assert classifier.explain(pixels, target="a", versus="b").flat  # nothing speaks for a there
    assert not classifier.explain(pixels, target="b", versus="a").flat
    assert "for a rather than c" in against.describe()
    assert against.manifest()["versus"] == "c"


def test_nothing_is_held_against_itself(classifier: Classifier, picture: Path) -> None:
    answer = classifier.predict(picture)
    assert answer.label == "pituitary"
    explained = classifier.explain(picture, versus="pituitary")
    second = sorted(answer.probabilities, key=lambda name: -answer.probabilities[name])[1]
    assert explained.target == second
    assert classifier.explain(picture, versus=second).target == "pituitary"


def test_eigen_cam_is_called_classless(classifier: Classifier, picture: Path) -> None:
    one, other = (
        classifier.explain(picture, method="eigencam", target=name) for name in CLASSES[:2]
    )
    np.testing.assert_array_equal(one.map, other.map)
    assert "Eigen-CAM of no class, layer" in one.describe()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "magic"}, "no method 'magic'; there are gradcam, gradcam\\+\\+, hirescam"),
        ({"target": "flu"}, "no class 'flu'; there are glioma"),
        ({"versus": "flu"}, "no class 'flu'; there are glioma"),
        ({"target": "glioma", "versus": "glioma"}, "`target` and `versus` are both 'glioma'"),
        ({"layer": "conv_1"}, "no layer 'conv_1' to explain; there are relu_1, relu_2"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    classifier: Classifier, picture: Path, wrong: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier.explain(picture, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        list(classifier.explain_batch([picture], **wrong))  # type: ignore[arg-type]


def test_of_many_layers_those_that_may_have_been_meant_are_named() -> None:
    with pytest.raises(ValueError, match="no layer 'block_5_expand' to explain") as refused:
        load().explain(draw_phantom("glioma", 1).pixels, layer="block_5_expand")
    assert "there are 54, among them block_5_expand_relu" in str(refused.value)
    assert len(str(refused.value)) < 250


def test_occlusion_knows_no_layers(classifier: Classifier, picture: Path) -> None:
    with pytest.raises(ValueError, match="knows no layers"):
        explain_layers(classifier, read_slices(picture)[0], Question("occlusion"))
    assert classifier.explain(picture, method="occlusion", layer="relu_2").layer == "input"


@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
def test_many_are_explained_as_one_by_one(
    classifier: Classifier, testing: dict[str, list[Path]], method: str
) -> None:
    paths = [paths[i] for i in range(2) for paths in testing.values()]
    many = list(classifier.explain_batch(paths, method=method, target="glioma", batch_size=3))
    assert [one.prediction.path for one in many] == [str(path) for path in paths]
    for path, one in zip(paths, many, strict=True):
        alone = classifier.explain(path, method=method, target="glioma")
        np.testing.assert_allclose(one.map, alone.map, atol=1e-5)
        assert one.prediction.label == alone.prediction.label


def test_what_was_read_before_a_broken_picture_is_explained(
    classifier: Classifier, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no")
    found = classifier.explain_batch([picture, picture, tmp_path / "broken.png", picture])
    assert len(list(itertools.islice(found, 2))) == 2
    with pytest.raises(UnreadableImageError):
        next(found)


def test_memory_stays_flat_however_many(classifier: Classifier) -> None:
    """The caller lets each go; nothing else may hold them."""
    pixels = draw_phantom("glioma", 1, size=256).pixels

    def peak(count: int) -> int:
        tracemalloc.start()
        for one in classifier.explain_batch((pixels for _ in range(count)), batch_size=4):
            assert one.map.shape == (256, 256)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(4)
    assert peak(40) < 1.2 * peak(8)
