"""Weights that Keras saved elsewhere, taken into a network that our code builds.

Nothing in the file is run and nothing is built from it: its arrays are matched with
the layers of our network and assigned when their shapes agree. Keras numbers the
layers that it names itself over the whole process, so that ``conv2d_7`` may be the
first of its kind; such layers are matched by their order, all others by name.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.checkpoint.archive import open_parts
from tumorlens.checkpoint.config import Config, check_architecture, read_config
from tumorlens.checkpoint.hdf5 import StoredLayer
from tumorlens.checkpoint.reader import look_through, take_arrays
from tumorlens.errors import ModelError
from tumorlens.files import hash_file, new_folder
from tumorlens.images.prepare import to_tensor
from tumorlens.models.probes import draw_probes
from tumorlens.models.session import Session
from tumorlens.networks.network import build_network, feature_layer
from tumorlens.train.export import write_bundle
from tumorlens.trust.prediction_set import softmax
from tumorlens.untrusted import printable

__all__ = ["import_checkpoint", "load_checkpoint_weights"]

_AGREE: Final = 1e-4  # of a probability, between Keras and the exported network
_SIDES: Final = range(8, 1025)
# Memory and time go with the square of the side: at 4096 pixels the probes took 5 GB. The
# networks were made for 224 to 299; whoever has one for more knows it, and may say so.
_LARGEST_UNASKED: Final = 512
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
    licence: str = "unknown",
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
        Side of its input in pixels; the config's when ``None``, or the network's own. A
        config's beyond 512 must be confirmed by giving it.
    name, version, description
        For the card; the network's name when ``None``.
    licence
        Under which its author gave it away; ours would be a claim.

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
            licence=licence,
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
    if size is not None and size not in _SIDES:
        raise ModelError(f"`size` must be from {_SIDES[0]} to {_SIDES[-1]} pixels, got {size}")
    source = os.fspath(file)
    with open_parts(file) as parts:
        config = None if parts.config is None else read_config(parts.config, source=source)
        inner_config, stored = look_through(parts.weights, source=source)
        if config is None and inner_config is not None:
            config = read_config(inner_config, source=source)
        side = size if config is None else _agreed_size(config.size, size, source)
        model = build_network(network, classes=classes, size=side)
        if config is not None:
            check_architecture(config, model)
        pairs = _match(model, _named(stored, config), source)
        names = [name for _, layer in pairs for name in layer.arrays]
        _fill(pairs, take_arrays(parts.weights, names, source=source), source)
        kind = parts.kind
    return model, {
        "sha256": hash_file(Path(file)),
        "kind": kind,
        "architecture_compared": config is not None,
    }


def _agreed_size(found: int, wanted: int | None, source: str) -> int:
    """Take the side that the file says, unless it is not the one asked for, or is absurd."""
    if wanted not in (None, found):
        raise ModelError(f"{source} takes pictures of {found} pixels, not of {wanted}")
    if wanted is None and found > _LARGEST_UNASKED:
        raise ModelError(
            f"{source} wants pictures of {found} × {found} pixels, which would take much memory; "
            f"if that is right, say so with --size {found} (`size={found}`)"
        )
    return found


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
        done.append(dataclasses.replace(layer, kind=kind, number=number, name=own_name))
    return sorted(done, key=lambda layer: (layer.kind, layer.number))


def _match(model: Any, stored: list[StoredLayer], source: str) -> list[tuple[Any, StoredLayer]]:
    """Find for every layer its own in the file, of the right shapes; none is left over."""
    head = model.layers[[x.name for x in model.layers].index(feature_layer(model.name)) + 1 :]
    ours = [layer for layer in model.layers if _weights(layer)]
    by_name = {x.name: x for x in stored if x.name and not _AUTOMATIC.fullmatch(x.name)}
    named = {
        layer.name: by_name[layer.name]
        for layer in ours
        if layer.name in by_name and layer not in head and not _AUTOMATIC.fullmatch(layer.name)
    }
    pairs = [(layer, named[layer.name]) for layer in ours if layer.name in named]
    rest = [layer for layer in ours if layer.name not in named]
    left = [layer for layer in stored if layer not in named.values()]
    for kind in sorted({_snake(type(x).__name__) for x in rest} | {x.kind for x in left}):
        want = [layer for layer in rest if _snake(type(layer).__name__) == kind]
        have = [layer for layer in left if layer.kind == kind]
        if len(want) != len(have):
            raise ModelError(
                f"{source} is no {model.name}: for the {len(want)} layers of the kind {kind} "
                f"({_listed([x.name for x in want])}) it has {len(have)} "
                f"({_listed([_called(x) for x in have])})"
            )
        pairs += zip(want, have, strict=True)
    for layer, found in pairs:
        shapes = tuple(tuple(weight.shape) for weight in _weights(layer))
        if shapes != found.shapes:
            raise ModelError(
                f"{source}: the layer {_called(found)!r} has weights of the shapes "
                f"{list(found.shapes)}, our {layer.name!r} wants {list(shapes)}"
            )
    return pairs


def _fill(
    pairs: list[tuple[Any, StoredLayer]], arrays: list[NDArray[np.float32]], source: str
) -> None:
    """Assign the arrays, which come in the order of the pairs."""
    left = iter(arrays)
    for layer, stored in pairs:
        for weight in _weights(layer):
            values = next(left)
            if not np.isfinite(values).all():
                raise ModelError(
                    f"{source}: the layer {_called(stored)!r} has weights that are no numbers"
                )
            weight.assign(values)


def _called(layer: StoredLayer) -> str:
    return printable(layer.name or f"{layer.kind}_{layer.number}", 80)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "") or "none"


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
