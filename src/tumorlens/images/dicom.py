"""One DICOM file: what its header says of the picture, and its greys, with pydicom.

Of the header only what the picture needs is looked at; who the patient is never is, so that
no name can come out again. Values are what the modality rescale makes of the stored numbers
(PS3.3 section C.11.1); a window is kept beside them and cuts nothing off.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import UnreadableImageError
from tumorlens.extras import require
from tumorlens.images.decoding import FAILURES, quiet, unlogged
from tumorlens.images.dicom_elements import Counted, Elements, Values, check_tables
from tumorlens.images.limits import Limits

__all__ = ["Frame", "Header", "explained", "read_dataset", "read_frame", "read_header"]

_HINT: Final = "open it in a DICOM viewer and save it again, uncompressed"
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_BARE: Final = frozenset(f"1.2.840.10008.1.2{rest}" for rest in ("", ".1", ".1.99", ".2"))

# What is looked at, and nothing else.
_WANTED: Final = (
    *("TransferSyntaxUID", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"),
    *("SeriesInstanceUID", "PatientID", "Modality", "BodyPartExamined", "ImageType"),
    "InstanceNumber",
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"),
    *("SpacingBetweenSlices", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"),
    *("TemporalPositionIdentifier", "EchoNumbers", "AcquisitionNumber", "DirectoryRecordSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one frame of a file lies and how its numbers become greys.

    Parameters
    ----------
    position, orientation, spacing
        In mm (LPS); ``None`` where the header does not say. Orientation is the direction of
        rows and then of columns; spacing is that between rows and between columns.
    thickness
        Of the slice in mm, or ``None``.
    window
        What stands for black and white, or ``None``.
    slope, intercept
        Of the modality rescale.
    """

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    window: tuple[float, float] | None
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a file says of its picture.

    Parameters
    ----------
    path
        The file, or ``None`` for bytes.
    instance, series
        Its own identifier and that of its series: never shown, only compared.
    number
        Its place in the series as the scanner counted: temporal position, echo,
        acquisition and instance.
    modality, body_part, image_type
        As the header has them, in capitals; empty where it does not say.
    rows, columns
        Of every frame.
    photometric
        Such as ``"MONOCHROME2"``.
    frames
        One for each picture in the file.
    compressed
        Whether a decoder has to unpack the pixels.
    """

    path: str | None
    instance: str
    series: str
    number: tuple[float, ...]
    modality: str
    body_part: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    photometric: str
    frames: tuple[Frame, ...]
    compressed: bool = False

    @property
    def is_localiser(self) -> bool:
        """Whether it is a scout picture, made to plan others."""
        return "LOCALIZER" in self.image_type


def read_header(data: Any, path: str | None, limits: Limits) -> Header:
    """Read what the header says of the picture.

    Parameters
    ----------
    data
        The content of the file, or at least all of it before the pixels; or a data set of
        pydicom.
    path
        The path as it was given, or ``None`` for bytes.
    limits
        What is too large.

    Raises
    ------
    UnreadableImageError
        When it is damaged, too large, or holds no picture.
    MissingExtraError
        When pydicom is not installed.
    """
    source = "<bytes>" if path is None else path
    with explained(source, "a DICOM file that is damaged"):
        counted = Elements(source, limits)
        dataset = _parse(data, source, limits, counted, pixels=False)
        header = _header(Values(dataset, counted), path, source, limits)
        return replace(header, compressed=dataset.file_meta.TransferSyntaxUID not in _BARE)


def read_frame(data: Any, header: Header, index: int, limits: Limits) -> NDArray[np.float32]:
    """Decode one frame of a file.

    Parameters
    ----------
    data
        The content of the file, or a data set of pydicom.
    header
        What `read_header` made of it.
    index
        Which frame.
    limits
        What is too large.

    Returns
    -------
    numpy.ndarray
        float32, ``(rows, columns)``, more is brighter, all finite. Colour is reduced to grey.

    Raises
    ------
    UnreadableImageError
        When it cannot be decoded, or a decoder of compressed pixels hangs or crashes.
    """
    source = "<bytes>" if header.path is None else header.path
    if header.compressed and limits.seconds is not None and isinstance(data, bytes):
        from tumorlens.images.apart import ask_apart  # noqa: PLC0415  # starts a process

        more = {"kind": "DICOM", "path": header.path, "index": index}
        what, keep = "a compressed DICOM picture", len(header.frames) > 1
        if (answer := ask_apart(data, source, limits, what, keep=keep, **more)) is not None:
            return answer[1][0]
    with explained(source, "a DICOM picture that cannot be decoded"):
        dataset = _parse(data, source, limits, Elements(source, limits), pixels=True)
        check_tables(dataset)
        grey = _grey(dataset, _stored(dataset, index), header.frames[index])
    if grey.shape != (header.rows, header.columns):
        found = f"a DICOM picture of {grey.shape} where its header has {header.rows} rows"
        raise UnreadableImageError(source, found, _HINT)
    return grey


def read_dataset(data: bytes, path: str | None, limits: Limits, *, pixels: bool) -> Any:
    """Parse a file whole, for those who write into its study or take its patient out.

    Its values are converted when they are asked for: ask inside `explained`.

    Parameters
    ----------
    data, path, limits
        As `read_header` takes them.
    pixels
        Whether to keep the pixels too.

    Returns
    -------
    pydicom.Dataset
        With everything that the header says, the patient's name too.

    Raises
    ------
    UnreadableImageError
        When it is damaged.
    MissingExtraError
        When pydicom is not installed.
    """
    source = "<bytes>" if path is None else path
    with explained(source, "a DICOM file that is damaged"):
        return _parse(data, source, limits, Elements(source, limits), pixels=pixels, tags=None)


def _stored(dataset: Any, index: int) -> NDArray[Any]:
    """Decode the numbers of a frame; colour as RGB, or as places in its palette."""
    if dataset.file_meta.TransferSyntaxUID == _EXTENDED and dataset.BitsStored > 8:
        # JPEG of twelve bits, which none of the decoders that pydicom knows takes.
        codecs = require("imagecodecs", "reading JPEG of twelve bits", "dicom")
        encaps = require("pydicom.encaps", "reading DICOM", "dicom")
        count = int(dataset.get("NumberOfFrames") or 1)
        frame = encaps.get_frame(dataset.PixelData, index, number_of_frames=count)
        return np.asarray(codecs.jpeg8_decode(frame))
    pixels = require("pydicom.pixels", "reading DICOM", "dicom")
    values = np.asarray(pixels.pixel_array(dataset, index=index))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return np.asarray(pixels.apply_color_lut(values, dataset))
    unused = values.dtype.itemsize * 8 - int(dataset.BitsStored)
    if values.dtype.kind == "i" and unused > 0:
        # JPEG-LS knows no sign: below the bits that are allocated, -1 comes as 4095.
        return values << unused >> unused
    return values


def _grey(dataset: Any, values: NDArray[Any], frame: Frame) -> NDArray[np.float32]:
    """Turn stored numbers into greys where more is brighter."""
    pixels = require("pydicom.pixels", "reading DICOM", "dicom")
    if values.ndim == 3:
        return np.asarray(values[..., :3].astype(np.float64) @ _LUMA, dtype=np.float32)
    if "ModalityLUTSequence" in dataset:
        grey = np.asarray(pixels.apply_modality_lut(values, dataset), dtype=np.float64)
    else:
        grey = values.astype(np.float64) * frame.slope + frame.intercept
    if "VOILUTSequence" in dataset and "ModalityLUTSequence" not in dataset and frame.slope == 1:
        grey = np.asarray(pixels.apply_voi(values, dataset), dtype=np.float64)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = -grey
    known = np.isfinite(grey)
    if not known.all():
        grey = np.where(known, grey, grey.min(where=known, initial=np.inf) if known.any() else 0)
    return grey.astype(np.float32)


def _parse(
    data: Any,
    source: str,
    limits: Limits,
    counted: Elements,
    *,
    pixels: bool,
    tags: tuple[str, ...] | None = _WANTED,
) -> Any:
    """Parse a file: with its pixels, or its header, or some of that; take a data set as it is."""
    pydicom = require("pydicom", "reading DICOM", "dicom")
    if not isinstance(data, bytes):
        return _with_syntax(data)
    stream = Counted(_inflated(data, source, limits), counted)
    wanted = None if pixels or tags is None else list(tags)
    dataset = pydicom.dcmread(
        stream, force=True, stop_before_pixels=not pixels, specific_tags=wanted
    )
    if not dataset.file_meta.get("TransferSyntaxUID"):  # a file without its first part
        implicit, little = dataset.original_encoding
        uid = pydicom.uid
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _with_syntax(given: Any) -> Any:
    """Copy a data set that is in memory, with the name of its encoding, which it may lack."""
    uid = require("pydicom.uid", "reading DICOM", "dicom")
    dataset = copy.copy(given)
    meta = copy.copy(getattr(given, "file_meta", None))
    if not getattr(meta, "TransferSyntaxUID", None):
        meta = require("pydicom.dataset", "reading DICOM", "dicom").FileMetaDataset()
        big = given.original_encoding[1] is False
        meta.TransferSyntaxUID = uid.ExplicitVRBigEndian if big else uid.ExplicitVRLittleEndian
    dataset.file_meta = meta
    return dataset


def _inflated(data: bytes, source: str, limits: Limits) -> bytes:
    """Unpack a deflated file here, where it is bounded; give others as they are."""
    if _DEFLATED not in data[:2048] or data[128:132] != b"DICM":
        return data
    end = 144 + int.from_bytes(data[140:144], "little")
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    content = unpacker.decompress(data[end:], limits.room(len(data)) + 1)
    limits.check_unpacked(source, len(content), len(data))
    # Said to be plain from here on: the identifier is as long as the other with its zeros.
    plain = b"1.2.840.10008.1.2.1".ljust(len(_DEFLATED), b"\0")
    return data[:end].replace(_DEFLATED, plain) + content


def _header(found: Values, path: str | None, source: str, limits: Limits) -> Header:
    if "DirectoryRecordSequence" in found:
        hint = "give the folder that holds the series; what it lists is found by content"
        raise UnreadableImageError(source, "a DICOMDIR, which is not followed", hint)
    rows, columns = found.whole("Rows"), found.whole("Columns")
    if not rows or not columns:
        hint = "give files that hold pictures"
        raise UnreadableImageError(source, "a DICOM file without a picture", hint)
    count = max(found.whole("NumberOfFrames", 1), 1)
    limits.check_frame(source, (columns, rows), count - 1, (count - 1) * rows * columns)
    if found.whole("HighBit") not in (0, found.whole("BitsStored") - 1):
        raise UnreadableImageError(source, "DICOM pixels whose bits lie apart", _HINT)
    numbers = ("TemporalPositionIdentifier", "EchoNumbers", "AcquisitionNumber", "InstanceNumber")
    return Header(
        path=path,
        instance=found.text("SOPInstanceUID"),
        # Of two patients or studies it is not one series, whatever its number says.
        series="\n".join(
            map(found.text, ("SeriesInstanceUID", "StudyInstanceUID", "PatientID"))
        ).strip(),
        number=tuple((*found.numbers(name), 0.0)[0] for name in numbers),
        modality=found.text("Modality").upper(),
        body_part=found.text("BodyPartExamined").upper(),
        image_type=tuple(found.text("ImageType").upper().split("\\")),
        rows=rows,
        columns=columns,
        photometric=found.text("PhotometricInterpretation").upper(),
        frames=_frames(found, count),
    )


def _frames(found: Values, count: int) -> tuple[Frame, ...]:
    """Describe each frame, by its functional groups where there are any (PS3.3 C.7.6.16)."""
    shared = found.item("SharedFunctionalGroupsSequence")
    own = found.items("PerFrameFunctionalGroupsSequence")
    frames = []
    for i in range(count):
        places = [*([own[i]] if i < len(own) else []), *([shared] if shared else []), found]
        frames.append(_frame(places))
    if count > 1 and not own:  # one place for many frames is the first one's
        frames = [replace(frame, position=None) for frame in frames]
    return tuple(frames)


def _frame(places: list[Values]) -> Frame:
    """Look each value up in a frame's own groups, then in the shared ones, then in the file."""

    def look(group: str, name: str) -> tuple[float, ...] | None:
        for place in places:
            inner = place.item(group)
            for at in (inner, place):
                if at is not None and (values := at.numbers(name)):
                    return values
        return None

    slope = look("PixelValueTransformationSequence", "RescaleSlope") or (1.0,)
    intercept = look("PixelValueTransformationSequence", "RescaleIntercept") or (0.0,)
    thickness = look("PixelMeasuresSequence", "SliceThickness")
    return Frame(
        position=_exactly(look("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation=_exactly(look("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing=_exactly(look("PixelMeasuresSequence", "PixelSpacing"), 2),
        thickness=thickness[0] if thickness and thickness[0] > 0 else None,
        window=_window(
            look("FrameVOILUTSequence", "WindowCenter"), look("FrameVOILUTSequence", "WindowWidth")
        ),
        slope=slope[0] or 1.0,
        intercept=intercept[0],
    )


def _exactly(values: tuple[float, ...] | None, count: int) -> tuple[float, ...] | None:
    return values if values is not None and len(values) == count else None


def _window(
    centre: tuple[float, ...] | None, width: tuple[float, ...] | None
) -> tuple[float, float] | None:
    """Say where black and white are, by the first window (PS3.3 section C.11.2.1.2)."""
    if not centre or not width or width[0] < 1:
        return None
    half = (width[0] - 1) / 2
    return centre[0] - 0.5 - half, centre[0] - 0.5 + half


@contextmanager
def explained(source: str, found: str) -> Iterator[None]:
    """Turn whatever a damaged file makes pydicom and its decoders raise into our error.

    Its text is not passed on: it may quote the file.

    Parameters
    ----------
    source
        Which file.
    found
        What it is, as a person would say.

    Raises
    ------
    UnreadableImageError
        Instead of whatever pydicom raises.
    """
    errors = require("pydicom.errors", "reading DICOM", "dicom")
    try:
        with quiet(), unlogged("pydicom"):
            yield
    except UnreadableImageError:
        raise
    except (*FAILURES, errors.InvalidDicomError, errors.BytesLengthException) as error:
        if isinstance(error.__context__, UnreadableImageError):  # which pydicom made its own
            raise error.__context__ from None
        raise _unreadable(source, found, error) from error


def _unreadable(source: str, found: str, error: BaseException) -> UnreadableImageError:
    """Say what is wrong by the kind of error alone."""
    hint = _HINT
    if isinstance(error, RuntimeError) and "missing dependencies" in str(error):
        found = "a DICOM picture compressed in a way that no installed decoder reads"
        hint = "pip install 'tumorlens[dicom]', or save it again uncompressed"
    elif isinstance(error, RecursionError):
        found, hint = "a DICOM file nested too deeply", "it is damaged or hostile"
    elif isinstance(error, MemoryError):
        found = "a DICOM picture that needs more memory than there is"
    return UnreadableImageError(source, found, hint)
