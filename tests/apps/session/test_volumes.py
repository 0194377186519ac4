"""Volumes in the list: one row each, answered slice by slice, looked at in any plane."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicoms import PATIENT, two_stacks, write_series
from tumorlens.apps.session.rows import to_csv
from tumorlens.apps.session.state import Changes, Choice
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.apps.session.words import answer_text
from tumorlens.models.store import DEFAULT_MODEL

Wait = Callable[..., Changes]


def volume(model: ViewModel, name: str) -> int:
    return next(row.id for row in model.rows if row.name.startswith(name))


def test_a_volume_is_one_row_with_the_answer_of_the_command_line(
    model: ViewModel, wait: Wait, scans: Path
) -> None:
    model.start()
    model.open([str(scans)])
    wait(lambda: len(model.rows) == 3 and model.progress is None)
    names = [row.name for row in model.rows]
    assert names == ["brain.nii.gz", "slice.png", "series"]
    command = [sys.executable, "-m", "tumorlens", "predict", str(scans), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = [one["volume"] for one in told if "volume" in one]
    found = [row.stack.summary for row in model.rows if row.stack and row.stack.summary]
    assert [one.to_dict()["volume"]["look_first"] for one in found] == [
        one["look_first"] for one in wanted
    ]
    assert [one.label for one in found] == [one["label"] for one in wanted]
    assert "glioma" in answer_text(next(iter(model.rows)))
    lines = to_csv(model.rows, model.options.classes).splitlines()
    assert len(lines) == 1 + 10 + 6 + 1
    assert PATIENT.split("^")[0] not in "".join(lines + names)
    assert model.message.text.startswith("17 slices classified")


def test_slices_and_planes_are_walked_through(model: ViewModel, wait: Wait, scans: Path) -> None:
    model.start()
    model.open([str(scans / "brain.nii.gz"), str(scans / "slice.png")])
    wait(lambda: len(model.rows) == 2 and model.progress is None and model.explanation)
    stack = model.volumes.stack
    assert stack is not None
    assert (stack.plane, len(stack.cut), stack.index) == ("axial", 10, 5)
    model.volumes.step(99)
    wait(lambda: model.explanation and model.explanation.picture.index == 9)
    assert model.row is not None
    assert model.row.prediction is stack.cut.answers[9]
    assert stack.position(9) - stack.position(8) == pytest.approx(4.0)
    model.volumes.look_first()
    assert stack.summary is not None
    assert stack.index == stack.summary.look_first[0]
    summary = stack.summary
    model.volumes.turn("coronal")
    wait(lambda: stack.plane == "coronal" and stack.cut.answers and model.explanation)
    assert stack.summary is summary  # the list keeps the answer of its own plane
    model.volumes.turn("sagittal")
    wait(lambda: stack.plane == "sagittal" and 0 < len(stack.cut.answers) < len(stack.cut))
    model.select(volume(model, "slice"))  # leaving ends it
    seen = len(stack.cuts["sagittal"].answers)
    wait(lambda: model.explanation)
    assert len(stack.cuts["sagittal"].answers) <= seen + 8 < len(stack.cuts["sagittal"])
    model.volumes.step(1)  # no volume, nothing to walk through
    model.volumes.look_first()


def test_a_slice_that_cannot_be_read_leaves_the_others(
    model: ViewModel, wait: Wait, tmp_path: Path
) -> None:
    paths = write_series(tmp_path / "torn", np.full((4, 40, 40), 9, np.int16))
    model.open([str(tmp_path / "torn")])
    wait(lambda: model.view.shown)
    stack = model.volumes.stack
    assert stack is not None
    paths[0].write_bytes(b"gone")
    model.volumes.go_to(0)
    wait(lambda: model.row and model.row.error)
    assert model.view.shown is None
    model.volumes.step(1)
    wait(lambda: model.view.shown and not model.row.error)
    assert len(model.rows) == 1
    model.start()
    wait(lambda: model.progress is None and "classified" in model.message.text)
    said = "3 slices classified, 3 of them not assessable, 1 slice of volumes could not be read"
    assert model.message.text == said


def test_a_volume_is_stopped_taken_up_again_answered_anew_and_removed(
    model: ViewModel, wait: Wait, scans: Path
) -> None:
    model.start()
    model.open([str(scans / "brain.nii.gz")])
    wait(lambda: model.volumes.stack and model.volumes.stack.cut.looked_at)
    stack = model.volumes.stack
    assert stack is not None
    assert model.row is not None
    model.cancel()
    assert answer_text(model.row) == "not classified"
    model.resume()
    wait(lambda: model.progress is None)
    first = stack.summary
    assert first is not None
    model.choose_model(DEFAULT_MODEL)
    wait(lambda: stack.summary is None)
    wait(lambda: model.progress is None and model.explanation)
    assert stack.summary is not first
    assert model.row.answer is stack.summary
    model.open([str(scans / "series")])
    wait(lambda: len(model.rows) == 2)
    model.clear()
    wait(lambda: model.progress is None)
    assert model.volumes.stack is None
    assert not list(model.rows)


def test_a_slow_second_method_says_how_far_it_is_and_is_stopped(
    model: ViewModel, wait: Wait, scans: Path
) -> None:
    model.start()
    model.open([str(scans / "slice.png")])
    wait(lambda: model.explanation and model.progress is None)
    model.view.compare("scorecam")
    wait(lambda: model.view.computing and model.view.computing.done)
    assert not model.view.busy
    model.stop_explaining()
    assert model.view.second is None
    assert model.view.computing is None
    model.view.compare("gradcam++")
    wait(lambda: model.view.shown and model.view.shown.second)
    model.view.choose(Choice("gradcam++"))  # the same is not asked for twice
    wait(lambda: model.explanation and model.explanation.method == "gradcam++")
    assert model.view.shown is not None
    assert model.view.shown.second is None


@pytest.mark.parametrize("packed", [False, True])
def test_the_volumes_of_one_file_are_a_row_each(
    packed: bool, model: ViewModel, wait: Wait, tmp_path: Path
) -> None:
    values = np.random.default_rng(1).integers(0, 900, (7, 32, 32)).astype(np.int16)
    path, file = tmp_path / "two", two_stacks(values, 3)
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("two", file)
    else:
        path.write_bytes(file)
    model.start()
    model.open([str(path)])
    wait(lambda: len(model.rows) == 2 and model.progress is None)
    name = "two/two" if packed else "two"
    assert [row.name for row in model.rows] == [name, f"{name} (2)"]
    stacks = [row.stack for row in model.rows if row.stack]
    assert [(one.own, len(one.cut.answers)) for one in stacks] == [("axial", 3), ("sagittal", 4)]
    assert all(row.answer is not None for row in model.rows)
    model.open([str(path)])  # they are listed
    first, second = model.rows.numbers()
    model.remove([first], [first, second])
    model.open([str(path)])  # the one that is not
    wait(lambda: len(model.rows) == 2 and model.progress is None)
    assert sorted(row.part for row in model.rows) == [0, 1]
    assert second in model.rows
