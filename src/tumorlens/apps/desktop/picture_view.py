"""The slice, large: with its overlay, the original beside it, zoomed and moved."""

from __future__ import annotations

import math
import tkinter as tk
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from PIL import Image, ImageTk

from tumorlens.apps.desktop.sight import Pane, Sight, fitting, locate

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.state import Shown

__all__ = ["PictureView"]

_STEP: Final = 1.25


class PictureView(tk.Canvas):
    """Shows a slice and its overlay.

    Parameters
    ----------
    parent
        Where to stand.
    theme
        The look.
    """

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        colours = theme.palette
        super().__init__(parent, background=colours.surround, highlightthickness=0, borderwidth=0)
        self._theme = theme
        self.on_point: Callable[[tuple[int, int] | None], object] = lambda _: None
        self.on_draw: Callable[[], object] = lambda: None  # whatever changed how large it is
        self.shown: Shown | None = None
        self.strength = 0.6
        self.covered = True  # whether the overlay is on
        self.beside = False
        self.smooth = True
        self.sight: Sight | None = None  # None fits the slice into the room
        self.notice = ""  # a sentence in the place of a slice
        self.warning = ""  # a sentence above it
        self._dragged: tuple[int, int, Sight] | None = None
        self._waiting = False
        self._cut: dict[object, Image.Image] = {}  # what was cut out for the last drawing
        self._photos: list[ImageTk.PhotoImage] = []
        self.bind("<Configure>", lambda _: self.redraw())
        self.bind("<ButtonPress-1>", self._press)
        self.bind("<B1-Motion>", self._drag)
        self.bind("<ButtonRelease-1>", self._release)
        self.bind("<Double-Button-1>", lambda _: self.fit())
        self.bind("<Motion>", self._point)
        self.bind("<Leave>", lambda _: self.on_point(None))
        self.bind("<Button-4>", lambda event: self.zoom(_STEP, (event.x, event.y)))
        self.bind("<Button-5>", lambda event: self.zoom(1 / _STEP, (event.x, event.y)))
        self.bind("<MouseWheel>", self._wheel)

    # What the window tells it

    def show(self, shown: Shown | None) -> None:
        """Show a slice, or none. The part that is seen stays while the size does."""
        old = self.shown.picture if self.shown else None
        new = shown.picture if shown else None
        if old and new and (old.width, old.height) != (new.width, new.height):
            self.sight = None
        self.shown = shown
        self.redraw()

    def redraw(self) -> None:
        """Draw anew, once, when there is time."""
        if not self._waiting:
            self._waiting = True
            self.after_idle(self._draw)

    def fit(self) -> None:
        """Show the whole slice."""
        self.sight = None
        self.redraw()

    def true_pixels(self) -> None:
        """Show every pixel of the slice as one of the screen."""
        if self.shown:
            self.sight = replace(self._sight(), zoom=1.0)
            self.redraw()

    def zoom(self, factor: float, at: tuple[int, int] | None = None) -> None:
        """Zoom by a factor; what lies `at` a place of the canvas, or its middle, stays there."""
        if not self.shown:
            return
        fit = fitting(self._room(), self._size()).zoom
        self._look(self._sight().zoomed(factor, self._offset(at) if at else (0.0, 0.0), fit))

    def move(self, right: float, down: float) -> None:
        """Look further right and down, in parts of the room."""
        if self.shown:
            room = self._room()
            self._look(self._sight().moved(right * room[0], down * room[1]))

    @property
    def percent(self) -> float | None:
        """How large the slice is shown; 100 is one screen pixel for each of its own."""
        return self._sight().zoom * 100 if self.shown else None

    # Geometry

    def _room(self) -> tuple[int, int]:
        """Width and height for one view of the slice."""
        width, height = self.winfo_width(), self.winfo_height()
        return ((width - self._gap()) // 2 if self.beside else width), height

    def _gap(self) -> int:
        return self._theme.px(4)

    def _size(self) -> tuple[int, int]:
        """Width and height of the slice."""
        return (self.shown.picture.width, self.shown.picture.height) if self.shown else (1, 1)

    def _sight(self) -> Sight:
        return self.sight or fitting(self._room(), self._size())

    def _look(self, sight: Sight) -> None:
        self.sight = sight.kept(self._size())
        self.redraw()

    def _offset(self, at: tuple[int, int]) -> tuple[float, float]:
        """Distance of a place of the canvas from the middle of its view."""
        width, height = self._room()
        x = at[0]
        if self.beside and x > width:
            x -= width + self._gap()
        return x - width / 2, at[1] - height / 2

    def pixel_at(self, x: int, y: int) -> tuple[int, int] | None:
        """Find the pixel of the slice, column and row, under a place of the canvas."""
        if not self.shown:
            return None
        room, size = self._room(), self._size()
        if self.beside and x > room[0]:
            x -= room[0] + self._gap()
        column, row = self._sight().pixel_at(x, y, room)
        return (column, row) if 0 <= column < size[0] and 0 <= row < size[1] else None

    # The mouse

    def _press(self, event: tk.Event[tk.Misc]) -> None:
        self.focus_set()
        if self.shown:
            self._dragged = (event.x, event.y, self._sight())
            self.configure(cursor="fleur")

    def _drag(self, event: tk.Event[tk.Misc]) -> None:
        if self._dragged:
            x, y, sight = self._dragged
            if abs(event.x - x) + abs(event.y - y) > 2 or self.sight:
                self._look(sight.moved(x - event.x, y - event.y))

    def _release(self, _: tk.Event[tk.Misc]) -> None:
        self._dragged = None
        self.configure(cursor="")

    def _point(self, event: tk.Event[tk.Misc]) -> None:
        self.on_point(self.pixel_at(event.x, event.y))

    def _wheel(self, event: tk.Event[tk.Misc]) -> None:
        self.zoom(_STEP if event.delta > 0 else 1 / _STEP, (event.x, event.y))

    # Drawing

    def _draw(self) -> None:
        self._waiting = False
        self.delete("drawn")
        photos: list[ImageTk.PhotoImage] = []
        if self.shown and not self.notice:
            room = self._room()
            views = [(0, self.covered)]
            if self.beside:
                views = [(0, False), (room[0] + self._gap(), True)]
            cut: dict[object, Image.Image] = {}
            for left, covered in views:
                photos += self._draw_view(self.shown, left, room, cut, covered=covered)
            self._cut = cut
            if self.covered and self.shown.ramp:
                photos += self._draw_legend(self.shown.ramp)
        elif self.notice:
            self._write_notice()
        if self.warning and not self.notice:
            self._write_warning()
        self._photos = photos  # and the old ones go now that they are seen no more
        self.on_draw()

    def _draw_view(
        self,
        shown: Shown,
        left: int,
        room: tuple[int, int],
        cut: dict[object, Image.Image],
        *,
        covered: bool,
    ) -> list[ImageTk.PhotoImage]:
        sight = self._sight()
        pane = locate(sight, room, self._size())
        if pane is None:
            return []
        image = self._cut_out(shown.plain, pane, sight.zoom, cut)
        covered = covered and bool(shown.full)
        if covered:
            full = self._cut_out(shown.full, pane, sight.zoom, cut)
            # The overlay is linear in its strength: what lies between is a mixture.
            image = Image.blend(image, full, self.strength)
        photo = ImageTk.PhotoImage(image, master=self)
        place = (left + pane.left, pane.top)
        self.create_image(*place, image=photo, anchor="nw", tags="drawn")
        self._caption(left, room[0], covered=covered)
        return [photo]

    def _cut_out(
        self,
        levels: tuple[Image.Image, ...],
        pane: Pane,
        zoom: float,
        cut: dict[object, Image.Image],
    ) -> Image.Image:
        """Cut a part out of a picture, in the size of the screen."""
        key = (id(levels), pane, self.smooth)
        image = cut.get(key) or self._cut.get(key)
        if image is None:
            # The smallest of the halves that still has a pixel for each of the screen.
            level = min(max(int(math.log2(1 / zoom)), 0), len(levels) - 1) if zoom < 1 else 0
            source = levels[level]
            left, top, right, bottom = (value / 2**level for value in pane.box)
            box = (left, top, min(right, source.width), min(bottom, source.height))
            smooth = self.smooth or zoom < 1
            how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
            image = source.resize((pane.width, pane.height), how, box)
        cut[key] = image
        return image

    def _caption(self, left: int, width: int, *, covered: bool) -> None:
        text, px = "Original", self._theme.px
        if covered and self.shown and (explanation := self.shown.explanation):
            text = explanation.describe()
        self._write(left + px(10), px(8), text, "nw", width - px(20))

    def _draw_legend(self, ramp: Image.Image) -> list[ImageTk.PhotoImage]:
        """Draw the overlay's colours, with what their ends mean."""
        px = self._theme.px
        size = (px(96), px(8))
        photo = ImageTk.PhotoImage(ramp.resize(size), master=self)
        right, bottom = self.winfo_width() - px(12), self.winfo_height() - px(12)
        if self.winfo_width() < px(360):
            return []
        most = self._write(right, bottom, "most", "se")
        box = self.bbox(most)
        x = box[0] - px(6) - size[0]
        y = (box[1] + box[3]) // 2
        self.create_rectangle(
            x - 1, y - size[1] // 2 - 1, x + size[0], y - size[1] // 2 + size[1],
            outline="#8b949e", tags="drawn",
        )  # fmt: skip
        self.create_image(x, y - size[1] // 2, image=photo, anchor="nw", tags="drawn")
        self._write(x - px(6), bottom, "evidence: none", "se")
        return [photo]

    def _write(self, x: int, y: int, text: str, anchor: Literal["nw", "se"], width: int = 0) -> int:
        """Write on the picture, with a shadow so that it can be read on white too."""
        font = self._theme.small
        colours = self._theme.palette
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            self.create_text(
                x + dx, y + dy, text=text, anchor=anchor, font=font, width=width,
                fill=colours.surround, tags="drawn",
            )  # fmt: skip
        return self.create_text(
            x, y, text=text, anchor=anchor, font=font, width=width,
            fill=colours.on_surround, tags="drawn",
        )  # fmt: skip

    def _write_notice(self) -> None:
        width, height = self.winfo_width(), self.winfo_height()
        self.create_text(
            width // 2, height // 2, text=self.notice, font=self._theme.body, justify="center",
            fill=self._theme.palette.on_surround, width=round(width * 0.8), tags="drawn",
        )  # fmt: skip

    def _write_warning(self) -> None:
        px, colours = self._theme.px, self._theme.palette
        width = self.winfo_width()
        text = self.create_text(
            width // 2, px(34), text=self.warning, font=self._theme.strong, justify="center",
            fill=colours.on_warning, width=width - px(60), anchor="n", tags="drawn",
        )  # fmt: skip
        left, top, right, bottom = self.bbox(text)
        box = (left - px(12), top - px(7), right + px(12), bottom + px(7))
        self.create_rectangle(*box, fill=colours.warning, outline="", tags=("drawn", "behind"))
        self.tag_raise(text)
