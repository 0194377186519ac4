"""Draw which room of the package imports which, from the imports themselves.

    python scripts/draw_rooms.py docs/images/rooms.svg

Rooms stand from early to late, as `tests/test_rooms.py` orders them. An arc on the right is an
import of a room above; one on the left, in red, would be an import of a room below, and the
test fails while there is one. The wider an arc, the more files it stands for.
"""

from __future__ import annotations

import argparse
import runpy
from collections import Counter
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Arc

ROOT: Final = Path(__file__).parent.parent
BLUE, RED = "#0072b2", "#d55e00"  # told apart by the colour-blind


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    held = runpy.run_path(str(ROOT / "tests" / "test_rooms.py"))
    rooms: tuple[str, ...] = held["ROOMS"]
    arrows: dict[str, set[str]] = held["arrows"]()
    files = Counter(name.split(".")[0] for name in arrows)
    count = Counter(
        (one, other)
        for name, others in arrows.items()
        for one in [name.split(".")[0]]
        for other in {o.split(".")[0] for o in others}
        if one != other
    )
    shown = [room for room in rooms if files[room]]
    figure = draw(shown, files, count)
    mpl.rcParams["svg.hashsalt"] = "rooms"  # the same imports give the same file
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def draw(rooms: list[str], files: Counter[str], count: Counter[tuple[str, str]]) -> Figure:
    """Lay the rooms out from top to bottom, and an arc for each pair."""
    place = {room: -i for i, room in enumerate(rooms)}
    figure = Figure(figsize=(7.5, 0.38 * len(rooms) + 0.6))
    axes = figure.add_axes((0, 0, 1, 1))
    for room, y in place.items():
        several = f"  {files[room]} files" if files[room] > 1 else ""
        axes.text(-0.25, y, room, ha="right", va="center", family="monospace", fontsize=10)
        axes.text(-3.3, y, several, ha="right", va="center", fontsize=8, color="0.45")
        axes.plot([0], [y], "o", color="0.2", markersize=4)
    for (one, other), n in sorted(count.items()):
        up = place[other] > place[one]
        height = abs(place[one] - place[other])
        arc = Arc(
            (0, (place[one] + place[other]) / 2),
            0.9 * height,
            height,
            theta1=-90 if up else 90,
            theta2=90 if up else 270,
            color=BLUE if up else RED,
            linewidth=0.4 + 0.25 * min(n, 12),
            alpha=0.45 if up else 1,
        )
        axes.add_patch(arc)
    axes.set(xlim=(-5, 0.5 * len(rooms)), ylim=(-len(rooms) + 0.3, 0.7))
    axes.axis("off")
    return figure


if __name__ == "__main__":
    main()
