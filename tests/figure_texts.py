"""What is written in a figure, and whether it can be read."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that lie on each other, and texts that leave the paper."""
    figure.draw_without_rendering()  # as `to_png` does
    FigureCanvasAgg(figure).draw()
    unused = {  # ticks beyond the limits, which Matplotlib keeps and does not draw
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    visible = [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and id(text) not in unused
    ]
    boxes = [(text.get_text(), text.get_window_extent()) for text in visible]
    paper = figure.bbox
    outside = [
        (name, "paper")
        for name, box in boxes
        if box.x0 < paper.x0 or box.y0 < paper.y0 or box.x1 > paper.x1 or box.y1 > paper.y1
    ]
    pairs = [
        (name, other)
        for i, (name, box) in enumerate(boxes)
        for other, box2 in boxes[i + 1 :]
        if box.x0 < box2.x1 - 1
        and box2.x0 < box.x1 - 1
        and box.y0 < box2.y1 - 1
        and box2.y0 < box.y1 - 1
    ]
    return outside + pairs
