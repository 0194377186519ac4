"""The classifier: scans in, predictions out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorlens.errors import TumorLensError, UnreadableImageError
from tumorlens.images.prepare import Prepared, prepare
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice
from tumorlens.models.card import Card
from tumorlens.models.head import Head
from tumorlens.models.session import Session
from tumorlens.models.store import Place, open_bundle
from tumorlens.progress import Progress, silent
from tumorlens.trust.picture_check import check_picture
from tumorlens.trust.prediction_set import gather_set, softmax

if TYPE_CHECKING:
    from tumorlens.explain.explanation import Explanation

__all__ = ["Classifier", "Prediction", "Source", "load"]

Source: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any] | Slice
"""Whatever a slice can come from."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one slice.

    Parameters
    ----------
    path
        The path as it was given, or ``None``.
    slice
        Which frame of the source, from 0.
    label
        The most probable class, whatever its probability.
    confidence
        Its probability, from 0 to 1.
    probabilities
        Of each class, in the model's order; they add up to 1.
    prediction_set
        The most probable classes that together reach the level in the model's card.
    assessable
        False when the picture is unlike anything the model can judge. The
        label then means nothing.
    reason
        Why it is not assessable, or ``None``.
    model
        Name and version of the model.
    logits
        What the network gave, before temperature and softmax, in the model's order.
    """

    path: str | None
    slice: int
    label: str
    confidence: float
    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]
    assessable: bool
    reason: str | None
    model: str
    logits: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as ``tumorlens predict --json`` prints it."""
        return {
            "path": self.path,
            "slice": self.slice,
            "label": self.label,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
            "prediction_set": list(self.prediction_set),
            "assessable": self.assessable,
            "reason": self.reason,
            "model": self.model,
        }


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    threads: int | None = None,
    offline: bool = False,
    endpoint: str | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Load a model.

    Parameters
    ----------
    model
        The name of a model that ships with the package, the path of a bundle, a
        model on the Hugging Face Hub as ``hf://org/name@revision``, or ``None``
        for the default model.
    threads
        Processor threads one picture may use; all cores when ``None``.
    offline
        Take a model on the hub from the cache alone.
    endpoint
        Address of the hub, when it is not the usual one.
    progress
        Told of megabytes fetched.

    Returns
    -------
    Classifier
        Ready to use. It may be shared between threads.

    Raises
    ------
    ModelError
        When there is no such model, or it is not what its card says.
    MissingExtraError
        When a model on the hub is named and huggingface_hub is not installed.

    Examples
    --------
    >>> import tumorlens
    >>> classifier = tumorlens.load()
    >>> classifier.predict("slice.png").label  # doctest: +SKIP
    'glioma'
    """
    bundle = open_bundle(model, offline=offline, endpoint=endpoint, progress=progress)
    return Classifier(Session(bundle, threads=threads))


class Classifier:
    """A model that answers for slices.

    Parameters
    ----------
    session
        The loaded network.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._head: Head | None = None

    @property
    def card(self) -> Card:
        """What the model promises."""
        return self._session.card

    @property
    def place(self) -> Place:
        """Where the model was found: its folder, what finds it again, and what to know of it."""
        return self._session.place

    def predict(self, source: Source) -> Prediction:
        """Classify one slice.

        Parameters
        ----------
        source
            A path, the bytes of a file, a Pillow image, an array or a slice. It
            must hold one slice; `predict_batch` takes several.

        Raises
        ------
        UnreadableImageError
            When the picture cannot be read.
        TumorLensError
            When the source holds several slices.
        """
        return next(self.predict_batch([self._only(source)]))

    def classify(self, source: Source) -> str:
        """Name the most probable class of one slice, as `predict` does.

        It names one for a blank picture too: ask `predict` whether the slice is
        assessable.
        """
        return self.predict(source).label

    def confidence(self, source: Source) -> float:
        """Give the probability of the most probable class of one slice, as `predict` does.

        It says nothing of whether the slice is assessable.
        """
        return self.predict(source).confidence

    def predict_batch(
        self, sources: Iterable[Source], *, batch_size: int = 16
    ) -> Iterator[Prediction]:
        """Classify many slices, in order, with a few in memory at a time.

        Parameters
        ----------
        sources
            Whatever `predict` takes. A source of several slices gives several
            predictions.
        batch_size
            Slices that go through the network together.

        Yields
        ------
        Prediction
            One a slice.

        Raises
        ------
        UnreadableImageError
            When a picture cannot be read; answers given before it stand.
        """
        if isinstance(sources, str | bytes | os.PathLike):
            raise TypeError("`sources` must be several sources, such as a list of paths")
        if batch_size not in range(1, 1_000_000):
            raise ValueError(f"`batch_size` must be a whole number from 1, got {batch_size!r}")
        batch: list[Slice] = []
        for source in sources:
            try:
                batch += as_slices(source)
            except UnreadableImageError:
                yield from self._prepare_and_predict(batch)
                raise
            while len(batch) >= batch_size:
                yield from self._prepare_and_predict(batch[:batch_size])
                batch = batch[batch_size:]
        yield from self._prepare_and_predict(batch)

    def _prepare_and_predict(self, batch: list[Slice]) -> list[Prediction]:
        if not batch:
            return []
        return self.predict_prepared(batch, [prepare(x, self.card.input.size) for x in batch])

    def predict_prepared(self, batch: list[Slice], prepared: list[Prepared]) -> list[Prediction]:
        """Classify slices that are prepared already, all in one go."""
        logits = self._session.logits(np.stack([p.pixels for p in prepared]))
        return self._answers(batch, prepared, logits)

    def explain(
        self, source: Source, *, method: str = "gradcam", target: str | None = None
    ) -> Explanation:
        """Show where in one slice the evidence for a class lies.

        Parameters
        ----------
        source
            As `predict` takes it.
        method
            ``"gradcam"``.
        target
            The class to explain; the most probable one when ``None``.

        Returns
        -------
        Explanation
            The map in the slice's own pixels, with the prediction.

        Raises
        ------
        ValueError
            When there is no such method or class.
        """
        # Imported on call: classifying never needs it.
        from tumorlens.explain.explanation import explain_slice  # noqa: PLC0415

        return explain_slice(self, self._only(source), method=method, target=target)

    def features(
        self, picture: Slice, prepared: Prepared
    ) -> tuple[Prediction, NDArray[np.float32]]:
        """Classify one prepared slice and keep its last feature map ``(h, w, channels)``."""
        logits, features = self._session.logits_and_features(prepared.pixels[None])
        return self._answers([picture], [prepared], logits)[0], features[0]

    @property
    def head(self) -> Head:
        """What turns the last feature map into logits; read once."""
        if self._head is None:
            self._head = self._session.head()
        return self._head

    def _only(self, source: Source) -> Slice:
        slices = as_slices(source)
        if len(slices) != 1:
            raise TumorLensError(
                f"{slices[0].name} holds {len(slices)} slices; use predict_batch, or give one of "
                "those that read_slices returns"
            )
        return slices[0]

    def _answers(
        self, batch: list[Slice], prepared: list[Prepared], logits: NDArray[np.float32]
    ) -> list[Prediction]:
        card = self.card
        rows = softmax(logits, card.temperature)
        return [
            _answer(card, picture, check_picture(picture, seen), row, raw)
            for picture, seen, row, raw in zip(batch, prepared, rows, logits, strict=True)
        ]


def as_slices(source: Source) -> list[Slice]:
    """Read a source; a slice stands for itself."""
    return [source] if isinstance(source, Slice) else read_slices(source)


def _answer(
    card: Card,
    picture: Slice,
    reason: str | None,
    row: NDArray[np.float64],
    logits: NDArray[np.float32],
) -> Prediction:
    best = int(row.argmax())
    return Prediction(
        path=picture.path,
        slice=picture.index,
        label=card.classes[best],
        confidence=float(row[best]),
        probabilities=dict(zip(card.classes, row.tolist(), strict=True)),
        prediction_set=tuple(gather_set(row, card.classes, card.set_level)),
        assessable=reason is None,
        reason=reason,
        model=card.id,
        logits=tuple(logits.tolist()),
    )
