"""DICOM, NIfTI and MGH with damaged headers: slices, or one of our errors, and not a word."""

from __future__ import annotations

import gzip
import struct
import sys
import warnings
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.uid import RLELossless

from dicoms import SECRETS, content, draw
from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import read_slices

GREY = (np.add.outer(np.arange(20) * 9, np.arange(16)) % 250).astype(np.int16)

# Small enough that a damaged header cannot ask for much work; decoded here, where it is seen.
LIMITS = Limits(
    max_pixels=10**5,
    max_frames=16,
    max_total_pixels=3 * 10**5,
    max_unpacked=10**6,
    max_elements=5000,
    seconds=None,
)

quick = settings(
    max_examples=80,
    phases=[Phase.explicit, Phase.generate],  # a failure is said at once
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def enhanced() -> Any:
    """Three frames, each with a place of its own."""
    dataset = draw(np.stack([GREY] * 3), NumberOfFrames=3)
    del dataset.ImagePositionPatient
    groups = []
    for z in range(3):
        place, group, window = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [0, 0, 3 * z]
        window.WindowCenter, window.WindowWidth = 100, 200
        group.PlanePositionSequence, group.FrameVOILUTSequence = [place], [window]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    return dataset


def packed() -> Any:
    dataset = draw(GREY)
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dataset


def deflated() -> Any:
    dataset = draw(GREY)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    return dataset


def volume(kind: Any, dtype: str = "i2") -> bytes:
    values = np.stack([GREY] * 3).astype(dtype)
    return bytes(kind(values, np.diag([2.0, 2.0, 3.0, 1.0])).to_bytes())


def implicit() -> bytes:
    dataset = draw(GREY)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    return content(dataset)


DICOM = {
    "plain": content(draw(GREY, RescaleSlope="2", RescaleIntercept="-5", WindowCenter="80",
                          WindowWidth="100", NumberOfFrames="1")),
    "enhanced": content(enhanced()),
    "packed": content(packed()),
    "deflated": content(deflated()),
    "implicit": implicit(),
    "bare": content(draw(GREY))[132:],
}  # fmt: skip
VOLUMES = {
    "nifti": volume(nib.Nifti1Image),
    "nifti2": volume(nib.Nifti2Image, "f4"),
    "nifti gz": gzip.compress(volume(nib.Nifti1Image, "u1"), mtime=0),
    "mgh": volume(nib.MGHImage),
    "mgz": gzip.compress(volume(nib.MGHImage, "f4"), mtime=0),
}
FILES = {**DICOM, **VOLUMES}


def peak() -> int:
    """Say how many bytes this process took at most, on Linux."""
    if sys.platform != "linux":
        return 0
    import resource  # noqa: PLC0415  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read_or_refuse(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Any error but the one promised goes through, and so does any warning."""
    before = peak()
    try:
        found = read_slices(data, limits=LIMITS)
    except UnreadableImageError as error:
        assert str(error).isprintable()  # noqa: PT017
        assert not [secret for secret in SECRETS if secret in str(error)]  # noqa: PT017
    else:
        assert found
        assert all(np.isfinite(picture.pixels).all() for picture in found)
    assert peak() - before < 64 * 2**20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", FILES)
def test_the_whole_file_is_read(name: str) -> None:
    assert len(read_slices(FILES[name], limits=LIMITS)) > (name == "enhanced")


@pytest.mark.parametrize("name", FILES)
@quick
@given(data=st.data())
def test_truncation_and_flips_are_survived(
    name: str, data: st.DataObject, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = bytearray(FILES[name])
    if data.draw(st.booleans()):
        del broken[data.draw(st.integers(1, len(broken))) :]
    places = st.integers(0, len(broken) - 1)
    for place in data.draw(st.lists(places, max_size=5)):
        broken[place] = data.draw(st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255]))
    read_or_refuse(bytes(broken), capfd)


LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")


def fields(data: bytes, start: int = 132) -> list[tuple[int, int, int]]:
    """Find the elements of a file that is explicit: where length and value are, and how long."""
    found, at = [], start
    while at + 8 <= len(data):
        long = data[at + 4 : at + 6] in LONG
        length = struct.unpack_from("<I" if long else "<H", data, at + (8 if long else 6))[0]
        value = at + (12 if long else 8)
        found.append((value - (4 if long else 2), value, 4 if long else 2))
        if length == 2**32 - 1 or data[at : at + 4] == b"\xe0\x7f\x10\0":
            return found
        at = value + length
    return found


NUMBERS = st.sampled_from([0, 1, 2, 7, 8, 255, 256, 2**15, 2**16 - 1]) | st.integers(0, 2**16 - 1)
TEXTS = st.sampled_from(
    [
        b"1e309",
        b"-1",
        b"0",
        b"nan",
        b"inf",
        b"9" * 16,
        b"1\\2",
        b"\\\\",
        b"\xff\xfe",
        b"\x1b$B",
        b"",
    ]
) | st.binary(max_size=16)


