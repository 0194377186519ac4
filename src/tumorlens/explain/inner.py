"""Activations and gradients at any layer: the float network in Keras, on any backend.

Every layer that is asked for gets an input of zeros added to its output. The gradient by
those zeros is the gradient at the layer; it can be had on every backend, and for many
layers in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import ModelError
from tumorlens.extras import require
from tumorlens.images.prepare import to_tensor
from tumorlens.models.bundle import WEIGHTS_NAME, read_listed
from tumorlens.models.card import Card, FeatureLayer
from tumorlens.networks.geometry import cell_grid, layer_inputs
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import build_network
from tumorlens.networks.weights import load_weights, parse_weights

__all__ = ["FloatNetwork", "InnerLook", "open_float_network"]

_FEATURE: Final = "explaining an inner layer"

Array: TypeAlias = NDArray[np.float32]
_Look: TypeAlias = Callable[[Array, Array], tuple[Any, list[Any], list[Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class InnerLook:
    """What one layer did for some pictures.

    Parameters
    ----------
    layer
        Its name, and where its cells lie in the input.
    activations, gradients
        ``(n, height, width, channels)``.
    logits
        Of the float network, ``(n, classes)``.
    """

    layer: FeatureLayer
    activations: Array
    gradients: Array
    logits: Array


class FloatNetwork:
    """A network in Keras that is asked for its inner layers.

    Parameters
    ----------
    model
        A flat `keras.Model` that gives logits.
    value_range
        What black and white are in its input.
    """

    def __init__(self, model: Any, value_range: tuple[float, float]) -> None:
        self._keras = require_keras(_FEATURE)
        self._model = model
        self._value_range = value_range
        self._looks: dict[tuple[str, ...], _Look] = {}

    @property
    def model(self) -> Any:
        """The `keras.Model`; whoever changes its weights changes the answers."""
        return self._model

    @property
    def engine(self) -> str:
        """What it runs on, such as ``"keras-tensorflow"``."""
        return f"keras-{self._keras.config.backend()}"

    def look(self, pixels: Array, layers: Sequence[str], weights: Array) -> list[InnerLook]:
        """Differentiate a weighted sum of the logits, before softmax, by some layers.

        Parameters
        ----------
        pixels
            Prepared pictures, ``(n, size, size)``, from 0 to 1.
        layers
            Names of layers.
        weights
            ``(n, classes)``: 1 at a class explains that class; 1 and -1 explain the
            difference between two.

        Returns
        -------
        list of InnerLook
            One for each layer.

        Raises
        ------
        ModelError
            When there is no such layer, or it has no place in the picture.
        """
        places = [self.place(name) for name in layers]
        names = tuple(layers)
        if names not in self._looks:
            self._looks[names] = self._differentiate(names)
        tensor = to_tensor(pixels, channels=3, value_range=self._value_range, layout="NHWC")
        logits, activations, gradients = self._looks[names](tensor, weights)
        to_numpy = self._keras.ops.convert_to_numpy
        return [
            InnerLook(place, to_numpy(a), to_numpy(g), to_numpy(logits))
            for place, a, g in zip(places, activations, gradients, strict=True)
        ]

    def place(self, name: str) -> FeatureLayer:
        """Say where the cells of a layer lie in the input."""
        grid = cell_grid(self._model, name)
        return FeatureLayer(name, grid.jump, grid.start, "NHWC")

    def _differentiate(self, names: tuple[str, ...]) -> _Look:
        """Compile what gives logits, activations and gradients of some layers."""
        probe, shapes = _with_nudges(self._keras, self._model, names)
        return _DIFFERENTIATE[self._keras.config.backend()](probe, shapes)


def open_float_network(folder: Path, card: Card) -> FloatNetwork:
    """Build the float network of a bundle from the weights that ship with it.

    Raises
    ------
    MissingExtraError
        When Keras is not installed.
    ModelError
        When the bundle has no float weights, or they are not what its card says.
    """
    require_keras(_FEATURE)
    if WEIGHTS_NAME not in card.files:
        raise ModelError(
            f"{card.id} has no float weights, so that only its last layer can be explained; "
            "export it with its weights"
        )
    arrays = parse_weights(
        read_listed(folder, card, WEIGHTS_NAME), source=str(folder / WEIGHTS_NAME)
    )
    model = build_network(card.network, classes=len(card.classes), size=card.input.size)
    load_weights(model, arrays)
    return FloatNetwork(model, card.input.value_range)


def _with_nudges(keras: Any, model: Any, names: Sequence[str]) -> tuple[Any, list[tuple[int, ...]]]:
    """Rebuild a flat network on the same layers, something added to those named.

    Returns
    -------
    tuple
        A model from the picture and the nudges to the logits and the layers' outputs,
        and the shape of each nudge without the number of pictures.
    """
    made: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    nudges: dict[str, Any] = {}
    for layer in model.layers:
        before = [made[name] for name in layer_inputs(layer)]
        if not before:
            made[layer.name] = model.input
            continue
        made[layer.name] = out = layer(before if len(before) > 1 else before[0])
        if layer.name in names:
            nudge = keras.Input(out.shape[1:])
            made[layer.name] = keras.layers.Add()([out, nudge])
            outputs[layer.name], nudges[layer.name] = out, nudge
    last = model.layers[-1]
    logits = made[last.name]
    if last.output is not model.output:  # evidence, which is pooled by what is no layer
        logits = keras.Model(last.output, model.output)(logits)
    inputs = [model.input, *(nudges[name] for name in names)]
    probe = keras.Model(inputs, [logits, *(outputs[name] for name in names)])
    return probe, [tuple(nudges[name].shape[1:]) for name in names]


def _in_tensorflow(probe: Any, shapes: list[tuple[int, ...]]) -> _Look:
    tf = require("tensorflow", _FEATURE, "train")

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # imported late
    def look(x: Any, weights: Any) -> Any:
        nudges = [tf.zeros([tf.shape(x)[0], *shape]) for shape in shapes]
        with tf.GradientTape() as tape:
            tape.watch(nudges)
            logits, *activations = probe([x, *nudges], training=False)
            score = tf.reduce_sum(logits * weights)
        return logits, activations, tape.gradient(score, nudges)

    return lambda x, weights: look(tf.constant(x), tf.constant(weights))


def _in_torch(probe: Any, shapes: list[tuple[int, ...]]) -> _Look:
    torch = require("torch", _FEATURE, "train")
    ops = require("keras", _FEATURE, "train").ops

    def look(x: Array, weights: Array) -> Any:
        nudges = [ops.zeros((len(x), *shape)).requires_grad_() for shape in shapes]
        logits, *activations = probe([ops.convert_to_tensor(x), *nudges], training=False)
        score = (logits * ops.convert_to_tensor(weights)).sum()
        return logits, activations, torch.autograd.grad(score, nudges)

    return look


def _in_jax(probe: Any, shapes: list[tuple[int, ...]]) -> _Look:
    jax = require("jax", _FEATURE, "train")

    def score(nudges: Any, state: Any, x: Any, weights: Any) -> Any:
        found, _ = probe.stateless_call(*state, [x, *nudges], training=False)
        logits, *activations = found
        return (logits * weights).sum(), (logits, activations)

    differentiate = jax.jit(jax.grad(score, has_aux=True))

    def look(x: Array, weights: Array) -> Any:
        nudges = [np.zeros((len(x), *shape), np.float32) for shape in shapes]
        variables = probe.trainable_variables, probe.non_trainable_variables
        state = [[variable.value for variable in some] for some in variables]
        gradients, (logits, activations) = differentiate(nudges, state, x, weights)
        return logits, activations, gradients

    return look


_DIFFERENTIATE: dict[str, Callable[[Any, list[tuple[int, ...]]], _Look]] = {
    "tensorflow": _in_tensorflow,
    "torch": _in_torch,
    "jax": _in_jax,
}
