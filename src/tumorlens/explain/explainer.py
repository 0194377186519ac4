"""From a question about a slice to its explanation, by whichever engine can answer it.

At the last layer the head's gradient has a closed form and ONNX Runtime is enough. At
inner layers the float network is differentiated in Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tumorlens.explain.cam import METHODS, scale_map
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.perturb import occlude, score_channels
from tumorlens.explain.place import place_map
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.models.card import Card, FeatureLayer
from tumorlens.models.head import Head
from tumorlens.prediction import Prediction, Predictor
from tumorlens.progress import Progress, silent

if TYPE_CHECKING:
    from tumorlens.explain.inner import InnerLook

__all__ = ["ENGINE", "Explainable", "InnerNetwork", "Question", "explain_layers", "explain_slices"]

Map: TypeAlias = NDArray[np.float32]

_NAMED: Final = 12  # layers in an error
ENGINE: Final = "onnxruntime"
"""What last layers are explained with."""


class InnerNetwork(Protocol):
    """What looks at inner layers: `tumorlens.explain.inner.FloatNetwork`, or another's."""

    @property
    def engine(self) -> str:
        """What it runs on, such as ``"keras-tensorflow"``."""

    def look(self, pixels: Map, layers: Sequence[str], weights: Map) -> Sequence[InnerLook]:
        """Differentiate a weighted sum of the logits by some layers."""


