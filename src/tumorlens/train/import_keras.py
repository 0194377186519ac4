"""Weights that Keras saved elsewhere, taken into a network that our code builds.

Nothing in the file is run and nothing is built from it: its arrays are matched with
the layers of our network and assigned when their shapes agree. Keras numbers the
layers that it names itself over the whole process, so that ``conv2d_7`` may be the
first of its kind; such layers are matched by their order, all others by name.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import ModelError
from tumorlens.files import new_folder
from tumorlens.images.prepare import to_tensor
from tumorlens.models.probes import draw_probes
from tumorlens.models.session import Session
from tumorlens.train.checkpoint_archive import Parts, open_parts
from tumorlens.train.checkpoint_config import Config, check_architecture, read_config
from tumorlens.train.checkpoint_hdf5 import (
    StoredLayer,
    open_hdf5,
    stored_config,
    stored_layers,
)
from tumorlens.train.export import write_bundle
from tumorlens.train.network import build_network, feature_layer
from tumorlens.trust.prediction_set import softmax

__all__ = ["import_checkpoint", "load_checkpoint_weights"]

_AGREE: Final = 1e-4  # of a probability, between Keras and the exported network
_AUTOMATIC: Final = re.compile(r"(conv2d|batch_normalization|dense)(_\d+)?")
_LIMITATIONS: Final = (
    "Trained elsewhere, on pictures prepared in another way than here; how well it does on "
    "pictures as this program prepares them is not known until it is measured."
)


def import_checkpoint(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    network: str = "xception",
    size: int | None = None,
    name: str | None = None,
    version: str = "1",
    description: str = "",
) -> tuple[Path, float]:
    """Make a bundle of a Keras checkpoint from elsewhere.

    Parameters
    ----------
    file
        A ``.keras``, ``.weights.h5`` or ``.h5`` file.
    out
        The bundle to make; it appears whole or not at all.
    classes
        Labels in the order of the network's outputs. No file says it, and a wrong
        order gives wrong answers that look right.
    network
        Which of our networks it is.
    size
        Side of its input in pixels; the config's when ``None``, or the network's own.
    name, version, description
        For the card; the network's name when ``None``.

    Returns
    -------
    tuple
        The bundle, and the largest difference of a probability between the network in
        Keras and in the bundle, on drawn pictures.

    Raises
    ------
    UnsafeModelError
        When the file holds what no checkpoint needs.
    ModelError
        When it is no checkpoint of this network, or the bundle answers differently.
    OutputError
        When the bundle cannot be written.
    """
    labels = tuple(classes)
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise ModelError(f"`classes` must be two or more different labels, got {list(labels)}")
    model, origin = load_checkpoint_weights(file, network, classes=len(labels), size=size)
    with new_folder(out) as bundle:
        card, session = write_bundle(
            model,
            network,
            bundle,
            calibration=None,  # int8 would need pictures that the network was trained on
            weights=True,
            name=name or network,
            version=version,
            classes=labels,
            training={"imported": origin, "classes": list(labels)},
            description=description,
            limitations=_LIMITATIONS,
        )
        difference = _difference(model, session)
        if not difference <= _AGREE:
            raise ModelError(
                f"{card.id}: the exported network's probabilities differ from Keras's by "
                f"{difference:.2g}; please report it"
            )
    return Path(out), difference


def load_checkpoint_weights(
    file: str | os.PathLike[str], network: str, *, classes: int, size: int | None = None
) -> tuple[Any, dict[str, Any]]:
    """Build one of our networks with the weights of a checkpoint from elsewhere.

    Parameters
    ----------
    file, network, size
        As `import_checkpoint` takes them.
    classes
        How many outputs it must have.

    Returns
    -------
    tuple
        The Keras network, ending in logits, and what is known of the file: its
        ``sha256``, its ``kind`` and whether its ``architecture`` could be compared.

    Raises
    ------
    UnsafeModelError, ModelError
        As `import_checkpoint` raises them.
    """
    feature_layer(network)  # a misspelt name before anything is read
    source = os.fspath(file)
    with open_parts(file) as parts, open_hdf5(parts.weights, source=source) as opened:
        config = _config(parts, opened, source)
        if config is not None and size not in (None, config.size):
            raise ModelError(f"{source} takes pictures of {config.size} pixels, not of {size}")
        side = size if config is None else config.size
        model = build_network(network, classes=classes, size=side)
        if config is not None:
            check_architecture(config, model)
        _assign(model, _named(stored_layers(opened, source=source), config), source)
        kind = parts.kind
    with Path(file).open("rb") as opened_file:
        digest = hashlib.file_digest(opened_file, "sha256").hexdigest()
    return model, {"sha256": digest, "kind": kind, "architecture_compared": config is not None}


def _config(parts: Parts, opened: Any, source: str) -> Config | None:
    text = parts.config if parts.kind == "keras" else stored_config(opened)
    return None if text is None else read_config(text, source=source)


def _named(layers: list[StoredLayer], config: Config | None) -> list[StoredLayer]:
    """Complete the names and the order of stored layers from the config, where there is one."""
    if config is None:
        return layers
    numbers: dict[str, int] = {}
    names: dict[tuple[str, int], str] = {}
    for kind, name, _ in config.layers:
        snake = _snake(kind)
        names[snake, numbers.get(snake, 0)] = name
        numbers[snake] = numbers.get(snake, 0) + 1
    places = {name: place for place, name in names.items()}
    done = []
    for layer in layers:
        own_name = layer.name or names.get((layer.kind, layer.number))
        kind, number = places.get(own_name or "", (layer.kind, layer.number))
        done.append(StoredLayer(kind, number, own_name, layer.arrays))
    return sorted(done, key=lambda layer: (layer.kind, layer.number))


def _assign(model: Any, stored: list[StoredLayer], source: str) -> None:
    """Put the arrays into the network; every layer gets its own, none is left over."""
    head = model.layers[[layer.name for layer in model.layers].index("pool") :]
    ours = [layer for layer in model.layers if _weights(layer)]
    free = {x.name for x in ours if x in head or _AUTOMATIC.fullmatch(x.name)}
    by_name = {x.name: x for x in stored if x.name and not _AUTOMATIC.fullmatch(x.name)}
    left = list(stored)
    for layer in ours:
        if layer.name in by_name and layer.name not in free:
            _fill(layer, by_name[layer.name], source)
            left.remove(by_name[layer.name])
        else:
            free.add(layer.name)
    rest = [layer for layer in ours if layer.name in free]
    for kind in sorted({_snake(type(x).__name__) for x in rest} | {x.kind for x in left}):
        want = [layer for layer in rest if _snake(type(layer).__name__) == kind]
        have = [layer for layer in left if layer.kind == kind]
        if len(want) != len(have):
            names = ", ".join(str(x.name or f"{x.kind}_{x.number}") for x in have[:3]) or "none"
            raise ModelError(
                f"{source} is no {model.name}: for the {len(want)} layers of the kind {kind} "
                f"({', '.join(x.name for x in want[:3]) or 'none'}, …) it has {len(have)} ({names})"
            )
        for layer, found in zip(want, have, strict=True):
            _fill(layer, found, source)


def _fill(layer: Any, stored: StoredLayer, source: str) -> None:
    """Read a layer's arrays once their shapes are known to fit."""
    wanted = _weights(layer)
    shapes = [tuple(weight.shape) for weight in wanted]
    found = [tuple(array.shape or ()) for array in stored.arrays]
    there = stored.name or f"{stored.kind}_{stored.number}"
    if shapes != found:
        raise ModelError(
            f"{source}: the layer {there!r} has weights of the shapes {found}, our {layer.name!r} "
            f"wants {shapes}"
        )
    for weight, array in zip(wanted, stored.arrays, strict=True):
        values = np.asarray(array[()], dtype=np.float32)
        if not np.isfinite(values).all():
            raise ModelError(f"{source}: the layer {there!r} has weights that are no numbers")
        weight.assign(values)


def _weights(layer: Any) -> list[Any]:
    """Weights of a layer; the state of random generators is not one."""
    return [weight for weight in layer.weights if weight.dtype == "float32"]


def _snake(kind: str) -> str:
    """Write a class's name as Keras does in its files: ``SeparableConv2D``, separable_conv2d."""
    inner = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", inner).lower()


def _difference(model: Any, session: Session) -> float:
    """Compare probabilities on the drawn pictures, in Keras and in the bundle."""
    probes = draw_probes(session.card.input.size)
    wanted = session.card.input
    tensor = to_tensor(probes, channels=3, value_range=wanted.value_range, layout=wanted.layout)
    logits: NDArray[np.float32] = np.asarray(model.predict(tensor, verbose=0))
    pairs = (softmax(x, 1.0) for x in (logits, session.logits(probes)))
    return float(np.abs(np.subtract(*pairs)).max())
