"""Answers: the same for every way in, in order, and what they promise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import ModelError, TumorLensError, UnreadableImageError
from tumorlens.images.read import read_slices
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.sources.failure import Failure

Testing = dict[str, list[Path]]


def test_it_knows_the_drawn_classes(classifier: Classifier, testing: Testing) -> None:
    answers = [(label, classifier.classify(path)) for label in testing for path in testing[label]]
    right = sum(label == answer for label, answer in answers)
    assert right / len(answers) > 0.9


def test_every_way_in_gives_the_same_answer(classifier: Classifier, picture: Path) -> None:
    pixels = np.asarray(Image.open(picture))
    sources = [
        str(picture),
        picture,
        picture.read_bytes(),
        Image.open(picture),
        pixels,
        read_slices(picture)[0],
    ]
    answers = [classifier.predict(source) for source in sources]
    assert len({answer.logits for answer in answers}) == 1
    assert [answer.path for answer in answers] == [
        str(picture),
        str(picture),
        None,
        None,
        None,
        str(picture),
    ]


def test_an_answer_is_consistent_in_itself(classifier: Classifier, testing: Testing) -> None:
    for paths in testing.values():
        answer = classifier.predict(paths[0])
        assert tuple(answer.probabilities) == CLASSES == classifier.card.classes
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)
        assert answer.label == CLASSES[int(np.argmax(answer.logits))]
        assert answer.confidence == answer.probabilities[answer.label]
        assert answer.prediction_set[0] == answer.label
        gathered = sum(answer.probabilities[name] for name in answer.prediction_set)
        assert gathered >= classifier.card.set_level - 1e-9
        assert answer.model == "tiny-float@1"
        assert (answer.slice, answer.assessable, answer.reason) == (0, True, None)


def test_the_short_ways_agree_with_predict(classifier: Classifier, picture: Path) -> None:
    answer = classifier.predict(picture)
    assert classifier.classify(picture) == answer.label
    assert classifier.confidence(picture) == answer.confidence


def test_the_dictionary_is_the_contract(classifier: Classifier, picture: Path) -> None:
    answer = classifier.predict(picture)
    values = answer.to_dict()
    assert list(values) == [
        "path",
        "slice",
        "label",
        "confidence",
        "probabilities",
        "prediction_set",
        "assessable",
        "reason",
        "model",
    ]
    assert json.loads(json.dumps(values)) == values
    values["probabilities"].clear()  # a copy: the answer itself stays whole
    assert answer.probabilities


def test_temperature_divides_the_logits(tiny_bundle: Path, picture: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    cool = Classifier(Session(bundle)).predict(picture)
    card = dataclasses.replace(bundle.card, temperature=3.0)
    warm = Classifier(Session(dataclasses.replace(bundle, card=card))).predict(picture)
    assert warm.logits == cool.logits
    grown = np.exp(np.array(warm.logits, np.float64) / 3)
    assert list(warm.probabilities.values()) == pytest.approx(list(grown / grown.sum()))
    assert warm.confidence < cool.confidence


def test_a_batch_keeps_the_order_and_changes_nothing(
    classifier: Classifier, testing: Testing
) -> None:
    paths = [path for some in testing.values() for path in some[:5]][::-1]
    alone = [classifier.predict(path) for path in paths]
    for size in (1, 7, 64):
        together = list(classifier.predict_batch(paths, batch_size=size))
        assert [answer.path for answer in together] == list(map(str, paths))
        logits = np.array([answer.logits for answer in together])
        np.testing.assert_allclose(logits, [answer.logits for answer in alone], atol=1e-4)


def test_a_batch_takes_no_more_than_it_needs(classifier: Classifier, picture: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield picture

    answers = classifier.predict_batch(endless(), batch_size=3)
    for _ in range(4):
        next(answers)
    assert taken <= 6


def test_a_batch_of_nothing_is_nothing(classifier: Classifier) -> None:
    assert list(classifier.predict_batch([])) == []
    with pytest.raises(ValueError, match="`batch_size` must be a whole number from 1, got 0"):
        list(classifier.predict_batch([], batch_size=0))


def test_several_slices_want_a_batch(
    classifier: Classifier, testing: Testing, tmp_path: Path
) -> None:
    frames = [Image.open(testing[label][0]) for label in ("notumor", "pituitary")]
    path = tmp_path / "two.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(TumorLensError, match=r"two\.tif holds 2 slices; use predict_batch"):
        classifier.predict(path)
    with pytest.raises(TumorLensError, match="holds 2 slices"):
        classifier.explain(path)
    answers = list(classifier.predict_batch([path, testing["notumor"][1]]))
    assert [answer.slice for answer in answers] == [0, 1, 0]
    assert [answer.label for answer in answers] == ["notumor", "pituitary", "notumor"]
    assert classifier.predict(read_slices(path)[1]).slice == 1


def test_what_cannot_be_read_is_an_error(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"nothing\.png: no such file"):
        classifier.predict(tmp_path / "nothing.png")


def test_a_blank_picture_has_a_label_and_is_not_assessable(classifier: Classifier) -> None:
    answer = classifier.predict(np.full((128, 128), 77, np.uint8))
    assert answer.label in CLASSES
    assert not answer.assessable
    assert answer.reason == "the picture is blank"
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_one_classifier_serves_many_threads(classifier: Classifier, testing: Testing) -> None:
    paths = [path for some in testing.values() for path in some[:4]]
    one_by_one = [classifier.predict(path) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(classifier.predict, paths)) == one_by_one


def test_loading_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model 'nonsense'"):
        load("nonsense")
    with pytest.raises(ModelError, match=r"has no model\.json in it"):
        load(tmp_path)


def test_questions_that_cannot_be_answered_name_what_can(
    classifier: Classifier, picture: Path
) -> None:
    with pytest.raises(ValueError, match="no method 'magic'; there are gradcam"):
        classifier.explain(picture, method="magic")
    with pytest.raises(ValueError, match="no class 'flu'; there are glioma, meningioma"):
        classifier.explain(picture, target="flu")


def test_what_was_read_before_a_broken_file_is_answered(
    classifier: Classifier, tmp_path: Path
) -> None:
    good = read_slices(draw_phantom("glioma", 5).pixels)[0]
    answers = classifier.predict_batch([good, good, tmp_path / "missing.png", good])
    assert [next(answers).slice, next(answers).slice] == [0, 0]
    with pytest.raises(UnreadableImageError):
        next(answers)


@pytest.mark.parametrize("threads", [0, -1, 10**6, 1.5])
def test_a_senseless_number_of_threads_is_refused(tiny_bundle: Path, threads: int) -> None:
    with pytest.raises(ValueError, match="`threads` must be from 1 to 256"):
        load(tiny_bundle, threads=threads)


def test_one_path_is_no_batch(classifier: Classifier) -> None:
    with pytest.raises(TypeError, match="`sources` must be several sources"):
        list(classifier.predict_batch("scan.png"))


def test_a_broken_file_is_returned_or_skipped_where_that_is_asked(
    classifier: Classifier, picture: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.png"
    sources = [gone, picture, b"nothing", picture, gone]
    found = list(classifier.predict_batch(sources, on_error="return", batch_size=2))
    assert [isinstance(one, Failure) for one in found] == [True, False, True, False, True]
    assert [one.path for one in found] == [
        str(gone),
        str(picture),
        "<bytes>",
        str(picture),
        str(gone),
    ]
    assert isinstance(found[0], Failure)
    assert "no such file" in str(found[0].error)
    skipped = list(classifier.predict_batch(sources, on_error="skip", batch_size=2))
    assert skipped == [one for one in found if not isinstance(one, Failure)]
    with pytest.raises(UnreadableImageError):
        list(classifier.predict_batch(sources))
    with pytest.raises(ValueError, match="`on_error` must be"):
        list(classifier.predict_batch([], on_error="ignore"))  # type: ignore[call-overload]


def test_a_batch_tells_how_far_it_is(classifier: Classifier, picture: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def listen(stage: str, done: int, total: int, note: str = "") -> None:
        del note
        told.append((stage, done, total))

    sources = [picture, b"nothing", picture]
    list(classifier.predict_batch(sources, on_error="skip", progress=listen))
    assert told == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3)]
    told.clear()
    list(classifier.predict_batch((one for one in sources), on_error="skip", progress=listen))
    assert told[-1] == ("reading", 3, 0)
    with pytest.raises(TypeError, match="`sources` must be several sources"):
        list(classifier.predict_batch("scan.png", progress=listen))
