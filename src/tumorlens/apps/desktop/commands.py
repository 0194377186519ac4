"""All that can be done in the window, with its keys: for the menus and the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from tumorlens.apps.desktop.shortcuts import Command
from tumorlens.data.folder import class_name
from tumorlens.models.store import bundled_models

if TYPE_CHECKING:
    from tumorlens.apps.desktop.picture_view import PictureView
    from tumorlens.apps.desktop.window import Window

__all__ = ["list_commands"]

_PLUS: Final = ("plus", "equal", "kp_add")
_SORTS: Final = (
    ("-Sort by name", "#0"),
    ("Sort by answer", "answer"),
    ("Sort by confidence", "confidence"),
    ("Sort by what is assessable", "assessable"),
)


def list_commands(window: Window) -> list[Command]:
    """List the commands of a window, by menu. A ``-`` before a label draws a line above it."""
    return [
        *_file_commands(window),
        *_list_commands(window),
        *_volume_commands(window),
        *_picture_commands(window),
        *_look_commands(window),
        *_explain_commands(window),
        *_view_commands(window),
    ]


def _file_commands(window: Window) -> list[Command]:
    some, explained = _some(window), _explained(window)
    ask = window.dialogs

    def report() -> None:
        rows = window.model.rows
        ask.save_report([rows[number] for number in window.list.selected()])

    return [
        Command("File", "Open files …", ("Ctrl+o",), ask.open_files),
        Command("File", "Open folder …", ("Ctrl+Shift+o",), ask.open_folder),
        Command("File", "Paste", ("Ctrl+v",), ask.paste),
        Command("File", "-Save overlay …", ("Ctrl+s",), ask.save_overlay, explained),
        Command("File", "Save record …", ("Ctrl+Shift+s",), ask.save_record, explained),
        Command("File", "Save list as CSV …", ("Ctrl+e",), ask.save_table, some),
        Command("File", "Report of what is selected …", ("Ctrl+r",), report, some),
        Command("File", "-Quit", ("Ctrl+q",), window.close),
    ]


def _list_commands(window: Window) -> list[Command]:
    model, do, some = window.model, window.do, _some(window)

    def sort(column: str) -> None:
        window.list.sort_by(column)  # another one after every change of look

    def every() -> None:
        window.list.select_all()

    return [
        Command("List", "Next slice", ("Ctrl+Down",), lambda: window.list.step(1), some),
        Command("List", "Slice before", ("Ctrl+Up",), lambda: window.list.step(-1), some),
        Command("List", "Select all", ("Ctrl+a",), every, some),
        Command("List", "Find in the list", ("Ctrl+f",), window.find),
        *(Command("List", label, (), partial(sort, column), some) for label, column in _SORTS),
        Command("List", "-Stop", ("Escape",), window.escape),
        Command(
            "List", "Classify the rest", ("F5",), lambda: do(model.resume), lambda: model.stopped
        ),
        Command("List", "-Remove from list", ("Delete",), window.remove, some),
        Command("List", "Clear the list", ("Ctrl+Shift+Delete",), lambda: do(model.clear), some),
    ]


def _volume_commands(window: Window) -> list[Command]:
    volumes = window.model.volumes

    def stack() -> bool:
        return volumes.stack is not None

    def walk(move: Callable[..., object], by: int) -> Callable[[], object]:
        return lambda: window.do(move, by)

    def turn() -> None:
        window.slices.next_plane()  # another one after every change of look

    first = walk(volumes.look_first, 1)
    return [
        Command("Volume", "One slice on", ("period",), walk(volumes.step, 1), stack),
        Command("Volume", "One slice back", ("comma",), walk(volumes.step, -1), stack),
        Command("Volume", "Ten slices on", ("Ctrl+period",), walk(volumes.step, 10), stack),
        Command("Volume", "Ten slices back", ("Ctrl+comma",), walk(volumes.step, -10), stack),
        Command("Volume", "-Slices to look at first", ("n",), first, stack),
        Command("Volume", "-Next plane", ("x",), turn, stack),
    ]


def _picture_commands(window: Window) -> list[Command]:
    shown = _shown(window)

    def picture() -> PictureView:
        return window.picture  # another one after every change of look

    def look(right: float, down: float) -> Callable[[], object]:
        return lambda: picture().move(right, down)

    def zoom(factor: float) -> Callable[[], object]:
        return lambda: picture().zoom(factor)

    return [
        Command("Picture", "Zoom in", _PLUS, zoom(1.25), shown),
        Command("Picture", "Zoom out", ("minus", "kp_subtract"), zoom(0.8), shown),
        Command("Picture", "Fit into the window", ("f",), lambda: picture().fit(), shown),
        Command("Picture", "True pixels", ("p",), lambda: picture().true_pixels(), shown),
        Command("Picture", "Smooth pixels, or sharp", ("i",), window.toggle_smooth),
        Command("Picture", "-Look left", ("Shift+Left",), look(-0.1, 0)),
        Command("Picture", "Look right", ("Shift+Right",), look(0.1, 0)),
        Command("Picture", "Look up", ("Shift+Up",), look(0, -0.1)),
        Command("Picture", "Look down", ("Shift+Down",), look(0, 0.1)),
    ]


def _look_commands(window: Window) -> list[Command]:
    shown, explained = _shown(window), _explained(window)

    def contrast(wider: float, higher: float) -> Callable[[], object]:
        return lambda: window.change_contrast(wider, higher)

    return [
        Command("Picture", "-Sliders of window and level", ("g",), window.toggle_contrast),
        Command("Picture", "Narrower window", ("k",), contrast(-0.1, 0), shown),
        Command("Picture", "Wider window", ("Shift+k",), contrast(0.1, 0), shown),
        Command("Picture", "Darker", ("j",), contrast(0, 0.05), shown),
        Command("Picture", "Brighter", ("Shift+j",), contrast(0, -0.05), shown),
        Command("Picture", "Usual window and level", ("r",), window.reset_contrast, shown),
        Command("Picture", "-Original beside overlay", ("b",), window.toggle_beside),
        Command("Picture", "Picture alone, or with the list", ("w",), window.toggle_alone),
        Command("Picture", "Overlay on, or off", ("h",), window.toggle_overlay),
        Command("Picture", "Contour, or colour", ("o",), window.toggle_contour),
        Command("Picture", "Stronger overlay", ("bracketright",), lambda: window.stronger(0.1)),
        Command("Picture", "Weaker overlay", ("bracketleft",), lambda: window.stronger(-0.1)),
        Command("Picture", "Other colours", ("c",), window.next_colours, explained),
    ]


def _explain_commands(window: Window) -> list[Command]:
    shown = _shown(window)

    def step(name: str, by: int) -> Callable[[], object]:
        return lambda: window.do(window.explain.step, name, by)

    def target(place: int) -> Callable[[], object]:
        return lambda: window.do(window.explain.choose_target, place)

    def name(place: int) -> Callable[[], str]:
        def say() -> str:
            classes = window.model.options.classes
            known = class_name(classes[place - 1]) if place <= len(classes) else f"class {place}"
            return f"Evidence for {known}"

        return say

    classes = [
        Command("Explain", f"Class {place}", (str(place),), target(place), shown, name(place))
        for place in range(1, 5)
    ]
    return [
        Command("Explain", "Next method", ("m",), step("method", 1), shown),
        Command("Explain", "Method before", ("Shift+m",), step("method", -1), shown),
        Command("Explain", "-Earlier layer", ("l",), step("layer", 1), shown),
        Command("Explain", "Later layer", ("Shift+l",), step("layer", -1), shown),
        Command("Explain", "-Next class", ("t",), step("target", 1), shown),
        Command("Explain", "Class before", ("Shift+t",), step("target", -1), shown),
        Command("Explain", "Next class to compare with", ("v",), step("versus", 1), shown),
        Command("Explain", "Most probable class", ("0",), target(0), shown),
        *classes,
    ]


def _view_commands(window: Window) -> list[Command]:
    model, ask = window.model, window.dialogs

    def mark(name: str) -> Callable[[], str]:
        return lambda: f"✓ {name}" if model.card and model.card.name == name else name

    models = [
        Command("Model", name, (), partial(window.do, model.choose_model, name), says=mark(name))
        for name in bundled_models()
    ]
    return [
        Command("View", "Light, or dark", ("Ctrl+d",), window.toggle_appearance),
        Command("View", "-Larger", ("Ctrl+plus", "Ctrl+equal"), lambda: window.resize(1)),
        Command("View", "Smaller", ("Ctrl+minus",), lambda: window.resize(-1)),
        Command("View", "As large as the screen says", ("Ctrl+0",), lambda: window.resize(0)),
        *models,
        Command("Model", "Model in a folder …", (), ask.open_model),
        Command("Model", "-About the model", ("F2",), window.about, lambda: model.card),
        Command("Help", "Keys", ("F1",), window.show_keys),
        Command("Help", "-Open the demonstration slice", (), ask.open_demo),
    ]


# What must be there for a command


def _some(window: Window) -> Callable[[], bool]:
    return lambda: len(window.model.rows) > 0


def _explained(window: Window) -> Callable[[], bool]:
    return lambda: window.model.explanation is not None


def _shown(window: Window) -> Callable[[], bool]:
    return lambda: window.model.view.shown is not None
