"""A volume in the window: one window for all of it, with real keys and a real mouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from screen import Hands, middle, pump, ttk

from dicoms import SECRETS
from tumorlens.apps.desktop.commands import list_commands
from tumorlens.apps.desktop.screen import make_root
from tumorlens.apps.desktop.window import Window
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.classifier import load
from tumorlens.models.store import bundled_models


@pytest.fixture(scope="module")
def window(display: str, scans: Path) -> Iterator[Window]:
    """A window with a NIfTI file, a picture and a DICOM series, all answered."""
    root = make_root(display)
    window = Window(root, ViewModel(load), 1.0, list_commands)
    faults: list[object] = []
    root.report_callback_exception = lambda *fault: faults.append(fault)
    root.update()
    window.model.start()
    window.tick()
    pump(root, root.winfo_viewable)
    root.focus_force()
    window.list.tree.focus_set()
    window.model.open([str(scans)])
    pump(root, lambda: len(window.model.rows) == 3 and window.model.progress is None)
    yield window
    window.close()
    assert window.model.close(60)
    assert not faults


@pytest.fixture
def hands(display: str) -> Hands:
    return Hands(display)


def go(window: Window, name: str) -> None:
    """Select a row, and wait until it stands with its map."""
    row = next(row.id for row in window.model.rows if row.name.startswith(name))
    window.do(window.model.select, row)
    settle(window)


def settle(window: Window) -> None:
    pump(window.root, lambda: window.model.explanation and not window.model.view.busy)
    window.root.update()


def test_wheel_line_and_keys_go_through_the_slices(window: Window, hands: Hands) -> None:
    go(window, "brain")
    stack, bar = window.model.volumes.stack, window.slices
    assert stack is not None
    assert bar.winfo_ismapped()
    window.do(window.model.volumes.go_to, 0)
    zoom = window.picture.percent
    hands.click(*middle(window.picture), button=5)
    pump(window.root, lambda: stack.index == 1)
    assert window.picture.percent == zoom
    hands.do("keydown", "ctrl", "click", 4, "keyup", "ctrl")
    pump(window.root, lambda: window.picture.percent > zoom)
    assert stack.index == 1
    hands.key("f", "period")
    pump(window.root, lambda: stack.index == 2 and window.picture.sight is None)
    hands.key("n")
    summary = stack.cut.summary
    assert summary is not None
    pump(window.root, lambda: stack.index == summary.look_first[0])
    left, y = bar.line.winfo_rootx(), middle(bar.line)[1]
    hands.drag((left + 3, y), (left + bar.line.winfo_width() - 3, y))
    pump(window.root, lambda: stack.index == 9)
    settle(window)
    assert window.picture.shown is not None
    assert window.picture.shown.picture.index == 9
    assert bar.where.cget("text").startswith("slice 10 of 10 (9 in files)\nz ")
    assert "mm (RAS)" in bar.where.cget("text")


def test_the_line_shows_answers_and_where_to_look_first(window: Window) -> None:
    go(window, "brain")
    line, stack = window.slices.line, window.model.volumes.stack
    assert stack is not None
    summary = stack.summary
    assert summary is not None
    strokes = [line.bbox(item) for item in line.find_withtag("answer")]
    assert len(strokes) == 10
    high = {i for i, box in enumerate(strokes) if box[3] - box[1] > line.winfo_height() / 3}
    assert high >= {3, 4, 5, 6}
    assert len(line.find_withtag("first")) == len(summary.look_first)
    assert len(line.find_withtag("run")) == 1
    assert window.answer.volume.cget("text").startswith("Volume: glioma")
    assert "slices" in window.answer.agreement.cget("text")


def test_a_plane_is_chosen_and_the_bar_goes_with_the_volume(window: Window, hands: Hands) -> None:
    go(window, "series")
    stack = window.model.volumes.stack
    assert stack is not None
    hands.key("x")
    pump(window.root, lambda: stack.plane == "coronal" and stack.cut.answers)
    assert window.slices.plane.get() == "coronal"
    assert window.model.volumes.busy
    hands.key("Escape")
    pump(window.root, lambda: not window.model.volumes.busy)
    assert stack.cut.summary is None
    hands.key("ctrl+d")  # and it stays so in another look
    pump(window.root, lambda: window.slices.plane.get() == "coronal")
    go(window, "slice.png")
    assert not window.slices.winfo_ismapped()
    told = [window.root.title(), *(str(window.list.tree.item(i)) for i in window.list.numbers())]
    assert not [secret for secret in SECRETS if secret in "".join(told)]


def test_the_right_button_and_sliders_change_the_greys(
    window: Window, hands: Hands, tmp_path: Path
) -> None:
    go(window, "brain")
    view, picture = window.model.view, window.picture
    low, high = view.greys
    plain = view.shown.drawn.plain[0]
    x, y = middle(picture)
    hands.drag((x, y), (x + 60, y - 40), button=3)
    pump(window.root, lambda: view.look.greys and window.picture.shown.drawn.look == view.look)
    assert view.greys[1] - view.greys[0] > high - low  # wider
    assert sum(view.greys) < low + high  # and brighter
    assert view.shown.drawn.plain[0].tobytes() != plain.tobytes()
    window.model.saver.save_overlay(str(tmp_path / "seen.png"))
    pump(window.root, (tmp_path / "seen.png").exists)
    hands.key("g")
    pump(window.root, window.contrast.winfo_ismapped)
    hands.click(*middle(window.contrast.reset))
    pump(window.root, lambda: view.shown.drawn.plain[0].tobytes() == plain.tobytes())
    assert view.greys == (low, high)
    slider = window.contrast.level
    hands.click(slider.winfo_rootx() + slider.winfo_width() - 4, middle(slider)[1])
    pump(window.root, lambda: view.greys != (low, high))
    hands.click(x, y, 3)
    hands.do("click", "--repeat", 2, "--delay", 60, 3)
    pump(window.root, lambda: view.greys == (low, high))
    hands.key("k", "g")
    pump(window.root, lambda: view.greys[1] - view.greys[0] < high - low)
    go(window, "series")  # whose values are others
    assert view.look.greys is None
    window.do(window.model.volumes.go_to, 1)
    settle(window)


def test_a_volume_has_room_in_the_smallest_window(window: Window, hands: Hands) -> None:
    go(window, "brain")
    window.root.geometry("1024x580")
    pump(window.root, lambda: window.root.winfo_width() == 1024)
    hands.key("g")
    pump(window.root, window.contrast.winfo_ismapped)
    window.root.update()
    line = window.answer.bars.winfo_rooty() + window.answer.bars.winfo_height()
    assert line <= window.explain.winfo_rooty()
    for control in (window.slices.line, window.contrast.level):
        assert control.winfo_width() > 80
    right = window.picture.winfo_rootx() + window.picture.winfo_width()
    for control in (window.slices.where, window.contrast.values, window.zoom_bar.zoom):
        assert control.winfo_width() >= control.winfo_reqwidth()
        assert control.winfo_rootx() + control.winfo_width() <= right
    hands.key("g")
    window.root.geometry("1280x740")
    pump(window.root, lambda: window.root.winfo_width() == 1280)
    assert window.answer.agreement.winfo_ismapped()


def test_two_methods_stand_side_by_side(window: Window) -> None:
    go(window, "brain")
    box = window.explain.second
    choose(box, box["values"][2])
    pump(window.root, lambda: window.model.view.shown.second)
    assert window.picture.beside
    pump(window.root, lambda: captions(window)[0].startswith(f"{box.get()} for"))
    assert captions(window)[1].startswith("Grad-CAM for")
    window.do(window.model.volumes.step, 1)  # and so they do on the next slice
    settle(window)
    pump(window.root, lambda: window.model.view.shown.second)
    assert window.model.view.shown.second.explanation.picture.index == window.model.row.index
    window.do(window.change_contrast, -0.2, 0)
    look = window.model.view.look
    pump(window.root, lambda: window.picture.shown.second.drawn.look == look)
    choose(box, box["values"][0])
    pump(window.root, lambda: captions(window)[0] == "Original")
    window.toggle_beside()


def test_the_model_that_answers_is_marked_among_those_to_choose(window: Window) -> None:
    titles = {one.title for one in window.commands if one.menu == "Model"}
    assert {"✓ efficientnet-lite0-evidence", "Model in a folder …"} < titles
    assert set(bundled_models()) - titles == {"efficientnet-lite0-evidence"}


def captions(window: Window) -> list[str]:
    picture = window.picture
    texts = [item for item in picture.find_all() if picture.type(item) == "text"]
    return [picture.itemcget(item, "text") for item in texts]


def test_the_report_of_what_is_selected_is_written(
    window: Window, hands: Hands, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    go(window, "series")
    window.list.tree.focus_set()
    path = tmp_path / "report.html"
    acts = (("key", "Home", "shift+End"), ("type", "--delay", "1", str(path)), ("key", "Return"))
    typing = hands.in_dialog("Write the report", *acts)
    hands.key("ctrl+a", "ctrl+r")
    pump(window.root, path.exists)
    typing.join(10)
    pump(window.root, lambda: "3 entries" in window.status.message.cget("text"))
    page = path.read_text()
    assert "brain.nii.gz" in page
    assert "series" in page
    assert not [secret for secret in SECRETS if secret in page]
    window.model.saver.save_report([window.model.row], str(tmp_path / "report.doc"))
    pump(window.root, window.strip.winfo_ismapped)
    assert "html" in window.strip_text.cget("text")
    window.do(window.model.tell, "")


def test_the_list_is_filtered_by_answer_and_sorted_by_what_is_assessable(
    window: Window, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no picture")
    Image.new("L", (120, 100), 90).save(tmp_path / "blank.png")
    window.model.open([str(tmp_path / "broken.png"), str(tmp_path / "blank.png")])
    pump(window.root, lambda: len(window.model.rows) == 5 and window.model.progress is None)
    window.root.update()
    files = window.list

    def names() -> list[str]:
        return [window.model.rows[number].name for number in files.numbers()]

    choose(files.kind, "glioma")
    assert names() == ["brain.nii.gz", "series"]
    choose(files.kind, "no tumour")
    assert names() == ["slice.png"]
    choose(files.kind, "unreadable")
    assert names() == ["broken.png"]
    files.show_all()
    assert len(names()) == 5
    files.sort_by("assessable")
    assert names()[-2:] == ["blank.png", "broken.png"]
    files.sort_by("assessable")
    assert names()[:2] == ["broken.png", "blank.png"]
    files.sort_by("assessable")


def test_an_undecided_volume_is_shown_as_what_is_suspected(window: Window) -> None:
    go(window, "brain")
    row, stack, files = window.model.row, window.model.volumes.stack, window.list
    named = stack.cut.summary
    chances = {"glioma": 0.755, "meningioma": 0.0, "notumor": 0.245, "pituitary": 0.0}
    mark = files.tree.item(str(row.id))["image"]
    (line,) = window.slices.line.find_withtag("run")
    colour = window.slices.line.itemcget(line, "fill")
    stack.cut.summary = replace(
        named, label="notumor", suspect="glioma", confidence=0.245, probabilities=chances,
        prediction_set=("glioma", "notumor"),
    )  # fmt: skip
    files.update_rows([row.id], [])
    window.slices.show()
    window.answer.show(window.model)
    item = files.tree.item(str(row.id))
    assert item["values"] == ["undecided: glioma 75.5 %", "75.5%"]
    assert item["image"] == mark
    assert window.answer.volume.cget("text") == "Volume: undecided: glioma 75.5 %"
    (line,) = window.slices.line.find_withtag("run")
    assert window.slices.line.itemcget(line, "fill") == colour
    choose(files.kind, "glioma")
    assert row.id in files.numbers()
    files.show_all()
    stack.cut.summary = named
    files.update_rows([row.id], [])


def choose(box: ttk.Combobox, value: str) -> None:
    box.set(value)
    box.event_generate("<<ComboboxSelected>>")
    box.update()
