"""Ask ten thousand files at once, a tenth of them broken in twenty ways, and judge the answers.

    python scripts/ten_thousand.py OUT [--files 10000] [--model BUNDLE]

Every good file must be answered, every bad one named, memory must stay flat, and the exit status
must be 1. OUT gets the files (the good ones are links to a few, so that they cost no room) and
report.json. Needs the extras dicom, nifti and tiff.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage, generate_uid

from tumorlens.data.phantom import draw_phantom

LABELS = ("glioma", "meningioma", "notumor", "pituitary")


def main() -> None:
    """Make the files, ask, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--model")
    options = parser.parse_args()
    bad = make(options.out / "files", options.files)
    command = [sys.executable, "-m", "tumorlens", "predict", str(options.out / "files"), "--json"]
    command += ["--model", options.model] if options.model else []
    began, taken = time.monotonic(), {}
    answered, named = set(), set()
    with (options.out / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)  # noqa: S603
        for line in process.stdout or ():
            row = json.loads(line)
            inside = Path(row["path"]).relative_to(options.out / "files")  # of an archive too
            (named if "error" in row else answered).add(inside.parts[0])
            seen = len(named) + len(answered)
            if seen % (options.files // 10) == 0:
                taken[seen] = memory(process.pid)
        status = process.wait()
    good = {path.name for path in (options.out / "files").iterdir()} - bad
    report = {
        "files": options.files,
        "answered": len(answered),
        "named": len(named),
        "good without an answer": sorted(good - answered)[:5],
        "bad without a name": sorted(bad - named)[:5],
        "status": status,
        "seconds": round(time.monotonic() - began),
        "resident MB by files": taken,
        "traceback": "Traceback" in (options.out / "stderr").read_text(),
    }
    (options.out / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))
    right = answered == good and named == bad and status == 1 and not report["traceback"]
    sizes = list(taken.values())
    sys.exit(0 if right and max(sizes[1:]) < 1.2 * sizes[0] else 1)


def memory(pid: int) -> int:
    """Say how many megabytes a process takes, on Linux."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def make(folder: Path, count: int) -> set[str]:
    """Write the files; every tenth is bad. Gives the names of those."""
    store = folder.parent / "store"
    store.mkdir(parents=True)
    folder.mkdir()
    heads = [draw_phantom(LABELS[i % 4], 300_000 + i).pixels for i in range(40)]
    good = []
    for i, head in enumerate(heads):
        good.append(store / f"good{i}.png")
        Image.fromarray(head).save(good[-1])
    ways = bad_files(heads[0])
    names = set()
    for i in range(count):
        path = folder / f"{i:05d}.png"
        if i % 10 == 3:
            way = ways[i // 10 % len(ways)]
            path.write_bytes(way() if callable(way) else way)  # a DICOM file has its own number
            names.add(path.name)
        else:
            path.symlink_to(good[i // 10 % 40].resolve())
    return names


def bad_files(head: np.ndarray) -> list[bytes | Callable[[], bytes]]:
    """Break files in twenty ways."""
    png, jpeg, tiff = encode(head, "PNG"), encode(head, "JPEG"), encode(head, "TIFF")
    flipped, huge, beyond = bytearray(png), bytearray(encode(head, "BMP")), bytearray(tiff)
    flipped[len(png) // 2] ^= 0xFF
    huge[18:26] = (50_000).to_bytes(4, "little") * 2
    beyond[4:8] = (len(tiff) + 9).to_bytes(4, "little")
    volume = bytes(nib.Nifti1Image(np.stack([head] * 3), np.eye(4)).to_bytes())
    odd = bytearray(volume)
    odd[70:74] = b"\xff\x7f" * 2  # a type of numbers that there is not
    found: list[bytes | Callable[[], bytes]] = [
        b"",
        b"<!DOCTYPE html><html>404</html>",
        png[: len(png) // 2],
        bytes(flipped),
        b"P5 50000 50000 255 " + bytes(99),
        bytes(huge),
        jpeg[: len(jpeg) // 2],
        jpeg[:20] + bytes(400),
        tiff[: len(tiff) // 2],
        bytes(beyond),
        encode(head, "TIFF", compression="jpeg")[:-600],
        encode(head, "JPEG2000")[:300],
        encode(head, "GIF")[:200],
        lambda: dicom(head)[:300],
        lambda: dicom(head, Rows=0),
        lambda: dicom(head, garbage=True),
        volume[:-900],
        bytes(odd),
        packed({"a.nii": bytes(2**27)}),
        packed({"b.png": png[: len(png) // 2], "c.zip": packed({"a.png": png})}),
    ]
    if len(found) != 20:
        raise ValueError(f"{len(found)} ways, and not 20")
    return found


def encode(head: np.ndarray, form: str, **options: object) -> bytes:
    """Write a picture."""
    stream = io.BytesIO()
    Image.fromarray(head).save(stream, form, **options)
    return stream.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    """Write a ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def dicom(head: np.ndarray, *, garbage: bool = False, **changes: object) -> bytes:
    """Write a DICOM file whose place in the patient is not known."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID = "MR", "1.2.3"
    dataset.Rows, dataset.Columns = head.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = head.tobytes()
    if garbage:
        dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(500)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    for name, value in changes.items():
        setattr(dataset, name, value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


if __name__ == "__main__":
    main()
