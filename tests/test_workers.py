"""A classifier goes to another process, and comes back the same."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
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


FORK = """
import os, sys, threading, tumorlens
bundle, picture, how = sys.argv[1:]
classifier = tumorlens.load(bundle, threads=4)
asked, reading = classifier.predict(picture), how == "beside threads"
def read():
    while reading:
        classifier.predict(picture)
threads = [threading.Thread(target=read) for _ in range(3 * reading)]
for thread in threads:
    thread.start()
for child in range(8):
    pid = os.fork()
    if not pid:
        if how != "unused":
            assert classifier.predict(picture) == asked
        sys.exit(7)  # in order, with all that Python takes down
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if ended != 7:
        print("child", child, "ended with", ended)
        break
reading = False
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("how", ["unused", "used", "beside threads"])
def test_a_forked_child_answers_and_ends_in_order(
    how: str, spot_bundle: Callable[..., Path], picture: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(spot_bundle()), str(picture), how],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == ""


KERAS_FORK = """
import os, sys, types
keras = sys.modules["keras"] = types.ModuleType("keras")  # it takes long to import
keras.config = types.SimpleNamespace(
    image_data_format=lambda: "channels_last", floatx=lambda: "float32"
)
from tumorlens.errors import RunError
from tumorlens.networks.keras_backend import require_keras
require_keras("the parent")
pid = os.fork()
if not pid:
    try:
        require_keras("explaining an inner layer")
    except RunError as error:
        print(error)
    sys.exit()
os.waitpid(pid, 0)
require_keras("the parent")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_keras_that_its_parent_uses_is_refused_in_a_forked_child() -> None:
    """TensorFlow would wait there for threads of its parent without end."""
    done = subprocess.run(
        [sys.executable, "-c", KERAS_FORK], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'start this one by multiprocessing.get_context("spawn")' in done.stdout
