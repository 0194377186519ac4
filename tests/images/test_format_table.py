"""The tables of docs/formats.md say what is read; if not, the test prints them anew.

The answer for a drawn head as DICOM or volume is compared with that for the same head as PNG.
Real files are those that pydicom and nibabel carry for their tests.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid as uids
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from dicoms import content, draw
from tumorlens.classifier import Classifier, load
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import UnreadableImageError
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of odd real files

DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"
HEAD = draw_phantom("glioma", 300_003).pixels
DEEP = HEAD.astype(np.uint16) * 16
SIGNED = (HEAD.astype(np.int16) - 100) * 8

Grey = NDArray[Any]


def stored(syntax: str, **changes: Any) -> bytes:
    dataset = draw(DEEP, **changes)
    dataset.file_meta.TransferSyntaxUID = getattr(uids, syntax)
    return content(dataset)


def big_endian() -> bytes:
    dataset = draw(DEEP)
    dataset.file_meta.TransferSyntaxUID = uids.ExplicitVRBigEndian
    dataset["PixelData"].VR = "OW"
    dataset.PixelData = DEEP.astype(">u2").tobytes()
    return content(dataset)


def compressed(syntax: str, values: Grey = DEEP) -> bytes:
    dataset = draw(values)
    dataset.compress(getattr(uids, syntax), generate_instance_uid=False)
    return content(dataset)


def coded(syntax: str, data: bytes, values: Grey = DEEP, **changes: Any) -> bytes:
    dataset = draw(values, **changes)
    dataset.PixelData = encapsulate([data])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = getattr(uids, syntax)
    return content(dataset)


def baseline() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(HEAD).save(stream, "JPEG", quality=95)
    return coded("JPEGBaseline8Bit", stream.getvalue(), HEAD)


def colour(**changes: Any) -> bytes:
    return content(draw(np.dstack([HEAD] * 3), **changes))


def palette() -> bytes:
    dataset = draw(HEAD, PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = (np.arange(256) * 257).astype("<u2").tobytes()
        setattr(dataset, f"{name}PaletteColorLookupTableData", table)
    return content(dataset)


def without_beginning(length: int) -> bytes:
    whole = content(draw(DEEP))
    return whole[length or 144 + int.from_bytes(whole[140:144], "little") :]


LJPEG = imagecodecs.ljpeg_encode(DEEP, bitspersample=16)
HTJ2K = imagecodecs.htj2k_encode(DEEP, reversible=True)

DICOM: dict[str, Callable[[], bytes]] = {
    "implicit little endian": lambda: stored("ImplicitVRLittleEndian"),
    "explicit little endian": lambda: stored("ExplicitVRLittleEndian"),
    "explicit big endian": big_endian,
    "deflated": lambda: stored("DeflatedExplicitVRLittleEndian"),
    "without preamble": lambda: without_beginning(132),
    "without first part (file meta)": lambda: without_beginning(0),
    "unsigned 8 bits": lambda: content(draw(HEAD)),
    "signed 8 bits": lambda: content(draw((HEAD.astype(np.int16) - 128).astype(np.int8))),
    "signed 16 bits": lambda: content(draw(SIGNED)),
    "unsigned 32 bits": lambda: content(draw(HEAD.astype(np.uint32) * 1000)),
    "signed 32 bits": lambda: content(draw(SIGNED.astype(np.int32))),
    "12 bits of 16, an overlay in the others": lambda: content(
        draw(DEEP | np.uint16(0xF000), BitsStored=12, HighBit=11)
    ),
    "bits that lie apart": lambda: content(draw(DEEP, BitsStored=12, HighBit=15)),
    "rescale": lambda: content(draw(DEEP, RescaleSlope="0.5", RescaleIntercept="-100")),
    "several windows": lambda: content(
        draw(DEEP, WindowCenter=["2000", "9"], WindowWidth=["4000", "3"])
    ),
    "MONOCHROME1": lambda: content(
        draw(4095 - DEEP, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1")
    ),
    "RGB": colour,
    "YBR_FULL": lambda: content(
        draw(
            np.dstack([HEAD, np.full_like(HEAD, 128), np.full_like(HEAD, 128)]),
            PhotometricInterpretation="YBR_FULL",
        )
    ),
    "palette": palette,
    "RLE": lambda: compressed("RLELossless"),
    "JPEG baseline (lossy)": baseline,
    "JPEG lossless": lambda: coded("JPEGLossless", LJPEG),
    "JPEG lossless, first order": lambda: coded("JPEGLosslessSV1", LJPEG),
    "JPEG-LS lossless": lambda: compressed("JPEGLSLossless"),
    "JPEG-LS lossless, signed": lambda: compressed("JPEGLSLossless", SIGNED),
    "JPEG 2000 lossless": lambda: compressed("JPEG2000Lossless"),
    "JPEG 2000 (lossy)": lambda: coded("JPEG2000", imagecodecs.jpeg2k_encode(DEEP, level=90)),
    "HTJ2K lossless": lambda: coded("HTJ2KLossless", HTJ2K),
    "compressed, cut short": lambda: compressed("JPEG2000Lossless")[:-4000],
    "compressed by a private way": lambda: coded("RLELossless", bytes(99)).replace(
        b"1.2.840.10008.1.2.5", b"1.2.840.99999.1.2.5"
    ),
    "video (MPEG2)": lambda: coded("MPEG2MPML", bytes(99)),
    "no picture": lambda: content(draw(DEEP, Rows=0)),
}  # fmt: skip


def volume(values: Grey, kind: Any = nib.Nifti1Image, **options: Any) -> bytes:
    """Lay the head flat, as one axial slice that is seen as the picture is."""
    laid = values.T[..., np.newaxis] if values.ndim == 2 else values
    return bytes(kind(laid, np.diag([-1.0, -1.0, 1.0, 1.0]), **options).to_bytes())


def rgb() -> Grey:
    values = np.zeros(HEAD.T.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name in "RGB":
        values[name] = HEAD.T
    return values[..., np.newaxis]


def scaled() -> bytes:
    raw = bytearray(volume(HEAD.astype(np.int16)))
    raw[112:120] = np.array([2.5, -7], "<f4").tobytes()
    return bytes(raw)


VOLUMES: dict[str, Callable[[], bytes]] = {
    **{
        f"NIfTI-1, {np.dtype(kind).name}": lambda kind=kind: volume(  # type: ignore[misc]
            HEAD.astype(kind), dtype=np.dtype(kind)
        )
        for kind in ("u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
    },
    "NIfTI-1, big endian": lambda: volume(
        HEAD.astype(">i2"), header=nib.Nifti1Header(endianness=">")
    ),
    "NIfTI-1, slope and intercept": scaled,
    "NIfTI-1, colour": lambda: volume(rgb()),
    "NIfTI-1, complex": lambda: volume(HEAD.astype(np.complex64)),
    "NIfTI-1, gzip": lambda: gzip.compress(volume(HEAD)),
    "NIfTI-1, 2 axes": lambda: bytes(
        nib.Nifti1Image(HEAD.T, np.diag([-1.0, -1.0, 1.0, 1.0])).to_bytes()
    ),
    "NIfTI-1, 4 axes (the first volume)": lambda: volume(
        np.stack([HEAD.T, HEAD.T[::-1]], -1)[:, :, np.newaxis]
    ),
    "NIfTI-2": lambda: volume(HEAD, nib.Nifti2Image),
    "MGH": lambda: volume(HEAD, nib.MGHImage),
    "MGZ": lambda: gzip.compress(volume(HEAD.astype(np.float32), nib.MGHImage)),
    "half of a pair (.hdr alone)": lambda: volume(HEAD).replace(b"n+1\0", b"ni1\0"),
    "NIfTI-1, cut short": lambda: volume(HEAD)[:-100],
}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The network that ships."""
    return load(threads=1)


