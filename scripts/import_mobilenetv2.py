r"""Turn the ImageNet MobileNetV2 that Coral publishes in int8 into float starting weights.

    python scripts/import_mobilenetv2.py mobilenet_v2_1.0_224_int8.tflite start.safetensors \
        --pictures DATA/Training

The file (Apache License 2.0, Google LLC) is a TensorFlow Lite model whose batch norms
are folded into its convolutions. Kernels are dequantised per channel, folded biases go
into the batch norms. Batch norms that never saw a statistic break when they are trained,
so with ``--pictures`` their mean and variance are set to what some hundred training
pictures give, and gamma and beta so that the output stays what it was.

Needs ``pip install ai-edge-litert`` beside the extra ``train``.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from tumorlens.images.prepare import prepare, to_tensor
from tumorlens.images.read import read_slices
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import NETWORKS, build_network
from tumorlens.networks.weights import save_weights

CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def dequantise(interpreter: Any, index: int) -> np.ndarray:
    """One tensor in float, with the scale of each of its channels."""
    detail = next(d for d in interpreter.get_tensor_details() if d["index"] == index)
    quantised = detail["quantization_parameters"]
    shape = [1] * len(detail["shape"])
    shape[quantised["quantized_dimension"]] = -1
    zero = quantised["zero_points"].reshape(shape)
    return (interpreter.get_tensor(index) - zero) * quantised["scales"].reshape(shape)


def convolutions(interpreter: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of every convolution, in the order they run."""
    return [
        (dequantise(interpreter, op["inputs"][1]), dequantise(interpreter, op["inputs"][2]))
        for op in interpreter._get_ops_details()
        if op["op_name"] in CONVOLUTIONS
    ]


def fill(model: Any, found: list[tuple[np.ndarray, np.ndarray]], keras: Any) -> None:
    """Put each kernel into its convolution and each bias into the batch norm behind it."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for layer, norm, (kernel, bias) in zip(layers, norms, found[: len(layers)], strict=True):
        # TensorFlow Lite keeps (out, rows, columns, in), depthwise (1, rows, columns, in).
        layer.kernel.assign(kernel.transpose(1, 2, 3, 0))
        norm.gamma.assign(np.ones_like(bias))
        norm.beta.assign(bias)
        norm.moving_mean.assign(np.zeros_like(bias))
        norm.moving_variance.assign(np.full_like(bias, 1 - norm.epsilon))


def settle_norms(model: Any, tensors: np.ndarray, keras: Any) -> None:
    """Give the batch norms real statistics without changing what the network computes."""
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    probe = keras.Model(model.input, [norm.input for norm in norms])
    sums = [[0.0, 0.0] for _ in norms]
    count = 0
    for start in range(0, len(tensors), 16):
        batch = tensors[start : start + 16]
        count += len(batch)
        for total, value in zip(sums, probe.predict_on_batch(batch), strict=True):
            total[0] = total[0] + value.mean(axis=(1, 2), dtype=np.float64).sum(axis=0)
            total[1] = total[1] + np.square(value, dtype=np.float64).mean(axis=(1, 2)).sum(axis=0)
    for norm, (first, second) in zip(norms, sums, strict=True):
        mean = first / count
        variance = np.maximum(second / count - mean**2, 1e-6)
        # y = x + beta must stay: gamma undoes the division, beta the shift.
        norm.gamma.assign(np.sqrt(variance + norm.epsilon))
        norm.beta.assign(np.asarray(norm.beta) + mean)
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)


def check(path: Path, model: Any, tensors: np.ndarray, found: Any) -> tuple[int, int]:
    """Count how often the float network and the original agree on the ImageNet class."""
    kernel, bias = found[-1][0].reshape(1001, -1).T, found[-1][1]
    pooled = model.predict_on_batch(tensors).mean(axis=(1, 2))
    ours = (pooled @ kernel + bias).argmax(axis=1)
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    theirs = []
    for tensor in tensors:
        scale, zero = entry["quantization"]
        quantised = np.clip(np.round(tensor / scale + zero), 0, 255).astype(np.uint8)
        interpreter.set_tensor(entry["index"], quantised[None])
        interpreter.invoke()
        theirs.append(interpreter.get_tensor(exit_["index"])[0].argmax())
    return int((ours == np.array(theirs)).sum()), len(tensors)


def pictures(folder: Path, count: int) -> np.ndarray:
    """Prepare some pictures of a folder as the network's input."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    chosen = random.Random(0).sample(files, min(count, len(files)))
    grey = np.stack([prepare(read_slices(p)[0], 224).pixels for p in chosen])
    return to_tensor(
        grey, channels=3, value_range=NETWORKS["mobilenetv2"].value_range, layout="NHWC"
    )


def main() -> None:
    """Import, settle, check, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tflite", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=320)
    arguments = parser.parse_args()
    keras = require_keras("importing weights")
    interpreter = Interpreter(str(arguments.tflite))
    interpreter.allocate_tensors()
    found = convolutions(interpreter)
    model = build_network("mobilenetv2")
    fill(model, found, keras)
    tensors = pictures(arguments.pictures, arguments.count)
    backbone = keras.Model(model.input, model.get_layer("out_relu").output)
    same, total = check(arguments.tflite, backbone, tensors[:72], found)
    print(f"same ImageNet class as the original on {same} of {total} pictures")
    before = backbone.predict_on_batch(tensors[:8])
    settle_norms(model, tensors, keras)
    after = backbone.predict_on_batch(tensors[:8])
    print(
        f"settling the batch norms moved the features by at most {np.abs(after - before).max():.1e}"
    )
    save_weights(model, arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
