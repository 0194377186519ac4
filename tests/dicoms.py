"""DICOM files that tests draw themselves, with a patient whose name must never come out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

PATIENT = "Quixote^Rosinante"
SECRETS = (PATIENT, "Quixote", "ID-314159", "19010203", "Castle Hospital")


def draw(pixels: NDArray[Any], **changes: Any) -> Dataset:
    """Make a data set of a grey picture; `changes` are elements by keyword."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID = PATIENT, "ID-314159"
    dataset.PatientBirthDate, dataset.InstitutionName = "19010203", "Castle Hospital"
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
    dataset.Modality, dataset.BodyPartExamined = "MR", "HEAD"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    shape = pixels.shape[-2:] if pixels.shape[-1] != 3 else pixels.shape[-3:-1]
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.shape[-1] == 3 else "MONOCHROME2"
    if pixels.shape[-1] == 3:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelSpacing = [2.0, 2.0]
    dataset.ImagePositionPatient = [-60.0, -60.0, 0.0]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.SliceThickness = 3.0
    dataset.PixelData = pixels.tobytes()
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def content(dataset: Dataset, **options: Any) -> bytes:
    """Give the bytes of a file."""
    stream = io.BytesIO()
    dataset.save_as(stream, **{"enforce_file_format": True, **options})
    return stream.getvalue()


def two_stacks(values: NDArray[np.int16], axial: int) -> bytes:
    """Make a file of many frames ``(n, rows, columns)``: first axial ones, the others sagittal."""
    across, along = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
    frames = []
    for i in range(len(values)):
        frame, place, turn, size = (Dataset() for _ in range(4))
        place.ImagePositionPatient = (
            [-60.0, -60.0, 3.0 * i] if i < axial else [3.0 * i, -60.0, 60.0]
        )
        turn.ImageOrientationPatient = across if i < axial else along
        size.PixelSpacing, size.SliceThickness = [2.0, 2.0], 3.0
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [place], [turn]
        frame.PixelMeasuresSequence = [size]
        frames.append(frame)
    return content(
        draw(values, NumberOfFrames=len(values), PerFrameFunctionalGroupsSequence=frames)
    )


def write_series(
    folder: Path, values: NDArray[np.int16], series: str = "1.2.3", step: float = 3.0, **more: Any
) -> list[Path]:
    """Write slices ``(n, rows, columns)`` as a series, under names that say nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, plane in enumerate(values):
        dataset = draw(plane, SeriesInstanceUID=series, InstanceNumber=i + 1)
        dataset.ImagePositionPatient = [-60.0, -60.0, i * step]
        for name, value in more.items():
            setattr(dataset, name, value)
        path = folder / f"{hash((series, i)) % 10**8:08d}"
        path.write_bytes(content(dataset))
        paths.append(path)
    return paths


def draw_frames(values: NDArray[Any], step: float = 3.0) -> Dataset:
    """Make a data set of many frames ``(n, rows, columns)``, each at its place."""
    dataset = draw(values, NumberOfFrames=len(values))
    del dataset.ImagePositionPatient
    dataset.PerFrameFunctionalGroupsSequence = []
    for i in range(len(values)):
        place, item = Dataset(), Dataset()
        place.ImagePositionPatient = [-60.0, -60.0, i * step]
        item.PlanePositionSequence = [place]
        dataset.PerFrameFunctionalGroupsSequence.append(item)
    return dataset
