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


def list_commands(window: Window) -> list[Command]:
    """List the commands of a window, by menu. A ``-`` before a label draws a line above it."""
    model = window.model

    def some() -> bool:
        return len(model.rows) > 0

    def explained() -> bool:
        return model.explanation is not None

    def shown() -> bool:
        return model.view.shown is not None

    def contrast(wider: float, higher: float) -> Callable[[], object]:
        return lambda: window.change_contrast(wider, higher)

    def step(name: str, by: int) -> Callable[[], object]:
        return lambda: window.do(window.explain.step, name, by)

    def target(place: int) -> Callable[[], object]:
        return lambda: window.do(window.explain.choose_target, place)

    def name(place: int) -> Callable[[], str]:
        def say() -> str:
            classes = model.options.classes
            known = class_name(classes[place - 1]) if place <= len(classes) else f"class {place}"
            return f"Evidence for {known}"

        return say

    def picture() -> PictureView:
        return window.picture  # another one after every change of look

    classes = [
        Command("Explain", f"Class {place}", (str(place),), target(place), shown, name(place))
        for place in range(1, 5)
    ]
    models = [
        Command("Model", name, (), partial(window.do, model.choose_model, name))
        for name in bundled_models()
    ]
    return [
        Command("File", "Open files …", ("Ctrl+o",), window.dialogs.open_files),
        Command("File", "Open folder …", ("Ctrl+Shift+o",), window.dialogs.open_folder),
        Command("File", "Paste", ("Ctrl+v",), window.dialogs.paste),
        Command("File", "-Save overlay …", ("Ctrl+s",), window.dialogs.save_overlay, explained),
        Command("File", "Save record …", ("Ctrl+Shift+s",), window.dialogs.save_record, explained),
        Command("File", "Save list as CSV …", ("Ctrl+e",), window.dialogs.save_table, some),
        Command("File", "-Quit", ("Ctrl+q",), window.close),
        Command("List", "Next slice", ("Ctrl+Down",), lambda: window.list.step(1), some),
        Command("List", "Slice before", ("Ctrl+Up",), lambda: window.list.step(-1), some),
        Command("List", "Find in the list", ("Ctrl+f",), window.find),
        Command("List", "-Stop", ("Escape",), window.escape),
        Command(
            "List", "Classify the rest", ("F5",), lambda: window.do(model.resume),
            lambda: model.stopped,
        ),
        Command("List", "-Remove from list", ("Delete",), window.remove, some),
        Command(
            "List", "Clear the list", ("Ctrl+Shift+Delete",), lambda: window.do(model.clear),
            some,
        ),
        *_volume_commands(window),
        Command("Picture", "Zoom in", _PLUS, lambda: picture().zoom(1.25), shown),
        Command(
            "Picture", "Zoom out", ("minus", "kp_subtract"), lambda: picture().zoom(0.8), shown
        ),
        Command("Picture", "Fit into the window", ("f",), lambda: picture().fit(), shown),
        Command("Picture", "True pixels", ("p",), lambda: picture().true_pixels(), shown),
        Command("Picture", "-Sliders of window and level", ("g",), window.toggle_contrast),
        Command("Picture", "Narrower window", ("k",), contrast(-0.1, 0), shown),
        Command("Picture", "Wider window", ("Shift+k",), contrast(0.1, 0), shown),
        Command("Picture", "Darker", ("j",), contrast(0, 0.05), shown),
        Command("Picture", "Brighter", ("Shift+j",), contrast(0, -0.05), shown),
        Command("Picture", "Usual window and level", ("r",), window.reset_contrast, shown),
        Command("Picture", "-Smooth pixels, or sharp", ("i",), window.toggle_smooth),
        Command("Picture", "-Look left", ("Shift+Left",), lambda: picture().move(-0.1, 0)),
        Command("Picture", "Look right", ("Shift+Right",), lambda: picture().move(0.1, 0)),
        Command("Picture", "Look up", ("Shift+Up",), lambda: picture().move(0, -0.1)),
        Command("Picture", "Look down", ("Shift+Down",), lambda: picture().move(0, 0.1)),
        Command("Picture", "-Original beside overlay", ("b",), window.toggle_beside),
        Command("Picture", "Picture alone, or with the list", ("w",), window.toggle_alone),
        Command("Picture", "Overlay on, or off", ("h",), window.toggle_overlay),
        Command("Picture", "Contour, or colour", ("o",), window.toggle_contour),
        Command("Picture", "Stronger overlay", ("bracketright",), lambda: window.stronger(0.1)),
        Command("Picture", "Weaker overlay", ("bracketleft",), lambda: window.stronger(-0.1)),
        Command("Picture", "Other colours", ("c",), window.next_colours, explained),
        Command("Explain", "Next method", ("m",), step("method", 1), shown),
        Command("Explain", "Method before", ("Shift+m",), step("method", -1), shown),
        Command("Explain", "-Earlier layer", ("l",), step("layer", 1), shown),
        Command("Explain", "Later layer", ("Shift+l",), step("layer", -1), shown),
        Command("Explain", "-Next class", ("t",), step("target", 1), shown),
        Command("Explain", "Class before", ("Shift+t",), step("target", -1), shown),
        Command("Explain", "Next class to compare with", ("v",), step("versus", 1), shown),
        Command("Explain", "Most probable class", ("0",), target(0), shown),
        *classes,
        Command("View", "Light, or dark", ("Ctrl+d",), window.toggle_appearance),
        Command("View", "-Larger", ("Ctrl+plus", "Ctrl+equal"), lambda: window.resize(1)),
        Command("View", "Smaller", ("Ctrl+minus",), lambda: window.resize(-1)),
        Command("View", "As large as the screen says", ("Ctrl+0",), lambda: window.resize(0)),
        *models,
        Command("Model", "Model in a folder …", (), window.dialogs.open_model),
        Command("Model", "-About the model", ("F2",), window.about, lambda: model.card),
        Command("Help", "Keys", ("F1",), window.show_keys),
        Command("Help", "-Open the demonstration slice", (), window.dialogs.open_demo),
    ]  # fmt: skip


def _volume_commands(window: Window) -> list[Command]:
    volumes = window.model.volumes

    def stack() -> bool:
        return volumes.stack is not None

    def walk(move: Callable[..., object], by: int) -> Callable[[], object]:
        return lambda: window.do(move, by)

    return [
        Command("Volume", "One slice on", ("period",), walk(volumes.step, 1), stack),
        Command("Volume", "One slice back", ("comma",), walk(volumes.step, -1), stack),
        Command("Volume", "Ten slices on", ("Ctrl+period",), walk(volumes.step, 10), stack),
        Command("Volume", "Ten slices back", ("Ctrl+comma",), walk(volumes.step, -10), stack),
        Command("Volume", "-Slices to look at first", ("n",), walk(volumes.look_first, 1), stack),
        Command("Volume", "-Next plane", ("x",), window.next_plane, stack),
    ]
