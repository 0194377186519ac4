"""TIFF: the values that were written, or a refusal that names what is not read."""

from __future__ import annotations

import io
import itertools
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tiffs import CANNOT_BE_WRITTEN, DTYPES, LAYOUTS, agree, draw, grey_of, write
from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices

PACKINGS: tuple[tuple[str | None, bool], ...] = (
    (None, False),
    ("lzw", False),
    ("lzw", True),
    ("deflate", False),
    ("deflate", True),
    ("packbits", False),
    ("lzma", False),
    ("zstd", False),
    ("png", False),
    ("jpeg2000", False),
)


def with_tags(data: bytes, changes: dict[int, dict[int | None, int]]) -> bytes:
    """Change values of tags: from what (None: anything) to what, on every page."""
    changed = bytearray(data)
    (page,) = struct.unpack_from("<I", data, 4)
    while page:
        (count,) = struct.unpack_from("<H", data, page)
        for place in range(page + 2, page + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from("<HHII", data, place)
            value = value if kind == 4 else value & 0xFFFF
            for before, after in changes.get(tag, {}).items():
                if before in (None, value):
                    struct.pack_into("<HI", changed, place + 2, 4, 1)
                    struct.pack_into("<I", changed, place + 8, after)
        (page,) = struct.unpack_from("<I", data, page + 2 + 12 * count)
    return bytes(changed)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_read_as_written(dtype: str, layout: str) -> None:
    shape, options = LAYOUTS[layout]
    values, wrong, count = draw(dtype, shape), [], 0
    for (compression, predictor), order in itertools.product(PACKINGS, "<>"):
        if compression in ("png", "jpeg2000") and (
            dtype[-2:] in ("32", "64") or (order == ">" and dtype != "uint8")
        ):
            continue  # tifffile writes other values into such a file than it is given
        how = {"byteorder": order, "compression": compression, "predictor": predictor}
        try:
            data = write(values, **{"photometric": "minisblack", **options, **how})
        except CANNOT_BE_WRITTEN:
            continue  # there is no such TIFF
        count += 1
        (found,) = read_slices(data)
        if not agree(found.pixels, grey_of(values, layout)):
            wrong.append(how)
    assert not wrong
    assert count >= 10


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32"])
def test_deep_pictures_inside_that_nobody_can_order_are_refused(dtype: str, order: str) -> None:
    values = draw(dtype, (40, 40))
    data = write(values, byteorder=order, compression="jpeg2000", photometric="minisblack")
    if (dtype[-2:], order) == ("16", "<"):
        assert len(read_slices(data)) == 1
    else:
        with pytest.raises(UnreadableImageError, match=f"{dtype} values compressed by JPEG2000"):
            read_slices(data)


@pytest.mark.parametrize(
    ("values", "options", "found"),
    [
        (np.ones((40, 50), np.complex64), {}, "no real numbers"),
        (np.ones((40, 50, 5), np.uint16), {"planarconfig": "contig"}, "5 values a pixel"),
        (np.ones((40, 50, 4), np.uint16), {"photometric": "separated"}, "SEPARATED of 16 bits"),
        (
            np.ones((16, 32, 48), np.float32),
            {"volumetric": True, "tile": (16, 16, 16)},
            "a volume of 16 slices",
        ),
        (np.ones((40, 50), np.float32), {"compression": "lerc"}, "compressed by LERC"),
    ],
)
def test_what_is_not_read_is_refused_by_name(
    values: NDArray[Any], options: dict[str, Any], found: str
) -> None:
    data = write(values, **{"photometric": "minisblack", **options})
    with pytest.raises(UnreadableImageError, match=found) as caught:
        read_slices(data)
    assert "grey PNG" in str(caught.value)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
@pytest.mark.parametrize("kind", [1, 4, 5])
def test_thumbnails_and_masks_are_no_slices(dtype: str, kind: int) -> None:
    whole = draw(dtype, (64, 48))
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(whole[::4, ::4], subfiletype=1, photometric="minisblack")
        file.write(whole, photometric="minisblack")
        file.write(whole[::2, ::2] > 0, subfiletype=1, photometric="minisblack")
        file.write(whole[::-1], subfiletype=2, photometric="minisblack")
    found = read_slices(with_tags(stream.getvalue(), {254: {1: kind}}))
    assert [part.index for part in found] == [0, 1]
    assert [part.pixels.shape for part in found] == [(64, 48), (64, 48)]
    np.testing.assert_array_equal(found[0].pixels, found[1].pixels[::-1])


@pytest.mark.filterwarnings("ignore:.*truncating ImageJ file")
@pytest.mark.parametrize("imagej", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_stack_behind_one_page_is_read_whole(dtype: str, *, imagej: bool) -> None:
    """As ImageJ and tifffile write what is larger than 4 GB."""
    values = draw(dtype, (6, 20, 30))
    whole = write(values, imagej=imagej, truncate=True, photometric="minisblack")
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        assert len(file.pages) == 1
    found = read_slices(whole)
    assert [part.index for part in found] == list(range(6))
    for part, expected in zip(found, values, strict=True):
        assert agree(part.pixels, expected.astype(np.float64))
    with pytest.raises(UnreadableImageError, match="truncated before slice 5"):
        read_slices(whole[:-100])
    with pytest.raises(UnreadableImageError, match="more than 2,000 pixels"):
        read_slices(whole, limits=Limits(max_total_pixels=2000))


@pytest.mark.parametrize("told", ["images=57", "images=-3", "images=x", "images=999999999999"])
def test_a_description_that_outlived_its_stack_is_not_believed(told: str) -> None:
    data = write(draw("uint8", (20, 30)), description=f"ImageJ=1.54\n{told}\n", metadata=None)
    assert len(read_slices(data)) == 1


def test_a_stack_that_claims_to_be_huge_is_refused_before_it_is_read() -> None:
    data = write(
        draw("uint8", (20, 30)), description="ImageJ=1.5\nimages=99999999\n", metadata=None
    )
    with pytest.raises(UnreadableImageError, match="more than 2,048"):
        read_slices(data + bytes(20 * 30))


def test_a_file_of_nothing_but_a_thumbnail_gives_it() -> None:
    data = write(draw("uint8", (20, 30)), subfiletype=1, photometric="minisblack")
    assert len(read_slices(data)) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_stand_upright_as_eight_bits_do(orientation: int) -> None:
    values = np.arange(6 * 4).reshape(6, 4).astype(np.int8)
    tag = [(274, "H", 1, orientation, True)]
    deep = read_slices(write(values, extratags=tag, photometric="minisblack"))
    eight = read_slices(write(values.astype(np.uint8), extratags=tag, photometric="minisblack"))
    np.testing.assert_array_equal(deep[0].pixels, eight[0].pixels)


def test_the_two_swapped_bytes_of_some_writers_are_forgiven() -> None:
    for order, sign in (("<", b"II\0*"), (">", b"MM*\0")):
        values = draw("int32", (20, 30))
        data = sign + write(values, byteorder=order, photometric="minisblack")[4:]
        assert agree(read_slices(data)[0].pixels, values.astype(np.float64))


# Damage.


def test_a_page_that_is_missing_is_not_passed_over() -> None:
    data = bytearray(write(np.ones((3, 20, 30), np.float64), photometric="minisblack"))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        second = file.pages[1].offset
    (tags,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * tags, len(data) + 64)
    with pytest.raises(UnreadableImageError, match="truncated after page 1"):
        read_slices(bytes(data))


@pytest.mark.parametrize(("tag", "value"), [(279, 0), (273, 0), (279, 10**6), (273, 4000)])
def test_data_that_is_not_there_is_not_made_up(tag: int, value: int) -> None:
    data = write(draw("float64", (20, 30)), photometric="minisblack")
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_slices(with_tags(data, {tag: {None: value}}))


@pytest.mark.parametrize("compression", ["deflate", "lzma", "png", "jpeg2000"])
def test_data_that_grows_beyond_its_page_is_refused(compression: str) -> None:
    """A page of 16 pixels whose data is that of 16 million."""
    huge = write(
        np.zeros((4000, 4000), np.uint16),
        compression=compression,
        rowsperstrip=4000,
        photometric="miniswhite",  # which Pillow does not decode
    )
    data = with_tags(huge, {256: {4000: 4}, 257: {4000: 4}, 278: {4000: 4}})
    limits = Limits(max_pixels=10_000)
    with pytest.raises(UnreadableImageError, match="more data than pixels"):
        read_slices(data, limits=limits)


def test_a_page_that_claims_to_be_huge_is_refused_before_it_is_decoded() -> None:
    data = write(np.zeros((300, 300)), photometric="minisblack")
    with pytest.raises(UnreadableImageError, match="more than 1,000 pixels"):
        read_slices(data, limits=Limits(max_pixels=1000))


# The plain installation.


def test_without_the_extra_a_picture_is_read_or_told_what_to_install() -> None:
    """Where imagecodecs is not there, in a process of its own."""
    files = {
        f"{dtype} {compression} {order}": write(
            draw(dtype, (30, 40)), compression=compression, byteorder=order
        )
        for dtype, compression, order in itertools.product(
            ("uint8", "uint16", "int16", "float32", "float64"), (None, "deflate", "lzw"), "<>"
        )
    }
    code = """if True:
        import pickle, sys
        sys.modules["imagecodecs"] = None
        from tumorlens.errors import UnreadableImageError
        from tumorlens.images import tiff
        from tumorlens.images.limits import Limits
        from tumorlens.images.read import read_slices
        tiff.installed = lambda module: False
        answers = {}
        for name, data in pickle.load(sys.stdin.buffer).items():
            try:
                answers[name] = read_slices(data, limits=Limits(seconds=None))[0].pixels
            except UnreadableImageError as error:
                answers[name] = str(error)
        pickle.dump(answers, sys.stdout.buffer)
    """
    import pickle  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(files), capture_output=True, check=True
    )
    refused = set()
    for name, answer in pickle.loads(done.stdout).items():
        dtype, compression, _ = name.split()
        if isinstance(answer, str):
            assert f"{dtype} values compressed by LZW" in answer
            assert "pip install 'tumorlens[tiff]'" in answer
            refused.add((dtype, compression))
        else:
            assert agree(answer, draw(dtype, (30, 40)).astype(np.float64)), name
    assert ("float64", "lzw") in refused
    assert {compression for _, compression in refused} == {"lzw"}
    assert not {("uint8", "lzw"), ("uint16", "lzw")} & refused
    assert done.stderr == b""


def test_reading_a_png_loads_no_reader_of_tiff() -> None:
    stream = io.BytesIO()
    Image.fromarray(draw("uint8", (30, 40))).save(stream, "PNG")
    code = (
        "import sys; from tumorlens.images.read import read_slices; "
        "read_slices(sys.stdin.buffer); print('tifffile' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=stream.getvalue(), capture_output=True, check=True
    )
    assert done.stdout.split() == [b"False"]
