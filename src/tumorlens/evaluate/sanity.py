"""The sanity check: maps must fall apart as the network's weights are randomised.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, cascading randomisation: layers are
randomised one after the other, from the logits down, and each map is compared with that of
the trained network. A method whose maps stay shows the picture and not the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tumorlens.data.outlines import MaskedPicture
from tumorlens.errors import UnreadableImageError
from tumorlens.evaluate.map_measures import rank_correlation
from tumorlens.explain.cam import METHODS, scale_map
from tumorlens.explain.inner import FloatNetwork
from tumorlens.explain.place import place_on_input
from tumorlens.images.prepare import Prepared
from tumorlens.images.read import read_slices
from tumorlens.progress import Progress, silent

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier

__all__ = ["Sanity", "check_sanity", "choose_pictures"]

_STEPS: Final = 12  # at most; a deep network is randomised some layers at a time
_SHOWN: Final = 3  # pictures whose maps are kept


@dataclass(frozen=True, slots=True, eq=False)
class Sanity:
    """What became of the maps.

    Parameters
    ----------
    steps
        The layer down to which everything is randomised, the first being ``"trained"``.
    similarity
        Of each method, ``(pictures, steps)``: Spearman's rank correlation of the maps at
        the layer's own resolution with those of the trained network.
    maps
        Of each method, for some pictures: ``(pictures, steps, size, size)``, from 0 to 1.
    pixels
        Those pictures as the network sees them.
    """

    steps: tuple[str, ...]
    similarity: dict[str, NDArray[np.float64]]
    maps: dict[str, NDArray[np.float32]]
    pixels: NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """Give steps and mean similarities as JSON holds them."""
        means = {name: values.mean(axis=0).tolist() for name, values in self.similarity.items()}
        return {"steps": list(self.steps), "pictures": self._count(), "similarity": means}

    def _count(self) -> int:
        return next((len(values) for values in self.similarity.values()), 0)


def check_sanity(
    classifier: Classifier,
    cases: Sequence[tuple[Prepared, str]],
    methods: Sequence[str],
    *,
    layer: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Sanity:
    """Randomise the float network from the logits down and watch the maps.

    The entries of each weight are shuffled, so that their distribution stays and the
    signal neither dies nor explodes on its way.

    Parameters
    ----------
    classifier
        The model; its own networks are left alone.
    cases
        Prepared pictures, and for each the class to explain.
    methods
        Keys of `tumorlens.explain.cam.METHODS`; those that ask the network about
        changed pictures are left out.
    layer
        Where to look; the last layer when ``None``.
    seed
        Of the shuffling.
    progress
        Told of the steps.

    Raises
    ------
    MissingExtraError
        When Keras is not installed.
    ModelError
        When the bundle has no float weights.
    """
    network = classifier.open_float_network()
    name = layer or classifier.card.features.name
    methods = [method for method in methods if METHODS[method].formula is not None]
    random = np.random.default_rng(seed)
    groups = _from_the_top(network.model, classifier.layers)
    steps: list[str] = []
    cells: dict[str, list[list[NDArray[np.float32]]]] = {method: [] for method in methods}
    for i, (step, layers) in enumerate([("trained", []), *groups]):
        for one in layers:
            one.set_weights(
                [random.permutation(w.ravel()).reshape(w.shape) for w in one.get_weights()]
            )
        steps.append(step)
        looked = [_look(network, classifier, name, prepared, label) for prepared, label in cases]
        for method in methods:
            formula = METHODS[method].formula
            if formula is not None:
                cells[method].append([formula(a, g) for a, g in looked])
        progress("randomised", i, len(groups))
    grid = network.place(name)
    shown = min(_SHOWN, len(cases))

    def draw(method: str) -> NDArray[np.float32]:
        size = classifier.card.input.size
        return np.stack(
            [
                [place_on_input(scale_map(row[i])[0], grid, size) for row in cells[method]]
                for i in range(shown)
            ]
        )

    return Sanity(
        tuple(steps),
        {
            method: np.array(
                [[rank_correlation(rows[0][i], row[i]) for row in rows] for i in range(len(cases))]
            )
            for method, rows in cells.items()
        },
        {method: draw(method) for method in methods},
        np.stack([prepared.pixels for prepared, _ in cases[:shown]]),
    )


def choose_pictures(
    classifier: Classifier, pictures: Sequence[MaskedPicture], count: int
) -> list[tuple[Prepared, str]]:
    """Prepare some pictures, evenly taken, with the class to explain; unreadable ones are left."""
    count = min(count, len(pictures))
    chosen = []
    for picture in (pictures[i * len(pictures) // count] for i in range(count)):
        try:
            slices = read_slices(picture.path)
        except UnreadableImageError:
            continue
        chosen.append((classifier.card.input.prepare(slices[0]), picture.label))
    return chosen


def _look(
    network: FloatNetwork, classifier: Classifier, layer: str, prepared: Prepared, label: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weights = np.array([[name == label for name in classifier.card.classes]], dtype=np.float32)
    (look,) = network.look(prepared.pixels[None], [layer], weights)
    return look.activations[0], look.gradients[0]


def _from_the_top(model: Any, outputs: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """Group the layers with weights into steps, from the logits down.

    Each step ends where a convolution's block of layers begins, and is named after that
    convolution's output.
    """
    groups: list[tuple[str, list[Any]]] = []
    waiting: list[Any] = []
    name = "logits"
    for layer in reversed(model.layers):
        if layer.name in outputs and waiting:
            groups.append((name, waiting))
            waiting = []
        if layer.name in outputs:
            name = layer.name
        if layer.weights:
            waiting.append(layer)
    groups.append((name, waiting))
    if len(groups) <= _STEPS:
        return groups
    # The top first by itself, then some at a time.
    ends = np.unique(np.linspace(0, len(groups) - 1, _STEPS).round().astype(int))
    merged, begin = [], 0
    for end in ends:
        part = groups[begin : end + 1]
        merged.append((part[-1][0], [layer for _, layers in part for layer in layers]))
        begin = end + 1
    return merged
