"""The slice, large: with its overlay, the original beside it, zoomed and moved."""

from __future__ import annotations

import math
import tkinter as tk
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from PIL import Image, ImageTk

from tumorlens.apps.desktop.sight import Pane, Sight, fitting, locate
from tumorlens.apps.session.contour import LEVEL, draw_contour
from tumorlens.apps.session.words import caption, say_flat

if TYPE_CHECKING:
    from tumorlens.apps.desktop.theme import Theme
    from tumorlens.apps.session.results import Drawn
    from tumorlens.apps.session.state import Shown
    from tumorlens.explain.explanation import Explanation

__all__ = ["PictureView"]

_STEP: Final = 1.25
_CONTROL: Final = 0x4
_WORTH: Final = 1.1  # so much larger, and slices stand one below the other
_STRIP: Final = 26  # high, at 100 %: words stand above and below the slice, never on it
_Cuts: TypeAlias = dict[object, tuple[tuple[Image.Image, ...], Image.Image]]
"""What was cut out of which pictures: these are kept, so that no other has their `id`."""
_Layer: TypeAlias = "tuple[Drawn, Explanation | None]"
"""Pictures of a slice, and the explanation whose map is laid over it."""


class PictureView(tk.Canvas):
    """Shows a slice and its overlay."""

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        colours = theme.palette
        super().__init__(parent, background=colours.surround, highlightthickness=0, borderwidth=0)
        self._theme = theme
        self.on_point: Callable[[tuple[int, int] | None], object] = lambda _: None
        self.on_wheel: Callable[[int], bool] = lambda _: False  # takes a turn, but for Ctrl
        self.on_contrast: Callable[[tuple[float, float] | None], object] = lambda _: None
        self.on_draw: Callable[[], object] = lambda: None  # whatever changed how large it is
        self.shown: Shown | None = None
        self.strength = 0.6
        self.covered = True  # whether the overlay is on
        self.contour = False  # a line instead of colour
        self.beside = False
        self.smooth = True
        self.sight: Sight | None = None  # None fits the slice into the room
        self.notice = ""  # a headline in the place of a slice
        self.detail = ""  # and what more there is to say
        self.trouble = False  # whether that is bad news
        self.warning = ""  # a sentence above it
        self._dragged: tuple[int, int, Sight] | None = None
        self._pressed = (0, 0)  # where the right button was
        self._waiting = False
        self._cut: _Cuts = {}  # what was cut out for the last drawing
        self._photos: list[ImageTk.PhotoImage] = []
        self.bind("<Configure>", lambda _: self.redraw())
        self.bind("<ButtonPress-1>", self._press)
        self.bind("<B1-Motion>", self._drag)
        self.bind("<ButtonRelease-1>", self._release)
        self.bind("<Double-Button-1>", lambda _: self.fit())
        right = 2 if self.tk.call("tk", "windowingsystem") == "aqua" else 3
        self.bind(f"<ButtonPress-{right}>", self._press_right)
        self.bind(f"<B{right}-Motion>", self._drag_right)
        self.bind(f"<Double-Button-{right}>", lambda _: self.on_contrast(None))
        self.bind("<Motion>", self._point)
        self.bind("<Leave>", lambda _: self.on_point(None))
        for wheel in ("<Button-4>", "<Button-5>", "<MouseWheel>"):
            self.bind(wheel, self._wheel)

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
        return self._layout()[0]

    def _layout(self) -> tuple[tuple[int, int], list[tuple[int, int]]]:
        """Give the room for one view, and where each view begins: the overlay's is the last."""
        strip, gap = self._theme.px(_STRIP), self._theme.px(4)
        width, height = self.winfo_width(), self.winfo_height() - strip
        if not self.beside:
            return (max(width, 1), max(height - strip, 1)), [(0, strip)]
        half = (width - gap) // 2, (height - gap) // 2
        across = (max(half[0], 1), max(height - strip, 1))
        down = (max(width, 1), max(half[1] - strip, 1))
        if fitting(down, self._size()).zoom > _WORTH * fitting(across, self._size()).zoom:
            return down, [(0, strip), (0, half[1] + gap + strip)]
        return across, [(0, strip), (half[0] + gap, strip)]

    def _in_view(self, x: int, y: int) -> tuple[int, int]:
        """Say where in its view a place of the canvas is."""
        _, origins = self._layout()
        inside = [(x - left, y - top) for left, top in origins if x >= left and y >= top]
        return inside[-1] if inside else (x - origins[0][0], y - origins[0][1])

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
        room, place = self._room(), self._in_view(*at)
        return place[0] - room[0] / 2, place[1] - room[1] / 2

    def pixel_at(self, x: int, y: int) -> tuple[int, int] | None:
        """Find the pixel of the slice, column and row, under a place of the canvas."""
        if not self.shown:
            return None
        room, size = self._room(), self._size()
        column, row = self._sight().pixel_at(*self._in_view(x, y), room)
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

    def _press_right(self, event: tk.Event[tk.Misc]) -> None:
        self.focus_set()
        self._pressed = event.x, event.y
        self.on_contrast((0.0, 0.0))

    def _drag_right(self, event: tk.Event[tk.Misc]) -> None:
        """Tell how far the right button was drawn, to the right and down, in parts of the room."""
        room, (x, y) = self._room(), self._pressed
        self.on_contrast(((event.x - x) / room[0], (event.y - y) / room[1]))

    def _point(self, event: tk.Event[tk.Misc]) -> None:
        self.on_point(self.pixel_at(event.x, event.y))

    def _wheel(self, event: tk.Event[tk.Misc]) -> None:
        up = event.num == 4 or event.delta > 0  # X11 has buttons for it
        if int(event.state) & _CONTROL or not self.on_wheel(-1 if up else 1):
            self.zoom(_STEP if up else 1 / _STEP, (event.x, event.y))

    # Drawing

    def _draw(self) -> None:
        self._waiting = False
        self.delete("drawn")
        photos: list[ImageTk.PhotoImage] = []
        if self.notice:
            self._write_notice()
        elif self.shown:
            room, origins = self._layout()
            cut: _Cuts = {}
            for origin in origins:
                photos += self._draw_view(self._layer(origin is origins[-1]), origin, room, cut)
            self._cut = cut
            if self.covered:
                photos += self._draw_legend(self.shown)
        if self.warning and not self.notice:
            self._write_warning()
        self._photos = photos  # and the old ones go now that they are seen no more
        self.on_draw()

    def _layer(self, last: bool) -> _Layer:  # noqa: FBT001
        """Say what a view shows: the last one the overlay, the other one what is beside it."""
        if self.shown is None:
            raise ValueError("`shown` is not there, and nothing is drawn without it")
        if not self.covered:
            return self.shown.drawn, None
        if last:
            return self.shown.drawn, self.shown.explanation
        second = self.shown.second
        return (second.drawn, second.explanation) if second else (self.shown.drawn, None)

    def _draw_view(
        self,
        layer: _Layer,
        origin: tuple[int, int],
        room: tuple[int, int],
        cut: _Cuts,
    ) -> list[ImageTk.PhotoImage]:
        sight, px = self._sight(), self._theme.px
        pane = locate(sight, room, self._size())
        if pane is None:
            return []
        drawn, explanation = layer
        image = self._cut_out(drawn.plain, pane, sight.zoom, cut)
        text = "Original"
        if explanation is not None:
            text = caption(explanation)
            if not self.contour:
                full = self._cut_out(drawn.full, pane, sight.zoom, cut)
                # The overlay is linear in its strength: what lies between is a mixture.
                image = Image.blend(image, full, self.strength)
            elif not explanation.flat:
                heat = self._cut_out(drawn.heat, pane, sight.zoom, cut)
                image = draw_contour(image, heat, px(1.5))
        photo = ImageTk.PhotoImage(image, master=self)
        left, top = origin
        self.create_image(left + pane.left, top + pane.top, image=photo, anchor="nw", tags="drawn")
        middle = top - px(_STRIP) // 2
        self._write(left + px(10), middle, self._shortened(text, room[0] - px(20)), anchor="w")
        return [photo]

    def _cut_out(
        self,
        levels: tuple[Image.Image, ...],
        pane: Pane,
        zoom: float,
        cut: _Cuts,
    ) -> Image.Image:
        """Cut a part out of a picture, in the size of the screen."""
        key = (id(levels), pane, self.smooth)
        known = cut.get(key) or self._cut.get(key)
        image = known[1] if known else None
        if image is None:
            # The smallest of the halves that still has a pixel for each of the screen.
            level = min(max(int(math.log2(1 / zoom)), 0), len(levels) - 1) if zoom < 1 else 0
            source = levels[level]
            left, top, right, bottom = (value / 2**level for value in pane.box)
            box = (left, top, min(right, source.width), min(bottom, source.height))
            smooth = self.smooth or zoom < 1
            how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
            image = source.resize((pane.width, pane.height), how, box)
        cut[key] = levels, image
        return image

    def _draw_legend(self, shown: Shown) -> list[ImageTk.PhotoImage]:
        """Say below the slice what the overlay's colours mean, or why there are none."""
        px, right = self._theme.px, self.winfo_width() - self._theme.px(10)
        middle = self.winfo_height() - px(_STRIP) // 2
        if shown.explanation is None or shown.drawn.ramp is None:
            return []
        if text := say_flat(shown.explanation):
            self._write(right, middle, text, anchor="e")
            return []
        if self.contour:
            self._write(right, middle, f"line: {LEVEL:.0%} of the most evidence", anchor="e")
            return []
        size = (px(96), px(8))
        photo = ImageTk.PhotoImage(shown.drawn.ramp.resize(size), master=self)
        x = self.bbox(self._write(right, middle, "most", anchor="e"))[0] - px(6) - size[0]
        y = middle - size[1] // 2
        self.create_rectangle(
            x - 1, y - 1, x + size[0], y + size[1], outline="#8b949e", tags="drawn"
        )
        self.create_image(x, y, image=photo, anchor="nw", tags="drawn")
        self._write(x - px(6), middle, "evidence: none", anchor="e")
        return [photo]

    def _write(self, x: int, y: int, text: str, **how: Any) -> int:
        look = {"font": self._theme.small, "fill": self._theme.palette.on_surround, **how}
        return self.create_text(x, y, text=text, tags="drawn", **look)

    def _shortened(self, text: str, width: int) -> str:
        """Take away from the end of a text what has no room."""
        measure = self._theme.small.measure
        if measure(text) <= width:
            return text
        while text and measure(text + "…") > width:
            text = text[:-1]
        return text + "…"

    def _write_notice(self) -> None:
        """Write a headline where the slice would be, and below it what to do."""
        theme, colours = self._theme, self._theme.palette
        middle, width = self.winfo_width() // 2, round(self.winfo_width() * 0.8)
        ink = colours.on_trouble if self.trouble else colours.on_surround
        how = {"justify": "center", "width": width, "fill": ink}
        title = self._write(
            middle, self.winfo_height() // 2 - theme.px(20), self.notice, font=theme.large,
            anchor="s", **how,
        )  # fmt: skip
        below = self.bbox(title)[3] + theme.px(12)
        text = self._write(middle, below, self.detail, font=theme.body, anchor="n", **how)
        if self.trouble:
            boxes = [self.bbox(title), self.bbox(text)]
            left, top = (min(box[i] for box in boxes) - theme.px(20) for i in (0, 1))
            right, bottom = (max(box[i] for box in boxes) + theme.px(20) for i in (2, 3))
            self.create_rectangle(
                left, top, right, bottom, fill=colours.trouble, outline="", tags="drawn"
            )
            self.tag_raise(title)
            self.tag_raise(text)

    def _write_warning(self) -> None:
        px, colours = self._theme.px, self._theme.palette
        width = self.winfo_width()
        text = self.create_text(
            width // 2, px(_STRIP + 16), text=self.warning, font=self._theme.strong,
            justify="center", fill=colours.on_warning, width=width - px(60), anchor="n",
            tags="drawn",
        )  # fmt: skip
        left, top, right, bottom = self.bbox(text)
        box = (left - px(12), top - px(7), right + px(12), bottom + px(7))
        self.create_rectangle(*box, fill=colours.warning, outline="", tags=("drawn", "behind"))
        self.tag_raise(text)
