"""The table of TIFF in docs/preparation.md says what is read; if not, the test prints it anew."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tiffs import CANNOT_BE_WRITTEN, DTYPES, LAYOUTS, agree, draw, grey_of, write
from tumorlens.errors import UnreadableImageError
from tumorlens.images.read import read_slices

DOCUMENT = Path(__file__).parents[2] / "docs" / "preparation.md"
PACKINGS = {
    "none": None,
    "LZW": "lzw",
    "deflate": "deflate",
    "PackBits": "packbits",
    "LZMA": "lzma",
    "Zstandard": "zstd",
    "PNG": "png",
    "JPEG 2000": "jpeg2000",
    "JPEG": "jpeg",
}


def smooth(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Values that lossy packings keep nearly."""
    axes = [np.linspace(0, 200, n) for n in shape]
    return (sum(np.meshgrid(*axes, indexing="ij")) / len(shape)).astype(dtype)  # type: ignore[no-any-return]


def read_as_written(dtype: str, layout: str, packing: str, **options: Any) -> str | None:
    """Write a TIFF and read it; ``None`` when there is none such."""
    shape, more = LAYOUTS[layout]
    lossy = packing == "JPEG"
    values = (smooth if lossy else draw)(dtype, shape)
    try:
        data = write(values, **{**more, "compression": PACKINGS[packing], **options})
    except CANNOT_BE_WRITTEN:
        return None
    try:
        (found,) = read_slices(data)
    except UnreadableImageError:
        return "refused"
    expected = grey_of(values, layout)
    if lossy:
        return "near" if np.abs(found.pixels - expected).mean() < 2 else "other"
    return "equal" if agree(found.pixels, expected) else "other"


def cell(dtype: str, packing: str) -> str:
    """Say of all layouts, orders, predictors and of BigTIFF at once what becomes of them."""
    found: dict[str, set[str]] = {"<": set(), ">": set()}
    for layout, order, big, predictor in itertools.product(
        LAYOUTS, "<>", (False, True), (False, True)
    ):
        if predictor and packing not in ("LZW", "deflate", "Zstandard"):
            continue
        if (big or (order == ">" and predictor)) and packing not in ("none", "deflate"):
            continue  # tried where it costs least
        how = {"byteorder": order, "bigtiff": big, "predictor": predictor}
        answer = read_as_written(dtype, layout, packing, **how)
        if answer is not None:
            found[order].add(answer)
    little, big_endian = found["<"], found[">"]
    if not little | big_endian:
        return "–"
    if little == big_endian and len(little) == 1:
        return little.pop()
    if little == {"equal"} and big_endian == {"refused"}:
        return "equal; refused if big-endian"
    return "; ".join(sorted(little | big_endian))


def special() -> dict[str, str]:
    """What has no place in the table of numbers."""
    ramp = smooth("uint8", (37, 53))
    colours = np.zeros((3, 256), np.uint16)
    colours[:] = np.arange(256) * 257
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, "TIFF", compression="jpeg", quality=95)
    dots = ramp % 7 > 3
    files: dict[str, tuple[bytes, NDArray[Any]]] = {
        "palette of 256 colours": (
            write(ramp, photometric="palette", colormap=colours),
            ramp,
        ),
        "bilevel": (write(dots, photometric="minisblack"), dots * 255),
        "bilevel, PackBits": (
            write(dots, photometric="minisblack", compression="packbits"),
            dots * 255,
        ),
        "bilevel, white is zero": (write(~dots, photometric="miniswhite"), dots * 255),
        "fax (CCITT group 4)": (fax(dots), dots * 255),
        "JPEG, as Pillow writes it": (stream.getvalue(), ramp),
        "a smaller copy in a SubIFD": (pyramid(ramp), ramp),
        "CMYK, 8 bits": (cmyk(ramp), ramp),
        "complex numbers": (write(ramp.astype(np.complex64), photometric="minisblack"), ramp),
        "five values a pixel": (
            write(np.dstack([ramp] * 5), photometric="minisblack", planarconfig="contig"),
            ramp,
        ),
    }
    answers = {}
    for name, (data, expected) in files.items():
        try:
            (found,) = read_slices(data)
            near = np.abs(found.pixels.astype(float) - expected).max() <= (4 if "J" in name else 1)
            answers[name] = "equal" if near else "other"
        except UnreadableImageError:
            answers[name] = "refused"
    return answers


def fax(dots: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(dots).save(stream, "TIFF", compression="group4")
    return stream.getvalue()


def cmyk(grey: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    black = np.dstack([np.zeros_like(grey)] * 3 + [255 - grey])
    Image.fromarray(black, "CMYK").save(stream, "TIFF")
    return stream.getvalue()


def pyramid(grey: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(grey, subifds=1, photometric="minisblack")
        file.write(grey[::2, ::2], subfiletype=1, photometric="minisblack")
    return stream.getvalue()


def table() -> str:
    """Lay it all out in Markdown."""
    rows = [f"| | {' | '.join(PACKINGS)} |", "|---" * (len(PACKINGS) + 1) + "|"]
    rows += [
        f"| {dtype} | {' | '.join(cell(dtype, packing) for packing in PACKINGS)} |"
        for dtype in DTYPES
    ]
    rows += ["", "| and | |", "|---|---|"]
    rows += [f"| {name} | {answer} |" for name, answer in special().items()]
    return "\n".join(rows)


def test_the_table_in_the_documentation_is_what_is_read() -> None:
    now = table()
    assert "other" not in now
    assert now in DOCUMENT.read_text(encoding="utf-8"), now
