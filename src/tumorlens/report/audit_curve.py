"""The calibration curve of an audit as SVG, in the colours of the page around it."""

from __future__ import annotations

import html
from typing import Final

from tumorlens.data.copies import Curve

__all__ = ["draw_curve"]

_WIDTH, _HEIGHT = 680, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 190, 14, 40
_LINES: Final = (  # which copies are drawn, and how: told apart without colour too
    ("mirrored", "var(--blue)", ""),
    ("brightened much", "var(--blue)", "6 4"),
    ("all at once", "var(--blue)", "2 3"),
)


def draw_curve(curve: Curve, threshold: float) -> str:
    """Draw the share found against the threshold.

    Parameters
    ----------
    curve
        What was measured.
    threshold
        The one in use, marked.

    Returns
    -------
    str
        HTML with an SVG inside.
    """
    most = max(curve.strangers_compared, 1)
    strangers = tuple(count / most for count in curve.strangers)
    series = [(name, colour, dash, curve.copies[name]) for name, colour, dash in _LINES]
    series.append(("different labels", "var(--orange)", "", strangers))
    parts = [_axes(), _mark(threshold)]
    for row, (name, colour, dash, values) in enumerate(series):
        y = _TOP + 20 + 22 * row  # of its line in the legend
        points = " ".join(
            f"{_x(t):.1f},{_y(v):.1f}" for t, v in zip(curve.thresholds, values, strict=True)
        )
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        look = f'fill="none" stroke="{colour}" stroke-width="2"{dashes}'
        parts.append(f'<polyline points="{points}" {look}/>')
        x = _WIDTH - _RIGHT + 14
        parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 26}" y2="{y - 4}" {look}/>')
        parts.append(f'<text x="{x + 34}" y="{y}">{html.escape(name)}</text>')
    label = "Share of copies and of strangers found, by threshold"
    return (
        f'<div class="curve"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg></div>'
    )


def _axes() -> str:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        lines.append(
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{share:.0%}</text>'
        )
    below = 'text-anchor="middle"'
    lines += [
        f'<text x="{_x(value):.1f}" y="{_HEIGHT - 22}" {below}>{value:.1f}</text>'
        for value in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    title = f'<text x="{middle}" y="{_HEIGHT - 4}" {below}>similarity threshold</text>'
    return "".join(lines) + title


def _mark(threshold: float) -> str:
    x, foot = _x(threshold), _HEIGHT - _BOTTOM - 6
    return (
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" '
        f'stroke="var(--faint)" stroke-dasharray="3 3"/>'
        f'<text x="{x - 4:.1f}" y="{foot}" text-anchor="end">{threshold:.2f}</text>'
    )


def _x(value: float) -> float:
    return _LEFT + (value - 0.5) / 0.5 * (_WIDTH - _RIGHT - _LEFT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)
