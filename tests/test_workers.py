"""A classifier goes to another process, and comes back the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest

from tumorlens.classifier import Classifier, load
from tumorlens.errors import ModelError


@pytest.fixture
def classifier(spot_bundle: Callable[..., Path]) -> Classifier:
    return load(spot_bundle(), threads=1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_answers_the_same(
    copied: Callable[[Classifier], Classifier], classifier: Classifier, picture: Path
) -> None:
    assert copied(classifier).predict(picture) == classifier.predict(picture)


def test_what_travels_is_small_and_found_from_any_folder(
    spot_bundle: Callable[..., Path],
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = spot_bundle()
    monkeypatch.chdir(bundle.parent)
    classifier = load(bundle.name, threads=1)
    sent = pickle.dumps(classifier)
    assert len(sent) < 20_000
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(sent).predict(picture) == classifier.predict(picture)


def test_another_network_at_its_place_is_refused(spot_bundle: Callable[..., Path]) -> None:
    bundle = spot_bundle()
    sent = pickle.dumps(load(bundle))
    (bundle / "model.onnx").write_bytes(b"another")
    with pytest.raises(ModelError, match="not the file its card describes"):
        pickle.loads(sent)


def test_workers_of_joblib_take_it(classifier: Classifier, picture: Path) -> None:
    told = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(classifier.classify)(picture) for _ in range(3)
    )
    assert told == [classifier.classify(picture)] * 3
