"""Peak memory of `tumorlens predict --out` over archives of growing size.

    python benchmarks/memory.py [--sizes 1000 10000] [--model MODEL] [--ending .jsonl] [--json FILE]

An archive is many links to ten small drawn heads, a thousand in each folder. Every size is a
fresh process; its peak resident memory is printed, with its rows and the time it took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom

IN_FOLDER = 1000


def link_many(heads: list[Path], folder: Path, count: int) -> None:
    """Fill folders with links."""
    for i in range(count):
        place = folder / f"{i // IN_FOLDER:04d}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(heads[i % len(heads)], place / f"{i:07d}.png")


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; give peak megabytes and seconds."""
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed with status {process.returncode}")
    return usage.ru_maxrss / 1024, time.monotonic() - began


def main() -> None:
    """Measure each size and print a line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--model")
    parser.add_argument("--ending", default=".jsonl", choices=(".jsonl", ".csv", ".parquet"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = [] if given.model is None else ["--model", given.model]
    told = []
    with tempfile.TemporaryDirectory() as temporary:
        heads = [Path(temporary, f"{i}.png") for i in range(10)]
        for i, path in enumerate(heads):
            Image.fromarray(draw_phantom(CLASSES[i % 4], i, 96).pixels).save(path)
        for size in given.sizes:
            folder, out = Path(temporary, f"of {size}"), Path(temporary, f"{size}{given.ending}")
            link_many(heads, folder, size)
            command = [sys.executable, "-m", "tumorlens", "predict", str(folder), "--out", str(out)]
            peak, seconds = measure([*command, *model])
            print(f"{size:>8} files  peak {peak:6.0f} MB  {seconds:8.1f} s", flush=True)
            told.append({"files": size, "peak_mb": peak, "seconds": seconds})
    if given.json:
        given.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
