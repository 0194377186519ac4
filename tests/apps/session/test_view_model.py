"""The window's state and commands, without a window."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.apps.session import jobs
from tumorlens.apps.session.rows import State
from tumorlens.apps.session.state import Changes, Choice
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.classifier import Classifier, load

Wait = Callable[..., Changes]


def open_and_wait(model: ViewModel, wait: Wait, *paths: Path) -> None:
    model.open(map(str, paths))
    wait(lambda: len(model.rows) and model.progress is None)


def shown(model: ViewModel) -> bool:
    return model.explanation is not None and not model.view.busy


def test_the_answers_are_those_of_the_command_line(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    frames = [Image.open(path) for path in heads[:3]]
    frames[0].save(tmp_path / "three.tif", save_all=True, append_images=frames[1:])
    paths = [heads[0], broken, tmp_path / "three.tif", heads[1]]
    model.start()
    open_and_wait(model, wait, *paths)
    command = [sys.executable, "-m", "tumorlens", "predict", *map(str, paths), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wanted = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(wanted) == len(model.rows) == 6
    for row, answer in zip(model.rows, wanted, strict=True):
        if "error" in answer:
            assert row.state is State.UNREADABLE
            assert row.error == answer["error"]["message"]
        else:
            assert row.prediction is not None
            assert close(row.prediction.to_dict(), answer)


def close(ours: dict[str, object], theirs: dict[str, object]) -> bool:
    """Compare two answers; numbers to the fifth digit."""
    numbers = ("confidence", "probabilities")
    rest = [{k: v for k, v in one.items() if k not in numbers} for one in (ours, theirs)]
    return rest[0] == rest[1] and all(
        ours[key] == pytest.approx(theirs[key], abs=1e-5) for key in numbers
    )


def test_a_click_is_answered_before_the_batch_comes_to_it(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    model.open(map(str, heads))
    wait(lambda: len(model.rows) == 50)
    last = model.rows.numbers()[-1]
    model.select(last)
    wait(lambda: shown(model))
    assert model.rows[last].prediction is not None
    assert model.progress is not None
    wait(lambda: model.progress is None)
    assert all(row.state is State.ANSWERED for row in model.rows)
    assert model.message.text.startswith("50 slices classified")


def test_cancelled_at_twenty_and_taken_up_again(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    model.open(map(str, heads))
    wait(lambda: model.progress is not None and model.progress.done >= 20)
    model.cancel()
    assert model.progress is None
    answered = [row for row in model.rows if row.prediction]
    assert 20 <= len(answered) < 50
    assert model.message.text == f"stopped; {50 - len(answered)} files not classified"
    time.sleep(0.3)
    model.poll()
    assert len([row for row in model.rows if row.prediction]) == len(answered)
    model.resume()
    wait(lambda: model.stopped == 0 and model.progress is None)
    assert all(row.prediction for row in model.rows)


def test_time_left_is_told_once_it_can_be_judged(heads: list[Path]) -> None:
    now = [0.0]
    model = ViewModel(load, clock=lambda: now[0])
    model.start()
    model.open(map(str, heads[:10]))
    while model.progress is None or model.progress.done < 4:
        model.poll()
        if model.progress and not model.progress.done:
            assert model.progress.seconds_left is None
    done = model.progress.done
    now[0] = 8.0
    assert model.progress.seconds_left == pytest.approx(8.0 / done * (10 - done))
    assert model.close(60)


def test_a_slice_is_shown_before_the_model_is_there(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.open([str(heads[0])])
    wait(lambda: model.view.shown is not None)
    assert model.view.shown is not None
    assert model.view.shown.explanation is None
    assert model.rows[0].state is State.WAITING
    model.start()
    wait(lambda: shown(model) and model.progress is None)
    assert model.rows[0].state is State.ANSWERED


def test_method_target_and_layer_change_the_explanation(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    open_and_wait(model, wait, heads[0])
    wait(lambda: shown(model))
    assert model.explanation is not None
    label = model.explanation.prediction.label
    other = next(name for name in model.options.classes if name != label)
    model.view.choose(Choice(target=other))
    assert model.view.busy
    wait(lambda: shown(model))
    explanation = model.explanation
    assert explanation is not None
    assert explanation.target == other
    assert explanation.prediction.label == label
    wanted = load().explain(str(heads[0]), target=other)
    np.testing.assert_allclose(explanation.map, wanted.map, atol=1e-4)


def test_strength_computes_nothing_again(model: ViewModel, wait: Wait, heads: list[Path]) -> None:
    model.start()
    open_and_wait(model, wait, heads[0])
    wait(lambda: shown(model))
    before = model.view.shown
    assert before is not None
    assert before.explanation is not None
    for strength in (0.1, 0.9, -1, 2):
        model.view.set_strength(strength)
    assert model.view.strength == 1
    assert not model.view.busy
    assert model.view.shown is before
    # The window mixes the two pictures it has; the core draws the same.
    mixed = Image.blend(before.drawn.plain[0], before.drawn.full[0], 0.37)
    drawn = before.explanation.overlay(0.37)
    assert np.abs(np.int16(mixed) - np.int16(drawn)).max() <= 1


def test_only_the_last_of_many_wishes_is_done(
    wait: Wait, model: ViewModel, heads: list[Path]
) -> None:
    model.start()
    open_and_wait(model, wait, *heads[:20])
    for number in model.rows.numbers():
        model.select(number)
        model.poll()
    last = model.rows.numbers()[-1]
    wait(lambda: shown(model))
    assert model.view.shown is not None
    assert model.view.shown.picture.path == str(heads[19])
    assert model.selected == last


def test_slow_explanations_say_how_far_they_are_and_can_be_stopped(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    open_and_wait(model, wait, *heads[:2])
    wait(lambda: shown(model))
    before = model.view.shown
    model.view.choose(Choice("scorecam"))
    seen = wait(lambda: model.view.computing and model.view.computing.done)
    assert "computing" in seen.parts
    assert model.view.computing is not None
    assert model.view.computing.done < model.view.computing.total
    model.stop_explaining()
    assert model.message.text == "explanation stopped"
    assert model.view.choice == Choice()  # as what is still shown
    assert model.view.shown is before
    time.sleep(0.5)
    model.poll()
    assert model.view.computing is None
    assert not model.view.busy

    # Where nothing is shown yet, what takes no time is.
    model.view.choose(Choice("scorecam", target="glioma"))
    model.select(1)
    wait(lambda: model.view.computing)
    model.stop_explaining()
    wait(lambda: shown(model))
    assert model.explanation is not None
    assert (model.explanation.method, model.explanation.target) == ("gradcam", "glioma")


def test_what_cannot_be_explained_is_said_and_not_left_chosen(
    model: ViewModel, wait: Wait, heads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "nonsense")
    model.start()
    open_and_wait(model, wait, heads[0])
    wait(lambda: shown(model))
    model.view.choose(Choice(layer=model.options.layers[0]))
    wait(lambda: model.message.trouble)
    assert "needs more packages: pip install" in model.message.text
    assert model.view.choice == Choice()
    assert not model.view.busy


def test_a_newer_wish_replaces_a_slow_one_at_once(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    open_and_wait(model, wait, heads[0])
    model.view.choose(Choice("scorecam"))
    wait(lambda: model.view.computing)
    model.view.choose(Choice("gradcam++"))
    assert model.view.computing is None
    far: list[int] = []

    def followed() -> bool:
        if model.view.computing:
            far.append(model.view.computing.done)
        return shown(model)

    wait(followed)
    assert not far
    assert model.explanation is not None
    assert model.explanation.method == "gradcam++"


def test_colours_chosen_while_it_computes_are_those_shown(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    open_and_wait(model, wait, heads[0])
    wait(lambda: shown(model))
    model.view.choose(Choice("occlusion"))
    model.view.set_colormap("viridis")
    wait(lambda: shown(model))
    explanation = model.explanation
    assert explanation is not None
    wanted = explanation.overlay(1.0, "viridis").tobytes()
    wait(lambda: model.view.shown and model.view.shown.drawn.full[0].tobytes() == wanted)


def test_a_path_that_no_system_takes_is_a_row_like_any_other(model: ViewModel, wait: Wait) -> None:
    model.start()
    open_and_wait(model, wait, Path("x" * 5000), Path("nowhere") / "here.png")
    assert [row.state for row in model.rows] == [State.UNREADABLE] * 2
    assert model.settings.folder == str(Path.cwd())


def test_frames_are_listed_below_their_file(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    frames = [Image.open(path) for path in heads[:5]]
    frames[0].save(tmp_path / "five.tif", save_all=True, append_images=frames[1:])
    model.start()
    open_and_wait(model, wait, tmp_path / "five.tif", heads[7])
    names = [row.name for row in model.rows]
    assert names == [*(f"five.tif [{i}]" for i in range(5)), heads[7].name]
    fourth = next(row for row in model.rows if row.index == 3)
    model.select(fourth.id)
    wait(lambda: shown(model))
    assert model.view.shown is not None
    np.testing.assert_array_equal(model.view.shown.picture.pixels, np.asarray(frames[3]))


def test_nothing_is_listed_twice(model: ViewModel, wait: Wait, heads: list[Path]) -> None:
    model.start()
    open_and_wait(model, wait, heads[0], heads[1])
    model.open(map(str, heads[:3]))
    wait(lambda: len(model.rows) == 3)
    assert [row.path for row in model.rows] == [str(path) for path in heads[:3]]


def test_folders_are_listed_by_the_place_of_their_files(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        shutil.copy(heads[0], tmp_path / part / "1.png")
    model.start()
    open_and_wait(model, wait, tmp_path)
    assert [row.name for row in model.rows] == [
        str(Path("a", "1.png")),
        str(Path("b", "1.png")),
    ]
    assert model.settings.folder == str(tmp_path)


def test_a_blank_picture_is_not_assessable(model: ViewModel, wait: Wait, tmp_path: Path) -> None:
    Image.new("L", (100, 100), 30).save(tmp_path / "blank.png")
    model.start()
    open_and_wait(model, wait, tmp_path / "blank.png")
    (row,) = model.rows
    assert row.prediction is not None
    assert not row.prediction.assessable
    assert model.message.text == "1 slice classified, 1 of them not assessable"


def test_pasted_pictures_are_answered(model: ViewModel, wait: Wait, heads: list[Path]) -> None:
    model.start()
    model.paste(heads[0].read_bytes())
    model.paste(Image.open(heads[1]))
    wait(lambda: len(model.rows) == 2 and model.progress is None)
    for row, path in zip(model.rows, heads[:2], strict=True):
        assert row.prediction is not None
        assert row.prediction.logits == pytest.approx(load().predict(str(path)).logits, abs=1e-4)
    model.paste(b"nonsense")
    wait(lambda: model.message.trouble)
    assert model.message.text.startswith("the clipboard: ")


def test_everything_is_saved(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    model.start()
    open_and_wait(model, wait, heads[0], broken)
    wait(lambda: shown(model))
    model.view.set_strength(0.5)
    model.saver.save_overlay(str(tmp_path / "overlay.png"))
    model.saver.save_record(str(tmp_path / "records"))
    model.save_table(str(tmp_path / "list.csv"))
    wait(lambda: model.message.text == f"saved 2 rows: {tmp_path / 'list.csv'}")
    assert model.explanation is not None
    wanted = model.explanation.overlay(0.5)
    assert Image.open(tmp_path / "overlay.png").tobytes() == wanted.tobytes()
    record = tmp_path / "records" / heads[0].stem
    assert {p.name for p in record.iterdir()} == {"map.npy", "overlay.png", "manifest.json"}
    good, bad = csv.DictReader(io.StringIO((tmp_path / "list.csv").read_text()))
    answer = model.rows[0].prediction
    assert answer is not None
    assert (good["path"], good["label"], good["error"]) == (str(heads[0]), answer.label, "")
    assert float(good["p_glioma"]) == answer.probabilities["glioma"]
    assert (bad["path"], bad["label"]) == (str(broken), "")
    assert str(broken) in bad["error"]


def test_what_cannot_be_saved_is_a_sentence(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    model.saver.save_overlay(str(tmp_path / "x.png"))
    assert model.message.text.startswith("nothing to save yet")
    model.start()
    open_and_wait(model, wait, heads[0])
    wait(lambda: shown(model))
    model.saver.save_overlay(str(tmp_path / "x.jpg"))
    wait(lambda: model.message.trouble)
    assert "saved as PNG" in model.message.text
    (tmp_path / "file").write_text("")
    model.saver.save_record(str(tmp_path / "file"))
    wait(lambda: "cannot write" in model.message.text)
    assert model.message.trouble


def test_rows_are_removed_and_the_next_is_selected(
    model: ViewModel, wait: Wait, heads: list[Path]
) -> None:
    model.start()
    open_and_wait(model, wait, *heads[:4])
    model.select(1)
    model.remove([1, 2])
    assert model.selected == 3
    model.remove([3])
    assert model.selected == 0
    model.clear()
    assert not len(model.rows)
    assert model.selected is None
    assert model.view.shown is None
    open_and_wait(model, wait, heads[1])
    wait(lambda: shown(model))


def test_removed_while_they_are_classified(model: ViewModel, wait: Wait, heads: list[Path]) -> None:
    model.start()
    model.open(map(str, heads))
    wait(lambda: model.progress is not None and model.progress.done >= 2)
    model.remove(model.rows.numbers()[10:])
    wait(lambda: model.progress is None)
    assert len(model.rows) == 10
    model.open(map(str, heads[:12]))
    wait(lambda: len(model.rows) == 12 and model.progress is None)
    model.open(map(str, heads))
    wait(lambda: len(model.rows) == 50)
    model.clear()
    time.sleep(0.2)
    model.poll()
    assert not len(model.rows)


def test_a_model_that_is_not_there_is_a_sentence(heads: list[Path]) -> None:
    tries: list[str] = ["nonsense"]

    def loading() -> Classifier:
        return load(tries.pop() if tries else None)

    model = ViewModel(loading)
    model.start()
    model.open([str(heads[0])])
    end = time.monotonic() + 30
    while not (model.stopped and model.message.trouble) and time.monotonic() < end:
        model.poll()
    assert "there is no model 'nonsense'" in model.message.text
    model.resume()
    while not model.rows[0].prediction and time.monotonic() < end:
        model.poll()
    assert model.rows[0].prediction
    assert model.close(60)


def test_a_file_that_is_gone_is_said(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(heads[0], tmp_path / name)
    model.start()
    open_and_wait(model, wait, tmp_path)
    (tmp_path / "b.png").unlink()
    model.select(1)
    wait(lambda: model.rows[1].error)
    assert "no such file" in str(model.rows[1].error)
    assert not model.view.busy
    assert model.view.shown is None
    assert (model.rows[1].state, bool(model.rows[1].prediction)) == (State.ANSWERED, True)
    report = tmp_path / "case.html"
    model.saver.save_report(list(model.rows), str(report))
    wait(lambda: report.exists() and "saved" in model.message.text)
    assert "the report, 1 entry, 1 could not be read: " in model.message.text


def test_a_file_that_is_back_is_answered_as_if_it_had_never_gone(
    model: ViewModel, wait: Wait, heads: list[Path], tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(heads[0], tmp_path / name)
    model.start()
    open_and_wait(model, wait, tmp_path)
    (tmp_path / "b.png").unlink()
    model.select(1)
    wait(lambda: model.rows[1].error)
    old = model.rows[1].prediction
    shutil.copy(heads[0], tmp_path / "b.png")
    model.choose_model("efficientnet-lite0-evidence")
    wait(lambda: model.rows[1].prediction is not old and model.rows[1].prediction, 30)
    assert (model.rows[1].state, model.rows[1].error) == (State.ANSWERED, None)


def test_a_fault_ends_what_is_waited_for(
    model: ViewModel, wait: Wait, heads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.start()
    open_and_wait(model, wait, *heads[:2])
    wait(lambda: shown(model))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "explain", fail)
        model.select(1)
        with pytest.raises(ZeroDivisionError):
            wait(lambda: False)
    assert not model.view.busy
    model.view.choose(Choice("gradcam++"))
    wait(lambda: shown(model))


def test_faults_of_the_program_are_not_hidden() -> None:
    def loading() -> Classifier:
        raise ZeroDivisionError

    model = ViewModel(loading)
    model.start()

    def poll() -> None:
        while True:
            model.poll()

    with pytest.raises(ZeroDivisionError):
        poll()
    assert model.close(60)


def test_what_passes_is_not_said_for_ever() -> None:
    now = [0.0]
    model = ViewModel(load, clock=lambda: now[0])
    model.tell("saved", passing=True)
    model.poll()
    assert model.message.text == "saved"
    now[0] = 60.0
    assert "message" in model.poll().parts
    assert model.message.text == ""
    model.tell("stopped; 3 files not classified")
    now[0] = 600.0
    model.poll()
    assert model.message.text  # as long as it is so
    assert model.close(60)


def test_another_model_is_asked_everything_anew(heads: list[Path], tmp_path: Path) -> None:
    asked: list[str | None] = []

    def loading(name: str | None = None) -> Classifier:
        asked.append(name)
        return load(None if name == "another" else name)

    model = ViewModel(loading)
    frames = [Image.open(path) for path in heads[:3]]
    frames[0].save(tmp_path / "three.tif", save_all=True, append_images=frames[1:])
    (tmp_path / "broken.png").write_text("no picture")
    model.start()
    model.open([str(tmp_path), str(heads[4])])

    def until(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 120
        while not condition():
            model.poll()
            assert time.monotonic() < end
            time.sleep(0.002)

    def answers() -> list[object]:
        return [row.prediction for row in model.rows]

    until(lambda: len(model.rows) == 5 and model.progress is None)
    model.select(model.rows.numbers()[-1])
    until(lambda: shown(model))
    first, explanation = answers(), model.explanation
    assert sum(answer is not None for answer in first) == 4
    model.view.choose(Choice("gradcam++"))
    until(lambda: shown(model) and model.explanation is not explanation)

    model.choose_model("nowhere")  # and all stays as it was
    until(lambda: model.message.trouble)
    assert "there is no model 'nowhere'" in model.message.text
    assert answers() == first
    assert model.view.choice == Choice("gradcam++")

    model.choose_model("another")
    until(lambda: asked[-1] == "another" and answers() != first)
    until(lambda: model.progress is None and shown(model))
    assert all(a is not b for a, b in zip(answers(), first, strict=True) if a or b)
    assert [row.state for row in model.rows].count(State.ANSWERED) == 4
    assert len(model.rows) == 5
    assert model.view.choice == Choice()
    assert model.close(60)