def answer(difference: float) -> str:
    for bound, words in ((5e-4, "the same"), (0.01, "within 0.01"), (0.05, "within 0.05")):
        if difference < bound:
            return words
    return f"other by {difference:.2f}"


def compare(classifier: Classifier, found: Any, plain: Any) -> str:
    one, two = (classifier.predict(x).probabilities for x in (found, plain))
    return answer(max(abs(one[name] - two[name]) for name in one))


def greys(picture: Slice, plain: Grey) -> tuple[str, Grey]:
    """Say whether the greys are those of a plain picture, but for brightness and contrast."""
    flat = plain if plain.ndim == 2 else plain[..., :3] @ np.array([0.299, 0.587, 0.114])
    values = flat.astype(np.float64)
    values[~np.isfinite(values)] = values[np.isfinite(values)].min()
    found = picture.pixels.astype(np.float64)
    spread = values - values.mean()
    slope = (spread * (found - found.mean())).sum() / max(float((spread**2).sum()), 1e-12)
    offset = found.mean() - slope * values.mean()
    fitted = (slope * values + offset).astype(np.float32)
    off = np.abs(fitted - picture.pixels).max() / max(float(np.ptp(picture.pixels)), 1e-9)
    return "equal" if off < 1e-4 else "near" if off < 0.1 else "other", fitted


