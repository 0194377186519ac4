"""Fuzz every reader of pictures, guided by which lines an input reaches (atheris, libFuzzer).

    pip install atheris            # beside tumorlens with its extras dicom, nifti and tiff
    python scripts/fuzz_readers.py OUT --seconds 120 [READER ...]

Each reader begins with small files that this script draws. An input may be read or be refused
by an error of ours; anything else is a finding, and so is one that takes more than 20 seconds or
2 GB. A finding stops libFuzzer, so the reader is started again until its time is over. Findings
lie in OUT/READER; OUT/summary.json counts executions, findings and peak memory.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

READERS = (
    *("png", "jpeg", "tiff", "bmp", "gif", "webp", "ppm", "jpeg2000", "tga", "sgi", "pcx"),
    *("dicom", "nifti", "mgh", "zip"),
)
_ENDED = re.compile(r"stat::(number_of_executed_units|peak_rss_mb): +(\d+)")


def main() -> None:
    """Fuzz the readers that are asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(READERS)}")
    parser.add_argument("--seconds", type=int, default=120, help="for each reader")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    if "--within" in sys.argv:
        options, rest = parser.parse_known_args()
        fuzz(options.readers[0], options.out, rest)
        return
    options = parser.parse_intermixed_args()
    summary: dict[str, Any] = {}
    for reader in options.readers or READERS:
        summary[reader] = run(reader, options.out / reader, options.seconds)
        print(reader, json.dumps(summary[reader]), flush=True)
        (options.out / "summary.json").write_text(json.dumps(summary, indent=1))


def run(reader: str, out: Path, seconds: int) -> dict[str, Any]:
    """Fuzz one reader in processes of its own until its time is over."""
    corpus = out / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(seeds(reader)):
        (corpus / f"seed{i}").write_bytes(data)
    end = time.monotonic() + seconds
    executions = peak = starts = hung = 0
    while (left := int(end - time.monotonic())) > 5:
        starts += 1
        command = [
            *(sys.executable, __file__, str(out), reader, "--within"),
            *(f"-max_total_time={left}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=20000"),
            *("-print_final_stats=1", f"-artifact_prefix={out}/", str(corpus)),
        ]
        with (out / f"log{starts}").open("w") as log:
            try:
                subprocess.run(  # noqa: S603  # ourselves
                    command, stdout=log, stderr=log, check=False, timeout=left + 200
                )
            except subprocess.TimeoutExpired:
                hung += 1
        ended = dict(_ENDED.findall((out / f"log{starts}").read_text(errors="replace")))
        executions += int(ended.get("number_of_executed_units", 0))
        peak = max(peak, int(ended.get("peak_rss_mb", 0)))
    findings = sorted(p.name for p in out.iterdir() if "-" in p.name and p.is_file())
    return {
        "executions": executions,
        "peak_mb": peak,
        "starts": starts,
        "hung": hung,
        "findings": findings,
    }


def fuzz(reader: str, out: Path, arguments: list[str]) -> None:
    """Fuzz one reader in this process, which ends with it."""
    import atheris  # noqa: PLC0415  # not needed by whoever only reads the help

    with atheris.instrument_imports(
        include=["tumorlens.images", "PIL", "tifffile", "pydicom", "nibabel"]
    ):
        from tumorlens.errors import UnreadableImageError  # noqa: PLC0415
        from tumorlens.images.limits import Limits  # noqa: PLC0415
        from tumorlens.images.read import read_slices  # noqa: PLC0415

        limits = Limits(
            max_pixels=10**5, max_frames=16, max_total_pixels=3 * 10**5, seconds=None
        )  # here, where lines are watched
        limits = limits if reader != "zip" else replace(limits, max_unpacked=2**20)
        for data in seeds(reader):  # whatever is imported late is imported now
            read_slices(data, limits=limits)

    def one(data: bytes) -> None:
        try:
            read_slices(data, limits=limits)
        except UnreadableImageError as error:
            if not str(error).isprintable():
                raise ValueError("an error that is not one line") from error

    atheris.Setup([str(out), *arguments], one)
    atheris.Fuzz()


def seeds(reader: str) -> list[bytes]:
    """Draw small files for a reader to begin with."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    grey = (np.add.outer(np.arange(20) * 9, np.arange(16)) % 256).astype(np.uint8)
    if reader == "dicom":
        return _dicom(grey)
    if reader in ("nifti", "mgh"):
        return _volumes(reader, grey)

    def encode(form: str, mode: str = "L", **options: Any) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(grey).convert(mode).save(stream, form, **options)
        return stream.getvalue()

    if reader == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {"a.png": encode("PNG"), "b.txt": b"text"}.items():
                archive.writestr(name, data)
            archive.writestr("c.dcm", _dicom(grey)[0])
        return [stream.getvalue()]
    form = reader.upper()
    rest = [Image.fromarray(grey[::-1].copy())]
    many = {"save_all": True, "append_images": rest}
    return {
        "PNG": lambda: [
            encode(form),
            encode(form, "P"),
            encode(form, "I;16"),
            encode(form, **many),
        ],
        "JPEG": lambda: [encode(form, "RGB"), encode(form, "CMYK", progressive=True)],
        "TIFF": lambda: [
            *(encode(form, "RGB", compression=c) for c in ("raw", "tiff_lzw", "tiff_deflate")),
            *(encode(form, m) for m in ("F", "I;16", "1")),
            encode(form, **many),
        ],
        "BMP": lambda: [encode(form), encode(form, "RGBA")],
        "GIF": lambda: [encode(form), encode(form, **many)],
        "WEBP": lambda: [encode(form, "RGB"), encode(form, lossless=True, **many)],
        "PPM": lambda: [encode(form), b"P2 2 2 255 1 2 3 4", b"P6 1 1 65535 " + bytes(6)],
        "JPEG2000": lambda: [encode(form), encode(form, "RGB", no_jp2=True)],
        "TGA": lambda: [encode(form), encode(form, "RGB", compression="tga_rle")],
        "SGI": lambda: [encode(form, "RGB")],
        "PCX": lambda: [encode(form, "RGB"), encode(form)],
    }[form]()


def _dicom(grey: Any) -> list[bytes]:
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid  # noqa: PLC0415

    found = []
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), "1.2.3"
        dataset.Rows, dataset.Columns = grey.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelSpacing, dataset.ImagePositionPatient = [1, 1], [0, 0, 0]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelData = grey.tobytes()
        item = Dataset()
        item.WindowCenter, item.WindowWidth = 100, 200
        dataset.SharedFunctionalGroupsSequence = [item]
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        found.append(stream.getvalue())
    return found


def _volumes(reader: str, grey: Any) -> list[bytes]:
    import nibabel as nib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    values = np.stack([grey] * 3).astype(np.int16)
    kinds = [nib.MGHImage] if reader == "mgh" else [nib.Nifti1Image, nib.Nifti2Image]
    whole = [bytes(kind(values, np.eye(4)).to_bytes()) for kind in kinds]
    return [*whole, gzip.compress(whole[0])]


if __name__ == "__main__":
    main()
