"""Ask ten thousand files at once, a tenth of them broken in twenty ways, and judge the answers.

    python scripts/ten_thousand.py OUT [--files 10000] [--model BUNDLE]

Every good file must be answered, every bad one named, memory must stay flat, and the exit status
must be 1. OUT gets the files (links to a few, so that they cost no room) and report.json.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

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
    began, peaks = time.monotonic(), []
    answered, named = set(), set()
    with (options.out / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)  # noqa: S603
        for count, line in enumerate(process.stdout or ()):
            row = json.loads(line)
            (named if "error" in row else answered).add(Path(row["path"]).name)
            if count % (options.files // 10) == 0:
                peaks.append(memory(process.pid))
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
        "memory in MB, ten times": peaks,
        "traceback": "Traceback" in (options.out / "stderr").read_text(),
    }
    (options.out / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))
    right = answered == good and named == bad and status == 1 and not report["traceback"]
    sys.exit(0 if right and peaks[-1] < 1.2 * peaks[1] else 1)


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
    good, broken = [], []
    for i, head in enumerate(heads):
        good.append(store / f"good{i}.png")
        Image.fromarray(head).save(good[-1])
    for i, data in enumerate(bad_files(good[0].read_bytes(), heads[0])):
        broken.append(store / f"bad{i}")
        broken[-1].write_bytes(data)
    names = set()
    for i in range(count):
        is_bad = i % 10 == 3
        target = (broken if is_bad else good)[i // 10 % (20 if is_bad else 40)]
        path = folder / f"{i:05d}.png"
        path.symlink_to(target.resolve())
        if is_bad:
            names.add(path.name)
    return names


def bad_files(png: bytes, head: np.ndarray) -> list[bytes]:
    """Break files in twenty ways."""

    def encode(form: str, **options: object) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(head).save(stream, form, **options)
        return stream.getvalue()

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nii", bytes(2**27))
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 0xFF
    huge = bytearray(encode("BMP"))
    huge[18:26] = (50_000).to_bytes(4, "little") * 2
    jpeg, tiff = encode("JPEG"), encode("TIFF", compression="tiff_lzw")
    found = [
        b"",
        b"text in a file with the name of a picture",
        b"<!DOCTYPE html><html>404</html>",
        bytes(4096),
        os.urandom(4096),
        png[: len(png) // 2],
        bytes(flipped),
        png[:20],
        jpeg[: len(jpeg) // 2],
        tiff[: len(tiff) // 2],
        encode("GIF")[:200],
        encode("WEBP")[:100],
        bytes(huge),
        b"P5 50000 50000 255 " + bytes(99),
        b"%PDF-1.7",
        gzip.compress(bytes(2**20)),
        packed.getvalue(),
        bytes(128) + b"DICM" + bytes(200),
        (348).to_bytes(4, "little") + bytes(340) + b"n+1\0",
        b"\x93NUMPY\x01\0" + bytes(100),
    ]
    if len(found) != 20:
        raise ValueError(f"{len(found)} ways, and not 20")
    return found


if __name__ == "__main__":
    main()
