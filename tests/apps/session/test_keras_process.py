"""Inner layers in a process of their own: the same maps, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tumorlens.apps.session.keras_process import KerasProcess
from tumorlens.classifier import Classifier, load
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import TumorLensError
from tumorlens.explain.explainer import Question, explain_slices
from tumorlens.explain.explanation import Explanation
from tumorlens.images.read import read_slices
from tumorlens.progress import Progress, silent


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load()


@pytest.fixture
def process(classifier: Classifier) -> Iterator[KerasProcess]:
    made = KerasProcess(classifier.place.folder, classifier.card)
    yield made
    made.close()


def ask(
    process: KerasProcess, classifier: Classifier, question: Question, progress: Progress = silent
) -> Explanation:
    picture = read_slices(draw_phantom("glioma", 3, 128).pixels)[0]
    network = process.reporting_to(progress)
    return next(explain_slices(classifier, [picture], question, network=network))


def children() -> set[int]:
    return {
        child.pid
        for child in psutil.Process().children()
        if any("spawn_main" in word for word in child.cmdline())
    }


def test_the_maps_are_those_of_the_core_and_what_is_given_up_does_no_harm(
    process: KerasProcess, classifier: Classifier, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras")
    capfd.readouterr()  # which is what Keras says in this process
    assert not children()  # not before it is needed
    stages: list[str] = []

    def impatient(stage: str, *_: object) -> None:
        stages.append(stage)
        if stage == "looking inside":
            raise TimeoutError

    early, late = classifier.layers[3], classifier.layers[-2]
    with pytest.raises(TimeoutError):  # it goes on with this one, and nobody waits
        ask(process, classifier, Question("gradcam", early), impatient)
    assert set(stages) == {"loading Keras, once", "looking inside"}
    (child,) = children()
    found = ask(process, classifier, Question("gradcam++", late, "glioma"))
    assert capfd.readouterr() == ("", "")  # what TensorFlow says helps nobody
    wanted = next(
        explain_slices(classifier, [found.picture], Question("gradcam++", late, "glioma"))
    )
    np.testing.assert_allclose(found.map, wanted.map, atol=1e-4)
    assert found.manifest() == wanted.manifest()
    assert children() == {child}  # kept warm
    process.close()
    assert not children()
    with pytest.raises(TumorLensError, match="closing"):
        ask(process, classifier, Question("gradcam", late))


def test_what_is_missing_is_a_sentence(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = KerasProcess(tmp_path, classifier.card)
    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    for _ in range(2):  # and so it is when it is tried again
        with pytest.raises(TumorLensError, match="needs more packages: pip install"):
            ask(elsewhere, classifier, Question("gradcam", classifier.layers[-2]))
    assert not children()
    elsewhere.close()


def test_a_child_that_was_killed_is_told_and_replaced(
    process: KerasProcess, classifier: Classifier
) -> None:
    question, killed = Question("gradcam", classifier.layers[-2]), set()

    def kill(*_: object) -> None:
        if not killed:
            killed.update(children())
            os.kill(next(iter(killed)), signal.SIGKILL)

    with pytest.raises(TumorLensError, match="has ended"):
        ask(process, classifier, question, kill)
    with pytest.raises(TimeoutError):
        ask(process, classifier, question, give_up)
    assert len(children() - killed) == 1


def give_up(*_: object) -> None:
    raise TimeoutError


PARENT = """
import os, signal, sys
from tumorlens.apps.session.keras_process import KerasProcess
from tumorlens.classifier import load
signal.signal(signal.SIGINT, lambda *_: print("told", flush=True))
classifier = load()
process = KerasProcess(classifier.place.folder, classifier.card)
process._running()
print(process._child._process.pid, flush=True)
while True:
    sys.stdin.read(1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_is_for_the_window_and_it_ends_with_a_window_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as parent:  # fmt: skip
        try:
            assert parent.stdout is not None
            child = Path("/proc", parent.stdout.readline().strip())
            for _ in range(2):
                os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
                assert parent.stdout.readline() == "told\n"
                time.sleep(1)  # amid the import of Keras
            assert goes_on(child)
        finally:
            parent.kill()
        assert parent.communicate()[1] == ""  # and nothing was said of it
    end = time.monotonic() + 30
    while goes_on(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not goes_on(child)


def goes_on(process: Path) -> bool:
    try:  # what waits for a parent that is gone has ended
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
