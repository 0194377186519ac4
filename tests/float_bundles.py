"""Bundles whose ONNX network and float weights are the same numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.data.folder import CLASSES
from tumorlens.images.prepare import PREPARATION
from tumorlens.models.card import CARD_NAME, Card, FeatureLayer, InputFormat
from tumorlens.networks.geometry import cell_grid
from tumorlens.networks.network import NETWORKS, build_network, convolution_outputs
from tumorlens.networks.weights import load_weights, read_weights, save_weights
from tumorlens.train.export import keras_head, write_onnx


def write_float_bundle(
    model: Any, network: str, folder: Path, preparation: str = PREPARATION
) -> Path:
    """Write weights in half precision, and ONNX from exactly those."""
    folder.mkdir(parents=True)
    save_weights(model, folder / "weights.safetensors")
    size, spec = model.input.shape[1], NETWORKS[network]
    same = build_network(network, size=size)
    load_weights(same, read_weights(folder / "weights.safetensors"))
    write_onnx(same, network, folder / "model.onnx", keras_head(same, network), CLASSES)
    grid = cell_grid(same, spec.feature_layer)
    card = Card(
        name=network,
        version="1",
        network=network,
        classes=CLASSES,
        input=InputFormat(size, 3, "NHWC", spec.value_range, preparation),
        features=FeatureLayer(spec.feature_layer, grid.jump, grid.start, "NHWC"),
        files={p.name: {"sha256": _hash(p)} for p in folder.iterdir()},
        precision="float32",
        layers=convolution_outputs(same),
    )
    (folder / CARD_NAME).write_text(card.to_json())
    return folder


def look_at_brightness(model: Any) -> None:
    """Make every layer of the network 'tiny' show how bright the picture is, and glioma want it."""
    for i in range(1, 5):
        kernel = model.get_layer(f"conv_{i}").kernel
        value = np.zeros(kernel.shape, np.float32)
        value[:, :, : 3 if i == 1 else 1, 0] = 1 / (27 if i == 1 else 9)
        kernel.assign(value)
    head = model.get_layer("logits")
    wanted = np.zeros(head.kernel.shape, np.float32)
    wanted[0] = [8, -8, 0, 0]
    head.set_weights([wanted, np.zeros(4, np.float32)])


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
