"""Pictures of explanations, in one style: the slice in grey, evidence in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tumorlens.explain.colormaps import colours
from tumorlens.images.display import display_grey
from tumorlens.images.head import find_head
from tumorlens.images.slice import Slice

__all__ = ["blend", "contact_sheet", "panel", "without_air"]

_INK, _FAINT, _PAPER = (235, 235, 235), (160, 160, 168), (16, 16, 20)
_GAP: Final = 12
_BAR: Final = 14
_TILE: Final = 176  # pixels: longer side of a picture on a contact sheet
_ACROSS: Final = 8
_TWO_LABELS: Final = 32  # pixels: a lower bar has room for one


def blend(
    grey: NDArray[np.uint8],
    heat: NDArray[np.float32],
    alpha: float = 0.6,
    colormap: str = "inferno",
) -> Image.Image:
    """Lay a map over a grey picture.

    The colour is as dense as the evidence is strong, so that the picture stays
    readable where there is none.

    Parameters
    ----------
    grey
        ``(height, width)``.
    heat
        ``(height, width)``, from 0 to 1.
    alpha
        Density of the colour where the map is 1, from 0 to 1.
    colormap
        A key of `tumorlens.explain.colormaps.COLORMAPS`.

    Returns
    -------
    PIL.Image.Image
        RGB, of the same size.

    Raises
    ------
    ValueError
        When the shapes differ, `alpha` is out of range or there is no such colour map.
    """
    if grey.shape != heat.shape:
        raise ValueError(f"`grey` and `heat` must have one shape, got {grey.shape}, {heat.shape}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be from 0 to 1, got {alpha}")
    density = (alpha * np.clip(heat, 0, 1))[..., None]
    mixed = grey[..., None].astype(np.float32) * (1 - density) + colours(heat, colormap) * density
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def without_air(heat: NDArray[np.float32], picture: Slice) -> NDArray[np.float32]:
    """Take the air around the head out of a map; all of it stays where no head is found."""
    head = find_head(picture.pixels)
    return np.where(head, heat, np.float32(0)) if head.any() else heat


def panel(
    picture: Slice, overlay: Image.Image, title: str, footer: str, colormap: str | None = "inferno"
) -> Image.Image:
    """Put the slice, its overlay and a colour bar side by side, with a title.

    Parameters
    ----------
    picture
        The slice.
    overlay
        As `blend` gives it.
    title, footer
        One line above and one below.
    colormap
        Of the colour bar; a key of `tumorlens.explain.colormaps.COLORMAPS`. ``None`` for
        an overlay that shows no map: then there is no bar.

    Returns
    -------
    PIL.Image.Image
        RGB. Small slices are enlarged, large ones reduced, proportions kept.
    """
    size = _shown_size(picture.width, picture.height)
    plain = Image.fromarray(display_grey(picture)).convert("RGB")
    left, right = (image.resize(size, Image.Resampling.BICUBIC) for image in (plain, overlay))
    font, small = ImageFont.load_default(17), ImageFont.load_default(12)
    top = 40
    width = 2 * size[0] + 3 * _GAP + _BAR + 52
    title, footer = (text.replace("×", "x") for text in (title, footer))  # no glyph for it
    needed = int(max(font.getlength(title), small.getlength(footer))) + 2 * _GAP
    sheet = Image.new("RGB", (max(width, needed), top + size[1] + 36), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, fill=_INK, font=font)
    sheet.paste(left, (_GAP, top))
    sheet.paste(right, (2 * _GAP + size[0], top))
    if colormap is not None:
        _draw_bar(sheet, draw, (3 * _GAP + 2 * size[0], top), size[1], small, colormap)
    draw.text((_GAP, top + size[1] + 12), footer, fill=_FAINT, font=small)
    return sheet


def contact_sheet(
    tiles: Sequence[tuple[Image.Image, str, str]], title: str, footer: str
) -> Image.Image:
    """Put many pictures of one size on a sheet, row by row, each above its caption.

    Parameters
    ----------
    tiles
        Pictures, each with two lines of caption; at least one.
    title, footer
        One line above and one below.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    first = tiles[0][0]
    factor = _TILE / max(first.size)
    size = max(16, round(first.width * factor)), max(16, round(first.height * factor))
    across = min(len(tiles), _ACROSS)
    font, small, tiny = (ImageFont.load_default(n) for n in (17, 12, 10))
    title, footer = (text.replace("×", "x") for text in (title, footer))  # no glyph for it
    captions = max(tiny.getlength(text) for tile in tiles for text in tile[1:])
    cell = max(_TILE, int(captions) + 1) + _GAP, size[1] + 40
    needed = int(max(font.getlength(title), small.getlength(footer))) + _GAP
    width = max(across * cell[0], needed) + _GAP
    height = 40 + -(-len(tiles) // across) * cell[1] + 36
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, fill=_INK, font=font)
    for i, (picture, name, detail) in enumerate(tiles):
        x, y = _GAP + i % across * cell[0], 40 + i // across * cell[1]
        sheet.paste(picture.resize(size, Image.Resampling.BICUBIC), (x, y))
        draw.text((x, y + size[1] + 4), name, fill=_INK, font=tiny)
        draw.text((x, y + size[1] + 17), detail, fill=_FAINT, font=tiny)
    draw.text((_GAP, height - 26), footer, fill=_FAINT, font=small)
    return sheet


def _shown_size(width: int, height: int) -> tuple[int, int]:
    """Scale so that the longer side has from 384 to 768 pixels, the shorter at least 16."""
    longest = max(width, height)
    factor = np.clip(longest, 384, 768) / longest
    return max(16, round(width * factor)), max(16, round(height * factor))


def _draw_bar(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    height: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colormap: str,
) -> None:
    """Draw the colour bar, 1 at the top, with what its ends mean."""
    x, y = corner
    ramp = np.repeat(np.linspace(1, 0, height, dtype=np.float32)[:, None], _BAR, axis=1)
    sheet.paste(Image.fromarray(colours(ramp, colormap).astype(np.uint8)), (x, y))
    draw.rectangle((x, y, x + _BAR - 1, y + height - 1), outline=(120, 120, 128))
    draw.text((x + _BAR + 6, y - 2), "most", fill=_INK, font=font)
    if height > _TWO_LABELS:
        draw.text((x + _BAR + 6, y + height - 14), "none", fill=_INK, font=font)