def drawn(classifier: Classifier, files: dict[str, Callable[[], bytes]]) -> Iterator[str]:
    stream = io.BytesIO()
    Image.fromarray(HEAD).save(stream, "PNG")
    for name, make in files.items():
        try:
            picture = read_slices(make())[0]
            said = f"{greys(picture, HEAD)[0]} | {compare(classifier, picture, stream.getvalue())}"
        except UnreadableImageError as error:
            said = f"refused | {error.found.split(' (')[0]}"
        yield f"| {name} | {said} |"


def real_dicom() -> Iterator[tuple[str, Callable[[], Grey]]]:
    folder = Path(str(get_testdata_file("MR_small.dcm"))).parent
    for path in sorted(folder.glob("*.dcm")):

        def plain(path: Path = path) -> Grey:
            dataset = pydicom.dcmread(path)
            values = pydicom.pixels.pixel_array(dataset, index=0)
            if dataset.PhotometricInterpretation == "PALETTE COLOR":
                return np.asarray(pydicom.pixels.apply_color_lut(values, dataset))
            return np.asarray(values)

        yield str(path), plain


def real_volumes() -> Iterator[tuple[str, Callable[[], Grey]]]:
    folder = Path(nib.__file__).parent / "tests" / "data"
    for path in sorted([*folder.glob("*.nii*"), *folder.glob("*.hdr"), *folder.glob("*.mg[hz]")]):

        def plain(path: Path = path) -> Grey:
            values = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)
            values = values[..., 0] if values.ndim == 4 else values
            return np.asarray(values[::-1, ::-1, values.shape[2] // 2].T)

        yield str(path), plain


def real(classifier: Classifier, files: Iterator[tuple[str, Callable[[], Grey]]]) -> Iterator[str]:
    for path, plain in files:
        try:
            found = read_slices(path)
        except UnreadableImageError as error:
            yield f"| {Path(path).name} | refused | {error.found.split(' (')[0]} |"
            continue
        picture = found[len(found) // 2 if "nibabel" in path else 0]
        try:
            other = plain()
        except (RuntimeError, ValueError, AttributeError):  # none of theirs takes it
            yield f"| {Path(path).name} | read | its own library gives no picture |"
            continue
        if other.shape[:2] != picture.pixels.shape:
            yield f"| {Path(path).name} | read | its pixels are made square |"
            continue
        said, fitted = greys(picture, other)
        same = compare(classifier, picture, replace(picture, pixels=fitted))
        yield f"| {Path(path).name} | {said} | {same} |"


def tables(classifier: Classifier) -> dict[str, str]:
    head = ["| file | greys | answer |", "|---|---|---|"]
    made = {
        "DICOM": drawn(classifier, DICOM),
        "Volumes": drawn(classifier, VOLUMES),
        "pydicom's": real(classifier, real_dicom()),
        "nibabel's": real(classifier, real_volumes()),
    }
    return {name: "\n".join([*head, *rows]) for name, rows in made.items()}


def test_the_tables_in_the_documentation_are_what_is_read(classifier: Classifier) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for now in tables(classifier).values():
        assert "| other" not in now, now
        assert now in text, now
