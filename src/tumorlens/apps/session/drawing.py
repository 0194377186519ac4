"""Pictures of a slice: in grey, with its overlay, and small enough to be shown at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tumorlens.apps.session.results import Drawn

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.apps.session.contrast import Look
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice

__all__ = ["draw", "halves"]

_SMALLEST: Final = 1024  # pixels of the longer side below which a picture is not halved again


def draw(picture: Slice, explanation: Explanation | None, look: Look) -> Drawn:
    """Draw a slice, with its explanation where there is one."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from tumorlens.explain.overlay import blend  # noqa: PLC0415
    from tumorlens.images.display import display_grey, display_range  # noqa: PLC0415

    usual = display_range(picture)
    grey = display_grey(picture, look.greys or usual)
    plain = halves(Image.fromarray(grey).convert("RGB"))
    if explanation is None:
        return Drawn(look, usual, plain)
    shown = explanation.shown_map()
    full = halves(blend(grey, shown, 1.0, look.colormap))
    scale = np.linspace(0, 1, 256, dtype=np.float32)[None]
    ramp = blend(np.zeros(scale.shape, np.uint8), scale, 1.0, look.colormap)
    return Drawn(look, usual, plain, full, halves(Image.fromarray(shown)), ramp)


def halves(picture: Image) -> tuple[Image, ...]:
    """Give a picture, its half, the half of that and so on: a large one is shown from a small."""
    levels = [picture]
    while max(levels[-1].size) > 2 * _SMALLEST:
        levels.append(levels[-1].reduce(2))
    return tuple(levels)
