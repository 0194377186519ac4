"""The look of the window, light and dark, sharp at any scale.

Our own theme on ttk. What there is to install fails at 200 %: sv-ttk's controls are
pictures of one size, and ttkbootstrap's only fit its own widgets.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from dataclasses import dataclass
from tkinter import font as tkfont
from tkinter import ttk
from typing import TYPE_CHECKING, Any, Final

from PIL import ImageTk

from tumorlens.apps.desktop import drawn

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DARK", "LIGHT", "Palette", "Theme"]


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they are for. Text has at least 4.5 : 1 on what it stands on."""

    name: str
    ground: str
    panel: str
    raised: str
    hover: str
    line: str
    ink: str
    faint: str
    accent: str
    on_accent: str
    selected: str
    warning: str
    on_warning: str
    trouble: str
    on_trouble: str
    surround: str = "#0b0c0e"  # of the slice: dark in both, as on a reading screen
    on_surround: str = "#c9d1d9"


DARK: Final = Palette(
    name="dark",
    ground="#15181c",
    panel="#1d2126",
    raised="#2b3138",
    hover="#363d46",
    line="#3a424b",
    ink="#e8eaed",
    faint="#a3adb8",
    accent="#56B4E9",
    on_accent="#0b0e11",
    selected="#23455f",
    warning="#4d3b0b",
    on_warning="#ffd978",
    trouble="#55231c",
    on_trouble="#ffc4b8",
)

LIGHT: Final = Palette(
    name="light",
    ground="#eef0f3",
    panel="#fbfcfd",
    raised="#e3e7ec",
    hover="#d6dce3",
    line="#c3cad3",
    ink="#1f2328",
    faint="#566069",
    accent="#0068a6",
    on_accent="#ffffff",
    selected="#cbe3f5",
    warning="#ffeeb8",
    on_warning="#5f4200",
    trouble="#fbdcd6",
    on_trouble="#7f1a0d",
)


_BOX: Final = 20  # least side of what has round corners, at 100 %


