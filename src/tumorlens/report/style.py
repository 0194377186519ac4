"""One look for every figure of the project.

Figures are made without pyplot and within a context, so that neither the settings of
whoever calls nor their open windows change, and so that their settings do not change
ours: the same numbers give the same picture everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tumorlens.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "DPI",
    "FAINT",
    "INK",
    "PAPER",
    "class_colour",
    "figure_style",
    "heat_colours",
    "new_figure",
    "readable_on",
    "to_png",
    "without_frame",
]

DPI: Final = 150
"""Pixels an inch of every PNG."""

INK: Final = "#1f2328"
"""Text and axes."""

FAINT: Final = "#6b7280"
"""Text and lines of second rank; still 4.5 : 1 on paper."""

PAPER: Final = "#ffffff"
"""The background."""

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""For what comes in kinds: seven that the colour-blind tell apart.

After M. Okabe and K. Ito, "Color Universal Design" (2002), https://jfly.uni-koeln.de/color/.
"""

_CLASS_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "glioma": "#D55E00",
        "meningioma": "#0072B2",
        "notumor": "#009E73",
        "pituitary": "#CC79A7",
    }
)

_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": FAINT,
        "axes.facecolor": PAPER,
        "axes.grid": False,
        "axes.labelcolor": INK,
        "axes.labelsize": 10,
        "axes.linewidth": 0.8,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "figure.dpi": DPI,
        "figure.facecolor": PAPER,
        "font.family": ["DejaVu Sans"],  # comes with Matplotlib
        "font.size": 10,
        "grid.color": "#e5e7eb",
        "grid.linewidth": 0.8,
        "savefig.dpi": DPI,
        "svg.hashsalt": "tumorlens",
        "text.color": INK,
        "xtick.color": FAINT,
        "xtick.labelcolor": INK,
        "xtick.labelsize": 9,
        "ytick.color": FAINT,
        "ytick.labelcolor": INK,
        "ytick.labelsize": 9,
    }
)


@contextmanager
def figure_style() -> Iterator[None]:
    """Use the project's look inside the block; make, change and save figures there.

    Raises
    ------
    MissingExtraError
        When Matplotlib is not installed.
    """
    with _matplotlib("style").context(["default", dict(_SETTINGS)]):
        yield


def new_figure(width: float, height: float, title: str, subtitle: str = "") -> Figure:
    """Begin a figure that lays itself out below its title.

    Parameters
    ----------
    width, height
        In inches, of `DPI` pixels.
    title
        What the figure shows.
    subtitle
        How to read it: a line in small print.
    """
    inch, left = 1 / height, 0.15 / width
    bottom, top = 0.08 * inch, (0.68 if subtitle else 0.45) * inch
    below_title = _matplotlib("layout_engine").ConstrainedLayoutEngine(
        rect=(0.01, bottom, 0.98, 1 - bottom - top)
    )
    figure: Figure = _matplotlib("figure").Figure(figsize=(width, height), layout=below_title)
    figure.text(left, 1 - 0.12 * inch, title, size=13, weight="bold", va="top")
    if subtitle:
        figure.text(left, 1 - 0.39 * inch, subtitle, size=9, color=FAINT, va="top")
    return figure


def to_png(figure: Figure) -> bytes:
    """Turn a figure into a PNG; the same figure always into the same bytes."""
    buffer = io.BytesIO()
    figure.draw_without_rendering()  # rotated labels find their place in the second layout only
    # Without the version of Matplotlib, which would change the bytes and tell nothing.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def class_colour(label: str) -> str:
    """Colour of a class, the same in every figure; grey for a class of other projects."""
    return _CLASS_COLOURS.get(label, FAINT)


def heat_colours() -> Colormap:
    """From paper to blue: one hue, so that darker is more for every eye."""
    steps = [PAPER, "#56B4E9", "#0072B2", "#00395a"]
    colours: Colormap = _matplotlib("colors").LinearSegmentedColormap.from_list("tumorlens", steps)
    return colours


def readable_on(colour: Any) -> str:
    """Ink or paper, whichever contrasts more with a colour.

    By the relative luminance of WCAG 2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance.
    """
    red_green_blue = _matplotlib("colors").to_rgb(colour)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in red_green_blue]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.2 else PAPER


def without_frame(axes: Axes, *, ticks: bool = False) -> None:
    """Take the frame off, and the ticks unless they are wanted."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    if not ticks:
        axes.set_xticks([])
        axes.set_yticks([])


def _matplotlib(part: str) -> Any:
    return require(f"matplotlib.{part}", "drawing figures", "data")