class Explainable(Predictor, Protocol):
    """What can be explained: `tumorlens.Classifier`, or another's."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that can be explained, early to late."""

    @property
    def head(self) -> Head:
        """What turns the last feature map into logits."""

    @property
    def float_network(self) -> InnerNetwork:
        """What looks at inner layers."""

    def features(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> tuple[list[Prediction], Map]:
        """Classify prepared slices and keep their last feature maps."""

    def logits(self, pixels: Map) -> Map:
        """Give the logits of prepared pictures."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an explanation is asked for.

    Parameters
    ----------
    method
        A key of `tumorlens.explain.cam.METHODS`.
    layer
        One of the classifier's `layers`; the last one when ``None``. Occlusion looks at
        the picture itself and takes no notice of it.
    target
        A class of the model; the most probable one when ``None``.
    versus
        A second class: why the target rather than this one. ``None`` for the target
        alone.
    """

    method: str = "gradcam"
    layer: str | None = None
    target: str | None = None
    versus: str | None = None

    def check(self, classifier: Explainable) -> None:
        """See that a model can answer.

        Raises
        ------
        ValueError
            When there is no such method, layer or class.
        """
        if self.method not in METHODS:
            raise ValueError(f"there is no method {self.method!r}; there are {', '.join(METHODS)}")
        if self.layer is not None and self.layer not in classifier.layers:
            raise ValueError(
                f"there is no layer {self.layer!r} to explain; there are "
                f"{_some(self.layer, classifier.layers)}"
            )
        for name in (self.target, self.versus):
            if name is not None and name not in classifier.card.classes:
                raise ValueError(
                    f"there is no class {name!r}; there are {', '.join(classifier.card.classes)}"
                )
        if self.versus is not None and self.versus == self.target:
            raise ValueError(f"`target` and `versus` are both {self.target!r}; name two classes")

    def target_for(self, prediction: Prediction) -> str:
        """Say which class is explained: the one asked for, else the most probable one.

        Where that would be explained against itself, the second most probable one.
        """
        if self.target is not None:
            return self.target
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        return next(name for name, _ in ranked if name != self.versus)

    def weights(self, card: Card, target: str) -> NDArray[np.float32]:
        """Weigh the logits so that their sum is the score to explain, ``(classes,)``."""
        return np.array(
            [(name == target) - (name == self.versus) for name in card.classes], dtype=np.float32
        )


def explain_slices(
    classifier: Explainable,
    pictures: Sequence[Slice],
    question: Question,
    *,
    network: InnerNetwork | None = None,
    progress: Progress = silent,
) -> Iterator[Explanation]:
    """Explain some slices, which go through the network together.

    Parameters
    ----------
    classifier
        The model.
    pictures
        Slices.
    question
        What to explain.
    network
        What looks at inner layers; the classifier's own float network when ``None``.
    progress
        Told of the passes through the network where a slice needs many; what it raises
        ends the work.

    Yields
    ------
    Explanation
        One a slice; its map is made when it is asked for.

    Raises
    ------
    ValueError
        When there is no such method, layer or class.
    MissingExtraError
        When the layer is an inner one and Keras is not installed.
    """
    question.check(classifier)
    if not pictures:
        return
    prepared = [classifier.card.input.prepare(picture) for picture in pictures]
    predictions, features = classifier.features(list(pictures), prepared)
    for i, prediction in enumerate(predictions):
        case = _Case(classifier, question, pictures[i], prepared[i], prediction, progress)
        outside = question.method == "occlusion"  # which takes no notice of the layer
        if outside or question.layer in (None, classifier.layers[-1]):
            yield case.explain(case.look_last(features[i]))
        else:
            inner = network or classifier.float_network
            yield case.explain(*case.look_inside(inner, [question.layer]))


def explain_layers(
    classifier: Explainable,
    picture: Slice,
    question: Question,
    layers: Sequence[str] | None = None,
    *,
    progress: Progress = silent,
) -> list[Explanation]:
    """Explain one slice at several layers of the float network, in one pass.

    Parameters
    ----------
    classifier
        The model.
    picture
        The slice.
    question
        What to explain; its layer does not count.
    layers
        Names of layers; all of them when ``None``.
    progress
        Called after each layer.

    Returns
    -------
    list of Explanation
        One a layer.

    Raises
    ------
    ValueError
        When there is no such method, layer or class, or the method knows no layers.
    MissingExtraError
        When Keras is not installed.
    """
    if question.method == "occlusion":
        raise ValueError("occlusion changes the picture itself and knows no layers")
    names = classifier.layers if layers is None else tuple(layers)
    for name in names:
        replace(question, layer=name).check(classifier)
    prepared = classifier.card.input.prepare(picture)
    prediction = classifier.predict_prepared([picture], [prepared])[0]
    case = _Case(classifier, question, picture, prepared, prediction)
    looks = case.look_inside(classifier.float_network, names)
    explained: list[Explanation] = []
    for evidence in looks:
        explained.append(case.explain(evidence))
        progress("layers", len(explained), len(names))
    return explained


def _some(asked: str, layers: Sequence[str]) -> str:
    """Name the layers, or of many those that may have been meant."""
    if len(layers) <= _NAMED:
        return ", ".join(layers)
    near = get_close_matches(asked, layers)
    meant = f", among them {', '.join(near)}" if near else ""
    return f"{len(layers)}{meant} (`tumorlens explain --list-layers`, or `layers`, names all)"


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """What a layer did for one picture, and which engine says so."""

    layer: FeatureLayer
    activations: Map
    gradients: Map
    engine: str
    float_label: str | None = None


class _Case:
    """One slice with its answer and the question about it."""

    def __init__(
        self,
        classifier: Explainable,
        question: Question,
        picture: Slice,
        prepared: Prepared,
        prediction: Prediction,
        progress: Progress = silent,
    ) -> None:
        self._classifier = classifier
        self._question = question
        self._picture = picture
        self._prepared = prepared
        self._prediction = prediction
        self._progress = progress
        self._target = question.target_for(prediction)
        self._weights = question.weights(classifier.card, self._target)

    def look_last(self, features: Map) -> _Evidence:
        """Look at the last layer, in closed form."""
        gradients = self._classifier.head.gradient(features, self._weights)
        return _Evidence(self._classifier.card.features, features, gradients, ENGINE)

    def look_inside(self, network: InnerNetwork, names: Sequence[str]) -> list[_Evidence]:
        """Look at layers of the float network."""
        looks = network.look(self._prepared.pixels[None], names, self._weights[None])
        return [
            _Evidence(
                look.layer,
                look.activations[0],
                look.gradients[0],
                network.engine,
                self._classifier.card.classes[int(look.logits[0].argmax())],
            )
            for look in looks
        ]

    def explain(self, evidence: _Evidence) -> Explanation:
        """Turn evidence into a map in the slice's own pixels."""
        cells, place = self._map(evidence)
        changed = place is not evidence.layer  # the picture was looked at, and no layer
        scaled, flat = scale_map(cells)
        height, width = self._picture.height, self._picture.width
        placed = place_map(scaled, place, self._prepared, height, width)
        peak = float(cells.max()) * float(placed.max())
        # Between the cells' centres the peak may be missed; 1 still means the most important.
        heat, flat_here = scale_map(placed, out=placed)
        return Explanation(
            map=heat,
            cells=cells,
            method=self._question.method,
            layer=place.name,
            target=self._target,
            versus=self._question.versus,
            flat=flat or flat_here,
            peak=0.0 if flat or flat_here else peak * self._places(cells),
            prediction=self._prediction,
            picture=self._picture,
            grid=place,
            engine=ENGINE if changed else evidence.engine,
            float_label=None if changed else evidence.float_label,
        )

    def _map(self, evidence: _Evidence) -> tuple[Map, FeatureLayer]:
        formula = METHODS[self._question.method].formula
        if formula is not None:
            return formula(evidence.activations, evidence.gradients), evidence.layer
        if self._question.method == "occlusion":
            return occlude(self._prepared.pixels, self._score, self._progress)
        activations, layer = evidence.activations, evidence.layer
        pixels = self._prepared.pixels
        return score_channels(activations, layer, pixels, self._score, self._progress), layer

    def _places(self, cells: Map) -> int:
        """Say how many places share the score, so that a place's part is in logits."""
        return cells.size if METHODS[self._question.method].shared else 1

    def _score(self, pixels: Map) -> Map:
        """Score prepared pictures for the target, with the network that answers."""
        return self._classifier.logits(pixels) @ self._weights
