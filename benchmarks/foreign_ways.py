"""Ways that have environments of their own, without tumorlens; `throughput.py` starts this.

    python benchmarks/foreign_ways.py WAY FILES READY ONNX

It speaks as `own_ways.py` does. `detect-tumor` is a package of PyPI for the same task, a VGG16 in
ONNX Runtime; OpenVINO runs the ONNX files of the same bundle on tensors that are ready.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PORTION = 8


def detect_tumor(files: list[str]) -> Callable[[int], float]:
    """Ask the package for one file after the other, as its page says."""
    from detect_tumor import TumorDetector  # noqa: PLC0415

    detector = TumorDetector()
    detector.predict(files[0])  # loads the network

    def work(count: int) -> float:
        for file in files[:count]:
            detector.predict(file)
        return count

    return work


def openvino(tensors: np.ndarray, onnx: str, precision: str) -> Callable[[int], float]:
    """Run a network by OpenVINO, tuned for throughput."""
    import openvino as ov  # noqa: PLC0415

    core = ov.Core()
    model = core.read_model(onnx)
    model.reshape([PORTION, *tensors.shape[1:]])
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", hints))
    groups = [tensors[i : i + PORTION] for i in range(0, len(tensors) - PORTION + 1, PORTION)]

    def work(count: int) -> float:
        turns = -(-count // PORTION)
        for i in range(turns):
            queue.start_async({0: groups[i % len(groups)]})
        queue.wait_all()
        return turns * PORTION

    return work


def main() -> None:
    """Load the way that is asked for and work on request."""
    way, listed, ready, onnx = sys.argv[1:]
    files = Path(listed).read_text(encoding="utf-8").splitlines()
    if way == "detect-tumor":
        work = detect_tumor(files)
    else:
        precision = {"openvino-int8": "f32", "openvino-bf16": "bf16"}[way]
        work = openvino(np.load(ready + ".npy"), onnx, precision)
    print(json.dumps({"ready": way}), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        done = work(int(line))
        told = [done, time.perf_counter() - wall, time.process_time() - cpu]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
