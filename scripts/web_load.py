"""Ask the service from many clients at once: ``python scripts/web_load.py --seconds 60``.

Prints its throughput beside that of one local batch, the median and the 99th percentile of the
time to an answer, lost answers, and the memory of the server at the beginning and at the end.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "apps" / "web"))

from web_server import Server, real_png, running

from tumorlens.classifier import Classifier, load


def local_rate(classifier: Classifier, picture: bytes, seconds: float) -> float:
    """Classify by `predict_batch`, in slices a second."""
    start, count = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        count += len(list(classifier.predict_batch([picture] * 64)))
    return count / (time.monotonic() - start)


def ask(server: Server, picture: bytes, until: float, took: list[float], lost: list[int]) -> None:
    """Be one client."""
    while time.monotonic() < until:
        start = time.monotonic()
        status = server.send("/api/v1/predict", picture).status
        if status == 200:
            took.append(time.monotonic() - start)
        else:
            lost.append(status)


def memory() -> float:
    """Give the memory of this process, in which the server runs too, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Measure, and print what came out."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--clients", type=int, default=32)
    asked = options.parse_args()
    classifier, picture = load(), real_png()
    before = local_rate(classifier, picture, asked.seconds / 4)
    took: list[float] = []
    lost: list[int] = []
    with running(classifier) as server:
        until = time.monotonic() + asked.seconds
        args = (server, picture, until, took, lost)
        clients = [threading.Thread(target=ask, args=args) for _ in range(asked.clients)]
        start = time.monotonic()
        for client in clients:
            client.start()
        time.sleep(asked.seconds / 4)
        early = memory()
        for client in clients:
            client.join()
        rate, late = len(took) / (time.monotonic() - start), memory()
    after = local_rate(classifier, picture, asked.seconds / 4)
    local = (before + after) / 2
    p50, p99 = np.percentile(took, (50, 99))
    print(f"local batch {before:.1f} and {after:.1f} slices/s, service {rate:.1f}/s")
    print(f"ratio {rate / local:.2f}, p50 {p50:.2f} s, p99 {p99:.2f} s, {len(took)} answers")
    print(f"refused {len(lost)}, memory {early:.0f} MiB, then {late:.0f} MiB")


if __name__ == "__main__":
    main()