@pytest.mark.parametrize("name", ["plain", "enhanced", "packed"])
@quick
@given(data=st.data())
def test_any_field_of_a_dicom_header_may_say_anything(
    name: str, data: st.DataObject, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = bytearray(DICOM[name])
    places = fields(DICOM[name])
    for _ in range(data.draw(st.integers(1, 3))):
        length_at, value_at, size = data.draw(st.sampled_from(places))
        if data.draw(st.integers(0, 4)) == 0:  # its length lies
            broken[length_at : length_at + size] = (
                data.draw(NUMBERS)
                .to_bytes(2, "little")
                .ljust(size, data.draw(st.sampled_from([b"\0", b"\xff"])))
            )
            continue
        length = int.from_bytes(broken[length_at : length_at + size], "little")
        length = min(length, 64)  # it may lie by now, or not be known
        value = data.draw(NUMBERS).to_bytes(2, "little") if length == 2 else data.draw(TEXTS)
        broken[value_at : value_at + length] = value[:length].ljust(length, b" ")[:length]
    read_or_refuse(bytes(broken), capfd)


# NIfTI-1: where each field is, and its form; https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
NIFTI = [(40 + 2 * i, "h") for i in range(8)] + [(70, "h"), (72, "h"), (252, "h"), (254, "h")]
NIFTI += [(76 + 4 * i, "f") for i in range(8)] + [(108, "f"), (112, "f"), (116, "f")]
NIFTI += [(256 + 4 * i, "f") for i in range(18)] + [(0, "i"), (124, "f"), (128, "f")]
WHOLE = st.sampled_from([0, 1, -1, 2, 4, 16, 128, 511, 512, 32767, -32768]) | st.integers(-9, 2048)
REAL = st.sampled_from([0.0, -0.0, 1e38, -1e38, 1e-38, float("inf"), float("nan"), 352.0, -1.0])


@pytest.mark.parametrize("order", "<>")
@quick
@given(data=st.data())
def test_any_field_of_a_nifti_header_may_say_anything(
    order: str, data: st.DataObject, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = FILES["nifti"]
    if order == ">":
        image = nib.Nifti1Image.from_bytes(whole)
        whole = nib.Nifti1Image(
            np.asarray(image.dataobj), image.affine, nib.Nifti1Header(endianness=">")
        ).to_bytes()
    broken = bytearray(whole)
    for place, form in data.draw(st.lists(st.sampled_from(NIFTI), min_size=1, max_size=4)):
        value = data.draw(WHOLE if form in "hi" else REAL | st.floats(width=32))
        struct.pack_into(order + form, broken, place, value)
    read_or_refuse(bytes(broken), capfd)


@quick
@given(data=st.data())
def test_any_field_of_an_mgh_header_may_say_anything(
    data: st.DataObject, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = bytearray(FILES["mgh"])
    for i in data.draw(st.lists(st.integers(1, 21), min_size=1, max_size=4)):
        if i < 7:
            struct.pack_into(">i", broken, 4 * i, data.draw(WHOLE | st.just(2**31 - 1)))
        else:
            struct.pack_into(">f", broken, 2 + 4 * i, data.draw(REAL | st.floats(width=32)))
    read_or_refuse(bytes(broken), capfd)


def test_nibabel_says_to_others_what_it_said_before(caplog: pytest.LogCaptureFixture) -> None:
    logger = nib.imageglobals.logger
    before = list(logger.handlers)
    odd = bytearray(FILES["nifti"])
    struct.pack_into("<h", odd, 252, 511)  # a qform_code that there is not
    assert read_slices(bytes(odd))
    assert not caplog.records
    assert (logger.handlers, logger.filters) == (before, [])
    nib.Nifti1Image.from_bytes(bytes(odd))
    assert "qform_code 511" in caplog.text


def test_an_odd_extension_of_nifti_is_passed_over_without_a_word() -> None:
    """Found by fuzzing: nibabel warns of its size."""
    whole = bytearray(FILES["nifti"])
    whole[348:352] = b"\1\0\0\0"
    whole[352:352] = struct.pack("<ii", 20, 4) + bytes(12)
    struct.pack_into("<f", whole, 108, 372)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert read_slices(bytes(whole))
    assert told == []


# Headers of very many elements.

ITEM = b"\xfe\xff\0\xe0\0\0\0\0"


def stuffed(kind: str, count: int) -> bytes:
    """Put very many elements, or items, before the pixels."""
    whole = DICOM["plain"]
    at = whole.index(b"\xe0\x7f\x10\0")
    groups = b"\0\x52\x30\x92SQ\0\0"  # PerFrameFunctionalGroupsSequence
    many = {
        "items": groups + struct.pack("<I", 8 * count) + ITEM * count,
        "items without a length": groups + b"\xff" * 4 + ITEM * count + b"\xfe\xff\xdd\xe0\0\0\0\0",
        "elements": b"".join(struct.pack("<HH2sH", 0x5401, i, b"LO", 0) for i in range(count)),
        "elements in an item": groups
        + struct.pack("<I", 8 * count + 8)
        + ITEM[:4]
        + struct.pack("<I", 8 * count)
        + b"".join(struct.pack("<HH2sH", 0x5401, i, b"LO", 0) for i in range(count)),
    }[kind]
    return whole[:at] + many + whole[at:]


@pytest.mark.parametrize(
    "kind", ["items", "items without a length", "elements", "elements in an item"]
)
def test_very_many_elements_are_refused(kind: str) -> None:
    few = stuffed(kind, 100)
    assert len(read_slices(few)) == 1
    with pytest.raises(UnreadableImageError, match="more than 5,000 elements") as caught:
        read_slices(stuffed(kind, 6000), limits=LIMITS)
    assert "Limits.max_elements" in str(caught.value)


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_table_that_is_none_is_not_parsed(name: str) -> None:
    whole = DICOM["plain"]
    at = whole.index(b"\xe0\x7f\x10\0")
    tag = struct.pack("<HH", 0x28, 0x3000 if name.startswith("M") else 0x3010)
    at = whole.index(struct.pack("<HH2s", 0x28, 0x1053, b"DS")) + 10  # in order of tags
    many = tag + b"SQ\0\0" + struct.pack("<I", 8 * 2**18) + ITEM * 2**18
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        read_slices(whole[:at] + many + whole[at:])