class Theme:
    """One look at one scale, for one window.

    Parameters
    ----------
    root
        The window.
    palette
        Its colours.
    scale
        1 for 100 %.
    """

    def __init__(self, root: tk.Misc, palette: Palette, scale: float) -> None:
        self.palette = palette
        self.scale = scale
        self._root = root
        self._pictures: list[ImageTk.PhotoImage] = []  # Tk itself does not keep them
        family = tkfont.nametofont("TkDefaultFont", root=root).actual("family")
        self.body = self._font(family, 13)
        self.small = self._font(family, 12)
        self.strong = self._font(family, 13, bold=True)
        self.large = self._font(family, 22, bold=True)
        for name in ("TkDefaultFont", "TkTextFont", "TkMenuFont", "TkHeadingFont", "TkIconFont"):
            # In pixels, so that no idea of Tk's about the screen comes between.
            tkfont.nametofont(name, root=root).configure(size=-self.px(13))
        self._style = ttk.Style(root)
        self._apply()

    def px(self, length: float) -> int:
        """Turn a length at 100 % into pixels."""
        return max(1, round(length * self.scale))

    def photo(self, image: Image) -> ImageTk.PhotoImage:
        """Hand a picture to Tk, and keep it as long as the theme lives."""
        photo = ImageTk.PhotoImage(image, master=self._root)
        self._pictures.append(photo)
        return photo

    def _font(self, family: str, size: float, *, bold: bool = False) -> tkfont.Font:
        font = tkfont.Font(self._root, family=family, size=-self.px(size))
        font.configure(weight="bold" if bold else "normal")
        return font

    def _apply(self) -> None:
        style, colours = self._style, self.palette
        count = sum(name.startswith("tumorlens") for name in style.theme_names())
        name = f"tumorlens-{count}"  # a theme cannot be changed, and is small
        style.theme_create(name, parent="clam")
        style.theme_use(name)
        style.configure(
            ".",
            background=colours.panel,
            foreground=colours.ink,
            font=self.body,
            troughcolor=colours.raised,
            bordercolor=colours.line,
            focuscolor=colours.accent,
            selectbackground=colours.accent,
            selectforeground=colours.on_accent,
            fieldbackground=colours.panel,
            insertcolor=colours.ink,
            borderwidth=0,
            relief="flat",
        )
        style.map(".", foreground=[("disabled", colours.faint)])
        self._add_frames_and_labels()
        self._add_buttons()
        self._add_choices()
        self._add_slider_and_progress()
        self._add_list()
        self._add_options()

    def _add_frames_and_labels(self) -> None:
        style, colours = self._style, self.palette
        style.configure("Ground.TFrame", background=colours.ground)
        style.configure("Line.TFrame", background=colours.line)
        style.configure("Ground.TLabel", background=colours.ground)
        style.configure("Faint.TLabel", foreground=colours.faint, font=self.small)
        style.configure("Faint.Ground.TLabel", foreground=colours.faint, font=self.small)
        style.configure("Hint.TLabel", background=colours.raised)
        style.configure("Strong.TLabel", font=self.strong)
        style.configure("Large.TLabel", font=self.large)
        for kind, ground, ink in (
            ("Warning", colours.warning, colours.on_warning),
            ("Trouble", colours.trouble, colours.on_trouble),
        ):
            style.configure(f"{kind}.TFrame", background=ground)
            style.configure(f"{kind}.TLabel", background=ground, foreground=ink)
        style.configure("TPanedwindow", background=colours.ground)
        style.configure("Sash", sashthickness=self.px(6), gripcount=0, background=colours.ground)

    def _box(self, fill: str, line: str | None = None, width: float = 1) -> ImageTk.PhotoImage:
        side, radius = self.px(_BOX), self.px(5)
        box = drawn.rounded((side, side), radius, fill, line, max(1, width * self.scale))
        return self._wide(box, (360, 44))

    def _wide(self, image: Image, size: tuple[float, float]) -> ImageTk.PhotoImage:
        """Hand a picture to Tk in a size at 100 % that Tk needs not repeat to fill a control."""
        return self.photo(drawn.stretched(image, (self.px(size[0]), self.px(size[1]))))

    def _add_box(self, element: str, usual: ImageTk.PhotoImage, *others: Any) -> None:
        """Make a part of a control of a box, and of others for its states."""
        side = self.px(_BOX)
        self._style.element_create(
            element, "image", usual, *others,
            border=self.px(7), width=side, height=side, sticky="nsew",
        )  # fmt: skip

    def _add_buttons(self) -> None:
        style, colours = self._style, self.palette
        for kind, rest, hover, pressed, ink in (
            ("TButton", colours.raised, colours.hover, colours.line, colours.ink),
            ("Accent.TButton", colours.accent, colours.accent, colours.faint, colours.on_accent),
            ("Bare.TButton", colours.panel, colours.raised, colours.hover, colours.ink),
        ):
            ring = colours.ink if kind == "Accent.TButton" else colours.accent
            off = colours.panel if "Bare" not in kind else rest
            element = f"{kind}.box"
            self._add_box(
                element,
                self._box(rest, rest),
                ("disabled", self._box(off, colours.raised if "Bare" not in kind else rest)),
                ("pressed", self._box(pressed, pressed)),
                ("focus", self._box(rest, ring, 2)),
                ("active", self._box(hover, hover)),
            )
            label = _part("Button.padding", [_part("Button.label")])
            style.layout(kind, [_part(element, [label])])
            style.configure(kind, padding=(self.px(6), 0), foreground=ink, anchor="center")
            style.map(kind, foreground=[("disabled", colours.faint)])

    def _add_choices(self) -> None:
        style, colours = self._style, self.palette
        side, gap, thick = self.px(17), self.px(7), max(1.0, 1.3 * self.scale)
        tick = colours.on_accent

        def box(fill: str, line: str, mark: str | None = None) -> ImageTk.PhotoImage:
            return self.photo(drawn.tick_box(side, fill, line, mark, gap, thick))

        style.element_create(
            "Lens.indicator",
            "image",
            box(colours.panel, colours.faint),
            ("selected", "focus", box(colours.accent, colours.ink, tick)),
            ("selected", box(colours.accent, colours.accent, tick)),
            ("focus", box(colours.panel, colours.accent)),
            ("active", box(colours.raised, colours.faint)),
            sticky="w",
        )
        both = [_part("Lens.indicator", side="left"), _part("Checkbutton.label", side="left")]
        style.layout("TCheckbutton", [_part("Checkbutton.padding", both)])
        style.configure("TCheckbutton", padding=self.px(3))

        self._add_box(
            "Lens.field",
            self._box(colours.raised, colours.raised),
            ("disabled", self._box(colours.panel, colours.raised)),
            ("focus", self._box(colours.raised, colours.accent, 2)),
            ("active", self._box(colours.hover, colours.hover)),
        )
        style.element_create(
            "Lens.arrow",
            "image",
            self.photo(drawn.arrow(self.px(18), colours.ink)),
            ("disabled", self.photo(drawn.arrow(self.px(18), colours.faint))),
            sticky="",
        )
        text = _part("Combobox.padding", [_part("Combobox.textarea")])
        inside = [_part("Lens.arrow", side="right", sticky="ns"), text]
        style.layout("TCombobox", [_part("Lens.field", inside)])
        style.configure("TCombobox", padding=(self.px(3), 0, 0, 0))
        style.map(
            "TCombobox",
            # A choice is no text to be marked.
            selectbackground=[("disabled", colours.panel), ("!disabled", colours.raised)],
            selectforeground=[("disabled", colours.faint), ("!disabled", colours.ink)],
            foreground=[("disabled", colours.faint), ("readonly", colours.ink)],
        )
        text = _part("Entry.padding", [_part("Entry.textarea")])
        style.layout("TEntry", [_part("Lens.field", [text])])
        style.configure("TEntry", padding=self.px(4))

    def _add_slider_and_progress(self) -> None:
        style, colours = self._style, self.palette
        side, thick = self.px(18), self.px(5)

        def knob(fill: str, line: str) -> ImageTk.PhotoImage:
            return self.photo(drawn.disc(side, fill, line, max(1, 3 * self.scale)))

        style.element_create(
            "Lens.Scale.slider",
            "image",
            knob(colours.accent, colours.panel),
            ("disabled", knob(colours.line, colours.panel)),
            ("focus", knob(colours.accent, colours.ink)),
            ("active", knob(colours.ink, colours.panel)),
            sticky="",
        )
        style.element_create(
            "Lens.Scale.trough",
            "image",
            self._wide(drawn.track((self.px(24), side), thick, colours.line), (480, 1)),
            border=(self.px(4), 0),
            width=self.px(24),
            sticky="ew",
        )
        on_track = [_part("Lens.Scale.slider", side="left", sticky="")]
        style.layout("Horizontal.TScale", [_part("Lens.Scale.trough", on_track, sticky="ew")])

        for element, fill in (
            ("Lens.Progress.trough", colours.line),
            ("Lens.Progress.pbar", colours.accent),
        ):
            width, height = self.px(12), self.px(8)
            box = self._wide(drawn.rounded((width, height), self.px(4), fill), (480, 1))
            style.element_create(
                element, "image", box, border=self.px(3), width=width, height=height, sticky="nsew"
            )
        bar = _part("Lens.Progress.pbar", side="left", sticky="ns")
        style.layout("Horizontal.TProgressbar", [_part("Lens.Progress.trough", [bar])])

        size = self.px(11)
        for way, sticky, long in (("Vertical", "ns", (1, 1200)), ("Horizontal", "ew", (1200, 1))):

            def thumb(fill: str, long: tuple[float, float] = long) -> ImageTk.PhotoImage:
                disc = drawn.rounded((size, size), size / 2, fill, self.palette.panel, self.px(2))
                return self._wide(disc, long)

            element = f"Lens.{way}.thumb"
            style.element_create(
                element,
                "image",
                thumb(colours.line),
                ("disabled", thumb(colours.panel)),
                ("active", thumb(colours.faint)),
                border=self.px(5),
                width=size,
                height=size,
                sticky="nsew",
            )
            trough = _part(f"{way}.Scrollbar.trough", [_part(element, expand="1")], sticky=sticky)
            style.layout(f"{way}.TScrollbar", [trough])
            shades = ("troughcolor", "bordercolor", "lightcolor", "darkcolor")
            style.configure(f"{way}.TScrollbar", **dict.fromkeys(shades, colours.panel))

    def _add_list(self) -> None:
        style, colours = self._style, self.palette
        style.layout("Treeview", [("Treeview.treearea", {"sticky": "nswe"})])
        style.configure(
            "Treeview",
            background=colours.panel,
            fieldbackground=colours.panel,
            foreground=colours.ink,
            rowheight=self.px(26),
            indent=0,
        )
        style.map(
            "Treeview",
            background=[("selected", colours.selected)],
            foreground=[("selected", colours.ink)],
        )
        # Without the arrow of rows that open.
        inside = [_part("Treeitem.image", side="left", sticky=""), _part("Treeitem.text")]
        style.layout("Item", [_part("Treeitem.padding", inside)])
        style.configure("Item", padding=(self.px(8), 0, self.px(4), 0))
        style.configure(
            "Heading",
            background=colours.panel,
            foreground=colours.faint,
            font=self.small,
            padding=(self.px(8), self.px(5)),
        )
        style.map("Heading", background=[("active", colours.panel)])

    def _add_options(self) -> None:
        """Colour what is no ttk widget: menus, the lists of choices, Tk's own dialogs."""
        colours = self.palette
        menu = {
            "background": colours.panel,
            "foreground": colours.ink,
            "activeBackground": colours.selected,
            "activeForeground": colours.ink,
            "disabledForeground": colours.faint,
            "selectColor": colours.ink,
            "borderWidth": 0,
            "activeBorderWidth": self.px(3),
            "relief": "flat",
        }
        entries = {f"*Menu.{name}": value for name, value in menu.items()}
        for pattern in ("*TCombobox*Listbox", "*Listbox", "*Text"):
            entries[f"{pattern}.background"] = colours.raised
            entries[f"{pattern}.foreground"] = colours.ink
            entries[f"{pattern}.selectBackground"] = colours.selected
            entries[f"{pattern}.selectForeground"] = colours.ink
            entries[f"{pattern}.borderWidth"] = 0
            entries[f"{pattern}.highlightThickness"] = 0
            entries[f"{pattern}.font"] = str(self.body)
        entries["*Toplevel.background"] = colours.panel
        entries["*Canvas.background"] = colours.panel
        entries["*TkFDialog*Canvas.background"] = colours.panel
        for pattern, value in entries.items():
            self._root.option_add(pattern, value)


def _part(element: str, inside: Sequence[Any] = (), sticky: str = "nswe", **how: str) -> Any:
    """Name a part of a control, and the parts within it, as ttk's layouts do."""
    options: dict[str, Any] = {"sticky": sticky, **how}
    if inside:
        options["children"] = list(inside)
    return element, options
