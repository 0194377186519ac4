"""Ways from files to answers that the project's own environment has; `throughput.py` starts this.

    python benchmarks/own_ways.py WAY FILES READY MODEL FLOAT

It loads, prints a line of JSON, and then works once for each line it reads: a number of pictures
in, a line of JSON out, with how many were done, wall seconds and CPU seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from tumorlens.archive.cores import usable_cores
from tumorlens.archive.run import PORTION, answer_archive
from tumorlens.classifier import load
from tumorlens.images.read import read_slices
from tumorlens.models.engine import ort

Work: TypeAlias = Callable[[int], float]
"""Does so many pictures, and gives how many, or how many 10⁹ operations, it did."""

_GEMM = 2048


def in_lanes(work: Callable[[Any], object], items: list[Any]) -> None:
    """Do something for each item, in as many threads as there are cores."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(work, items))


def archive(files: list[str], model: str) -> Work:
    """Files to a table, as `tumorlens predict --out`."""
    classifier = load(model, threads=1)

    def work(count: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out.csv")
            return answer_archive(classifier, files[:count], out, lanes=usable_cores()).files

    return work


def reading(files: list[str], model: str) -> Work:
    """Files to prepared slices, without a network."""
    prepare = load(model, threads=1).card.input.prepare

    def work(count: int) -> float:
        in_lanes(lambda file: prepare(read_slices(file)[0]), files[:count])
        return count

    return work


def network(tensors: np.ndarray, onnx: bytes) -> Work:
    """Run a network on tensors that are ready, in a lane for each core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    engine = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    name = engine.get_inputs()[0].name
    groups = [tensors[i : i + PORTION] for i in range(0, len(tensors), PORTION)]

    def work(count: int) -> float:
        turns = [groups[i % len(groups)] for i in range(-(-count // PORTION))]
        in_lanes(lambda group: engine.run(["logits"], {name: group}), turns)
        return sum(len(group) for group in turns)

    return work


def own_network(tensors: np.ndarray, model: str) -> Work:
    """Run the model as tumorlens opens it, on prepared slices."""
    classifier = load(model, threads=1)
    groups = [tensors[i : i + PORTION] for i in range(0, len(tensors), PORTION)]

    def work(count: int) -> float:
        turns = [groups[i % len(groups)] for i in range(-(-count // PORTION))]
        in_lanes(classifier.logits, turns)
        return sum(len(group) for group in turns)

    return work


def keras_xception(files: list[str]) -> Work:
    """Read, resize and predict one picture after the other, as the reference project does."""
    import keras  # noqa: PLC0415

    model = keras.applications.Xception(weights=None, classes=4)

    def work(count: int) -> float:
        for file in files[:count]:
            picture = Image.open(file).convert("RGB").resize((299, 299))
            model.predict(np.asarray(picture, "float32")[None] / 255, verbose=0)
        return count

    return work


def float_peak() -> Work:
    """Multiply float32 matrices; all cores, NumPy's BLAS."""
    one = np.random.default_rng(0).random((_GEMM, _GEMM), dtype=np.float32)

    def work(count: int) -> float:
        del count
        for _ in range(4):
            one @ one
        return 4 * 2 * _GEMM**3 / 1e9

    return work


def int8_peak() -> Work:
    """Multiply int8 matrices, uint8 by int8; all cores, ONNX Runtime."""
    from onnx import TensorProto, helper  # noqa: PLC0415

    weights = np.random.default_rng(0).integers(-127, 127, (_GEMM, _GEMM)).astype(np.int8)
    shape = [_GEMM, _GEMM]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "gemm",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("c", TensorProto.INT32, shape)],
        [helper.make_tensor("b", TensorProto.INT8, shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    engine = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    left = np.random.default_rng(1).integers(0, 255, (_GEMM, _GEMM)).astype(np.uint8)

    def work(count: int) -> float:
        del count
        for _ in range(4):
            engine.run(None, {"a": left})
        return 4 * 2 * _GEMM**3 / 1e9

    return work


def main() -> None:
    """Load the way that is asked for and work on request."""
    way, listed, ready, model, floats = sys.argv[1:]
    files = Path(listed).read_text(encoding="utf-8").splitlines()
    ways: dict[str, Callable[[], Work]] = {
        "tumorlens": lambda: archive(files, model),
        "reading": lambda: reading(files, model),
        "network": lambda: own_network(np.load(ready + "-grey.npy"), model),
        "ort-float": lambda: network(np.load(ready + ".npy"), Path(floats).read_bytes()),
        "keras": lambda: keras_xception(files),
        "float-peak": float_peak,
        "int8-peak": int8_peak,
    }
    work = ways[way]()
    print(json.dumps({"ready": way}), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        done = work(int(line))
        told = [done, time.perf_counter() - wall, time.process_time() - cpu]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
