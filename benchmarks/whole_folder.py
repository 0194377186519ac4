"""A folder of labelled pictures through the command line: accuracy, speed, memory, agreement.

    python benchmarks/whole_folder.py DATA/Testing --bundle int8 [--bundle float32 …]

Each bundle is one `tumorlens predict --json` in a fresh process. A picture's class is the name
of its folder. With several bundles, the share of equal labels against the first is printed too.
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

TOOL = str(Path(sys.executable).with_name("tumorlens"))


def run(folder: Path, bundle: str) -> tuple[dict[str, str], float, float]:
    """Give labels by path, wall seconds and peak megabytes."""
    with tempfile.TemporaryFile("w+") as answers:
        start = time.monotonic()
        process = subprocess.Popen(
            [TOOL, "predict", str(folder), "--json", "--model", bundle],
            stdout=answers,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        if status:
            raise SystemExit(f"predict failed with status {status}")
        answers.seek(0)
        rows = [json.loads(line) for line in answers]
    return {row["path"]: row["label"] for row in rows}, seconds, usage.ru_maxrss / 1024


def _recall(labels: dict[str, str], name: str) -> float:
    own = [label for path, label in labels.items() if Path(path).parent.name == name]
    return own.count(name) / len(own)


def main() -> None:
    """Run every bundle and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", action="append", required=True)
    arguments = parser.parse_args()
    first: dict[str, str] = {}
    for bundle in arguments.bundle:
        labels, seconds, megabytes = run(arguments.folder, bundle)
        first = first or labels
        right = sum(Path(path).parent.name == label for path, label in labels.items())
        truths = sorted({Path(path).parent.name for path in labels})
        recall = ", ".join(f"{name} {_recall(labels, name):.3f}" for name in truths)
        same = sum(first[path] == label for path, label in labels.items())
        print(
            f"{bundle}: {len(labels)} pictures, accuracy {right / len(labels):.4f}, "
            f"{len(labels) / seconds:.1f} pictures/s, peak {megabytes:.0f} MB, "
            f"labels equal to the first {same / len(labels):.4f}, recall {recall}"
        )


if __name__ == "__main__":
    main()
