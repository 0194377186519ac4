"""A DICOM series beside PNGs of the same pixels: answers, time and memory, interleaved.

    python benchmarks/volume.py [--count 200] [--rounds 3] [--json FILE]

It draws slices of 512 × 512 in 16 bits, a tumour in some, from the demonstration's head, and
writes each as DICOM and as PNG. Every measurement is a fresh process; every round measures each
way once, one after the other. Printed are medians, what the series costs beside the PNGs, and
peak memory beside that of one slice. Aims: at most 1.1 times the time, 250 MB more memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion

SIDE = 512
WHITE = 4000
STEP = 1.0  # mm between slices
TIME_AIM, MEMORY_AIM = 1.1, 250.0


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    seconds: float
    megabytes: float
    said: str


def draw(count: int) -> list[NDArray[np.uint16]]:
    """Draw slices, those in the third quarter with a tumour; each has the same black and white."""
    healthy = demo_slice().pixels.astype(np.float32)
    ill = draw_lesion(healthy)[0]
    random = np.random.default_rng(0)
    slices = []
    for i in range(count):
        base = ill if count // 2 <= i < 3 * count // 4 else healthy
        large = np.asarray(Image.fromarray(base).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        grey = large / healthy.max() * WHITE * (1 + random.normal(0, 0.02, large.shape))
        grey[0, 0], grey[0, 1] = 0, WHITE
        slices.append(np.clip(grey, 0, WHITE).astype(np.uint16))
    return slices


def write_dicom(pixels: NDArray[np.uint16], index: int, uids: dict[str, str], path: Path) -> None:
    """Write a slice of a series."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids["study"], uids["series"]
    dataset.FrameOfReferenceUID = uids["frame"]
    dataset.Modality, dataset.BodyPartExamined = "MR", "HEAD"
    dataset.ImageType, dataset.InstanceNumber = ["ORIGINAL", "PRIMARY", "M"], index + 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = WHITE / 2 + 0.5, WHITE + 1
    dataset.PixelSpacing, dataset.SliceThickness = [0.45, 0.45], STEP
    dataset.ImagePositionPatient = [-115.0, -115.0, index * STEP]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def write(folder: Path, count: int) -> None:
    """Write the slices both ways, and one of each by itself."""
    uids = {name: str(generate_uid()) for name in ("study", "series", "frame")}
    for name in ("series", "pngs", "one-series", "one-png"):
        (folder / name).mkdir()
    for i, pixels in enumerate(draw(count)):
        write_dicom(pixels, i, uids, folder / "series" / f"{count - i:04}")
        Image.fromarray(pixels).save(folder / "pngs" / f"{i:04}.png")
    (folder / "one-series" / "0001").write_bytes((folder / "series" / "0001").read_bytes())
    (folder / "one-png" / "0001.png").write_bytes((folder / "pngs" / "0000.png").read_bytes())


# Until it runs its own program a child counts as large as the process that started it, and this
# one is large. So a small one starts it, and tells its seconds and kilobytes on standard error.
SMALL = """
import os, sys, time
began = time.monotonic()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(time.monotonic() - began, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def run(*words: str | Path) -> Cost:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "tumorlens", *map(str, words)]
    small = [sys.executable, "-I", "-S", "-c", SMALL]
    done = subprocess.run([*small, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    seconds, kilobytes = done.stderr.split()[-2:]
    return Cost(float(seconds), int(kilobytes) / 1024, done.stdout)


def rows_of(cost: Cost) -> list[dict[str, Any]]:
    """Read the answers for slices."""
    rows = [json.loads(line) for line in cost.said.splitlines()]
    return sorted((r for r in rows if "volume" not in r), key=lambda r: (r["slice"], r["path"]))


def compare(series: Cost, pngs: Cost) -> tuple[float, float]:
    """Give the largest difference of a probability, and the share of equal classes."""
    pairs = list(zip(rows_of(series), rows_of(pngs), strict=True))
    apart = [
        abs(a["probabilities"][name] - b["probabilities"][name])
        for a, b in pairs
        for name in a["probabilities"]
    ]
    return max(apart), float(np.mean([a["label"] == b["label"] for a, b in pairs]))


def main() -> None:
    """Measure all ways and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder, given.count)
        costs: dict[str, list[Cost]] = {}
        for i in range(given.rounds):
            ways: dict[str, tuple[str | Path, ...]] = {
                "predict one PNG": ("predict", folder / "one-png", "--json"),
                "predict one DICOM": ("predict", folder / "one-series", "--json"),
                "predict PNGs": ("predict", folder / "pngs", "--json"),
                "predict series": ("predict", folder / "series", "--json"),
                "explain PNGs": ("explain", folder / "pngs", "--out", folder / f"pngs-{i}"),
                "explain series": ("explain", folder / "series", "--out", folder / f"whole-{i}"),
            }
            for name, words in ways.items():
                costs.setdefault(name, []).append(run(*words))
        (evidence,) = (folder / "whole-0").glob("*/evidence.nii.gz")
        shape, size = nib.load(evidence).shape, evidence.stat().st_size
    report(costs, given.count)
    print(f"evidence.nii.gz: {shape}, {size / 2**20:.1f} MB")
    if given.json:
        told = {
            name: [(cost.seconds, cost.megabytes) for cost in these]
            for name, these in costs.items()
        }
        given.json.write_text(json.dumps({"count": given.count, "costs": told}, indent=1) + "\n")


def report(costs: dict[str, list[Cost]], count: int) -> None:
    """Print medians and what they are beside each other."""
    seconds = {name: statistics.median(c.seconds for c in these) for name, these in costs.items()}
    peaks = {name: statistics.median(c.megabytes for c in these) for name, these in costs.items()}
    print(f"{count} slices of {SIDE} × {SIDE}; seconds and peak MB, medians of rounds")
    for name, these in costs.items():
        rounds = " ".join(f"{cost.seconds:.1f}" for cost in these)
        print(f"{name:<18}{seconds[name]:8.2f} s {peaks[name]:8.0f} MB   {rounds}")
    apart, equal = compare(costs["predict series"][0], costs["predict PNGs"][0])
    print(f"answers: same class {equal:.3f}, probabilities at most {apart:.4f} apart")
    for what in ("predict", "explain"):
        each = [
            a.seconds / b.seconds
            for a, b in zip(costs[f"{what} series"], costs[f"{what} PNGs"], strict=True)
        ]
        print(f"{what}: series to PNGs {statistics.median(each):.2f} (aim {TIME_AIM})")
        more = peaks[f"{what} series"] - peaks["predict one DICOM"]
        print(f"{what}: {more:.0f} MB more than one slice (aim {MEMORY_AIM:.0f})")


if __name__ == "__main__":
    main()
