"""The head of a network: from the last feature map to the logits, in NumPy.

It is small (one pooling, one or two dense layers) and travels inside
``model.onnx`` as metadata, so that the gradient of any logit at the last layer has
a closed form and explaining needs no deep-learning framework.
"""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import ModelError
from tumorlens.untrusted import read_json

__all__ = ["HEAD_KEY", "Head"]

HEAD_KEY: Final = "tumorlens.head"
"""Key of the head among the metadata of an ONNX file."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Pooling and dense layers behind the last feature map.

    Parameters
    ----------
    pooling
        ``"avg"`` or ``"max"`` over rows and columns, before the dense layers; or
        ``"lse"``: one dense layer gives each place its evidence for each class, and a
        logit is the logarithm of the mean over places of the exponential of its
        evidence, a smooth maximum (Pinheiro and Collobert, CVPR 2015, equation 2,
        r = 1). The map of evidence then is the computation itself, and Grad-CAM of a
        class is its evidence above the bias.
    layers
        Kernel ``(inputs, units)`` and bias ``(units,)`` of each dense layer,
        float32. ReLU follows every layer but the last, whose units are the logits.
    """

    pooling: str
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    def __post_init__(self) -> None:
        if self.pooling not in ("avg", "max", "lse"):
            raise ModelError(f"the head's pooling must be avg, max or lse, got {self.pooling!r}")
        if not self.layers:
            raise ModelError("the head has no layers")
        if self.pooling == "lse" and len(self.layers) != 1:
            raise ModelError(f"a head that pools evidence has one layer, not {len(self.layers)}")
        for kernel, bias in self.layers:
            if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
                raise ModelError(f"the head's layer {kernel.shape} does not fit {bias.shape}")
            if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
                raise ModelError("the head holds numbers that are not finite")
        for (before, _), (after, _) in itertools.pairwise(self.layers):
            if before.shape[1] != after.shape[0]:
                raise ModelError(f"the head's layer {after.shape} does not follow {before.shape}")

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the logits of one feature map ``(height, width, channels)``.

        Raises
        ------
        ModelError
            When it has another number of channels than the head takes.
        """
        self._take(features)
        if self.pooling == "lse":
            evidence = self._evidence(features)
            top = evidence.max(axis=(0, 1))
            return np.asarray(top + np.log(np.exp(evidence - top).mean(axis=(0, 1))))
        x = self._pooled(features)
        for i, (kernel, bias) in enumerate(self.layers):
            x = x @ kernel + bias
            if i + 1 < len(self.layers):
                x = np.maximum(x, 0)
        return x

    def shifted(self, by: NDArray[np.float32]) -> Head:
        """Give the head that answers with `by`, ``(classes,)``, added to the logits.

        Each place's evidence moves with its logit.
        """
        kernel, bias = self.layers[-1]
        last = (kernel, np.asarray(bias + by, dtype=np.float32))
        return Head(self.pooling, (*self.layers[:-1], last))

    def gradient(
        self, features: NDArray[np.float32], weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Differentiate a weighted sum of the logits by the feature map.

        Parameters
        ----------
        features
            ``(height, width, channels)``.
        weights
            ``(classes,)``: 1 at a class explains that class; 1 and -1 explain
            the difference between two.

        Returns
        -------
        numpy.ndarray
            ``(height, width, channels)``, before softmax. Where several places
            share a channel's maximum, they share its gradient equally.

        Raises
        ------
        ModelError
            When the feature map has another number of channels than the head takes.
        """
        self._take(features)
        if self.pooling == "lse":
            evidence = self._evidence(features)
            share = np.exp(evidence - evidence.max(axis=(0, 1)))
            share /= share.sum(axis=(0, 1))
            return np.asarray((share * weights) @ self.layers[0][0].T, dtype=np.float32)
        slope = self._slope(self._pooled(features), weights)
        height, width, _ = features.shape
        if self.pooling == "avg":
            return np.broadcast_to(slope / np.float32(height * width), features.shape)
        top = features == features.max(axis=(0, 1), keepdims=True)
        return np.asarray(top / top.sum(axis=(0, 1), keepdims=True) * slope, dtype=np.float32)

    def _take(self, features: NDArray[np.float32]) -> None:
        wanted = self.layers[0][0].shape[0]
        if features.ndim != 3 or features.shape[2] != wanted or not features.size:
            raise ModelError(
                f"the head takes {wanted} channels, the network gives features of shape "
                f"{features.shape}; export the model again"
            )

    def _evidence(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Evidence for each class at each place, ``(height, width, classes)``."""
        kernel, bias = self.layers[0]
        return np.asarray(features @ kernel + bias, dtype=np.float32)

    def _pooled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        pooled = features.mean((0, 1)) if self.pooling == "avg" else features.max((0, 1))
        return np.asarray(pooled, dtype=np.float32)

    def _slope(
        self, pooled: NDArray[np.float32], weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Gradient by the pooled vector: the chain rule through the dense layers."""
        active: list[NDArray[np.bool_]] = []
        x = pooled
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0)
            active.append(x > 0)
        slope = self.layers[-1][0] @ weights
        for (kernel, _), on in zip(reversed(self.layers[:-1]), reversed(active), strict=True):
            slope = kernel @ (slope * on)
        return np.asarray(slope, dtype=np.float32)

    def to_text(self) -> str:
        """Write the head as text that ONNX metadata can hold."""
        layers = [{"kernel": _encode(k), "bias": _encode(b)} for k, b in self.layers]
        return json.dumps({"pooling": self.pooling, "layers": layers})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read back what `to_text` wrote.

        Raises
        ------
        ModelError
            When the text is not a head.
        """
        try:
            values = read_json(text)
            layers = tuple((_decode(x["kernel"]), _decode(x["bias"])) for x in values["layers"])
            return cls(str(values["pooling"]), layers)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"the head in the model file is damaged: {error!r}") from error


def _encode(array: NDArray[np.float32]) -> dict[str, object]:
    data = np.ascontiguousarray(array, dtype="<f4").tobytes()
    return {"shape": list(array.shape), "float32": base64.b64encode(data).decode("ascii")}


def _decode(value: dict[str, object]) -> NDArray[np.float32]:
    data = base64.b64decode(str(value["float32"]), validate=True)
    shape = value["shape"]
    if not isinstance(shape, list):
        raise TypeError("shape is no list")
    return np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float32)
