"""The classifier: scans in, predictions out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import TumorLensError
from tumorlens.forks import renew_in_child
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume, in_space, space_of
from tumorlens.models.bundle import WEIGHTS_NAME, Place, read_novelty
from tumorlens.models.card import Card
from tumorlens.models.head import Head
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.prediction import Prediction
from tumorlens.progress import Progress, silent
from tumorlens.sources.failure import Failure
from tumorlens.sources.gather import OnError, Source, as_slices, counted, gather, predict_found
from tumorlens.trust.picture_check import check_picture
from tumorlens.trust.prediction_set import choose_set, softmax

if TYPE_CHECKING:
    from tumorlens.explain.explanation import Explanation
    from tumorlens.explain.inner import FloatNetwork
    from tumorlens.explain.volume_explanation import VolumeExplanation
    from tumorlens.images.geometry import Plane
    from tumorlens.volume_answer import VolumeAnswer

__all__ = ["Classifier", "Source", "load"]


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
        self._novelty = read_novelty(session.folder, session.card)
        self._head: Head | None = None
        self._start_float_network()
        renew_in_child(self, Classifier._start_float_network)

    def _start_float_network(self) -> None:
        self._float_network: FloatNetwork | None = None
        self._building = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the model's place, card and threads; it is loaded anew from there."""
        return type(self), (self._session,)

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
            A path, the bytes of a file, an open file, a Pillow image, an array, a torch tensor,
            a nibabel image, a pydicom data set or a slice. It must hold one slice;
            `predict_batch` takes several.

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

    @overload
    def predict_batch(
        self,
        sources: Iterable[Source],
        *,
        batch_size: int = 16,
        on_error: Literal["raise", "skip"] = "raise",
        progress: Progress = silent,
    ) -> Iterator[Prediction]: ...

    @overload
    def predict_batch(
        self,
        sources: Iterable[Source],
        *,
        batch_size: int = 16,
        on_error: Literal["return"],
        progress: Progress = silent,
    ) -> Iterator[Prediction | Failure]: ...

    def predict_batch(
        self,
        sources: Iterable[Source],
        *,
        batch_size: int = 16,
        on_error: OnError = "raise",
        progress: Progress = silent,
    ) -> Iterator[Prediction] | Iterator[Prediction | Failure]:
        """Classify many slices, in order, with a few in memory at a time.

        Parameters
        ----------
        sources
            Whatever `predict` takes. A source of several slices gives several
            predictions.
        batch_size
            Slices that go through the network together.
        on_error
            What to do with a picture that cannot be read: ``"raise"`` its error,
            ``"return"`` a `Failure` in its place, or ``"skip"`` it in silence.
        progress
            Told of the sources that are done; their total is 0 where it is not known.

        Yields
        ------
        Prediction or Failure
            One a slice; with ``on_error="return"`` one a picture that cannot be read.

        Raises
        ------
        UnreadableImageError
            When a picture cannot be read; answers given before it stand.
        ValueError
            When `batch_size` or `on_error` is no such value.
        """
        for batch in gather(counted(sources, progress), batch_size, on_error):
            found = [x if isinstance(x, Failure) else self._prepared(x) for x in batch]
            yield from predict_found(self, found)

    def predict_volume(
        self, source: Volume | str | os.PathLike[str], *, plane: Plane | None = None
    ) -> VolumeAnswer:
        """Classify a volume by agreement of its slices; `tumorlens.volume_answer` has the rule.

        Parameters
        ----------
        source
            A volume, or what `tumorlens.read_volume` takes.
        plane
            How to cut it, as `tumorlens.read_volume` takes it.

        Raises
        ------
        UnreadableImageError
            When it cannot be read, or none of its slices can.
        """
        from tumorlens.explain.scan import answer_scan  # noqa: PLC0415

        return answer_scan(self, self._volume(source, plane))

    def explain_volume(
        self,
        source: Volume | str | os.PathLike[str],
        *,
        plane: Plane | None = None,
        method: str = "gradcam",
        layer: str | None = None,
        target: str | None = None,
        versus: str | None = None,
    ) -> VolumeExplanation:
        """Show where in a volume the evidence for a class lies, in the scan's own voxels.

        Parameters
        ----------
        source, plane
            As `predict_volume` takes them.
        method, layer, versus
            As `explain` takes them.
        target
            The class to explain in all slices; that of the volume when ``None``.

        Returns
        -------
        VolumeExplanation
            The map on one scale for all slices, with the answer for the volume.

        Raises
        ------
        UnreadableImageError
            When it cannot be read, or none of its slices can.
        ValueError, MissingExtraError
            As `explain`.
        """
        from tumorlens.explain.explainer import Question  # noqa: PLC0415
        from tumorlens.explain.volume_evidence import explain_volume  # noqa: PLC0415

        question = Question(method, layer, target, versus)
        return explain_volume(self, self._volume(source, plane), question)

    def _volume(self, source: Volume | str | os.PathLike[str], plane: Plane | None) -> Volume:
        from tumorlens.sources.series import read_volume  # noqa: PLC0415

        if not isinstance(source, Volume):
            return read_volume(source, plane)
        return source if plane is None else source.in_plane(plane)

    def predict_prepared(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> list[Prediction]:
        """Classify slices that are prepared already, all in one go."""
        pixels, vectors = np.stack([p.pixels for p in prepared]), None
        if self._novelty is None:
            logits = self._session.logits(pixels)
        else:
            logits, vectors = self._session.logits_and_vectors(pixels)
        return self._answers(batch, logits, self._reasons(batch, prepared, vectors))

    def explain(
        self,
        source: Source,
        *,
        method: str = "gradcam",
        layer: str | None = None,
        target: str | None = None,
        versus: str | None = None,
    ) -> Explanation:
        """Show where in one slice the evidence for a class lies.

        Parameters
        ----------
        source
            As `predict` takes it.
        method
            A key of `tumorlens.explain.cam.METHODS`. Score-CAM and occlusion need as
            many forward passes as the layer has channels, or the picture places.
        layer
            One of `layers`; the last one when ``None``. Any other needs the ``train``
            extra. Occlusion takes no notice of it.
        target
            The class to explain; the most probable one when ``None``.
        versus
            A second class: why the target rather than this one.

        Returns
        -------
        Explanation
            The map in the slice's own pixels, with the prediction.

        Raises
        ------
        ValueError
            When there is no such method, layer or class.
        MissingExtraError
            When the layer is an inner one and Keras is not installed.
        """
        # Imported on call: classifying never needs it.
        from tumorlens.explain.explainer import Question, explain_slices  # noqa: PLC0415

        question = Question(method, layer, target, versus)
        return next(explain_slices(self, [self._only(source)], question))

    def explain_batch(
        self,
        sources: Iterable[Source],
        *,
        method: str = "gradcam",
        layer: str | None = None,
        target: str | None = None,
        versus: str | None = None,
        batch_size: int = 16,
    ) -> Iterator[Explanation]:
        """Explain many slices, in order, with a few in memory at a time.

        At the last layer this costs little more than `predict_batch`.

        Parameters
        ----------
        sources
            As `predict_batch` takes them.
        method, layer, target, versus
            As `explain` takes them.
        batch_size
            Slices that go through the network together.

        Yields
        ------
        Explanation
            One a slice.

        Raises
        ------
        UnreadableImageError
            When a picture cannot be read; what was given before it stands.
        ValueError, MissingExtraError
            As `explain`.
        """
        from tumorlens.explain.explainer import Question, explain_slices  # noqa: PLC0415

        question = Question(method, layer, target, versus)
        for batch in gather(sources, batch_size):
            pictures = [picture for picture in batch if isinstance(picture, Slice)]
            yield from explain_slices(self, pictures, question)

    def features(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> tuple[list[Prediction], NDArray[np.float32]]:
        """Classify prepared slices and keep their last feature maps ``(n, h, w, channels)``."""
        return self.seen(batch, prepared)[:2]

    def seen(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> tuple[list[Prediction], NDArray[np.float32], NDArray[np.float32]]:
        """Do the same, and keep the vectors ``(n, channels)`` that novelty is measured by."""
        pixels = np.stack([p.pixels for p in prepared])
        logits, features, vectors = self._session.logits_features_and_vectors(pixels)
        reasons = self._reasons(batch, prepared, vectors)
        return self._answers(batch, logits, reasons), features, vectors

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the logits ``(n, classes)`` of prepared pictures ``(n, size, size)``, 0 to 1."""
        return self._session.logits(pixels)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that can be explained, early to late.

        The last is the one that is explained by default. The others are there when the
        bundle has float weights; Keras is not needed to name them.
        """
        has_weights = self.card.layers and (self._session.place.folder / WEIGHTS_NAME).is_file()
        return self.card.layers if has_weights else (self.card.features.name,)

    @property
    def float_network(self) -> FloatNetwork:
        """The float network in Keras, for inner layers; built once."""
        with self._building:  # two threads would build two networks at once, which Keras minds
            if self._float_network is None:
                self._float_network = self.open_float_network()
            return self._float_network

    def open_float_network(self) -> FloatNetwork:
        """Build the float network anew, for whoever wants to change its weights.

        Raises
        ------
        MissingExtraError
            When Keras is not installed.
        ModelError
            When the bundle has no float weights, or not those its card names.
        """
        from tumorlens.explain.inner import open_float_network  # noqa: PLC0415

        return open_float_network(self._session.place.folder, self.card)

    @property
    def head(self) -> Head:
        """What turns the last feature map into logits; read once."""
        if self._head is None:
            self._head = self._session.head()
        return self._head

    def _prepared(self, picture: Slice) -> tuple[Slice, Prepared]:
        return picture, self.card.input.prepare(picture)

    def _only(self, source: Source) -> Slice:
        slices = as_slices(source)
        if len(slices) != 1:
            raise TumorLensError(
                f"{slices[0].name} holds {len(slices)} slices; use predict_batch, or give one of "
                "those that read_slices returns"
            )
        return slices[0]

    def _reasons(
        self,
        batch: Sequence[Slice],
        prepared: Sequence[Prepared],
        vectors: NDArray[np.float32] | None = None,
    ) -> list[str | None]:
        """Say of each slice why it cannot be assessed: what is plain to see comes first."""
        reasons = [check_picture(*pair) for pair in zip(batch, prepared, strict=True)]
        limit = self.card.novelty
        if self._novelty is None or limit is None or vectors is None:
            return reasons
        scores = self._novelty.score(vectors).tolist()
        others = self._novelty.log_odds(vectors)
        for i, score in enumerate(scores):
            kind = max(others, key=lambda name: others[name][i], default=None)
            if kind is not None and others[kind][i] > 0:
                reasons[i] = reasons[i] or _other(kind, float(others[kind][i]))
            elif score > limit.limit:
                reasons[i] = reasons[i] or _unlike(score, limit.limit)
        return reasons

    def _answers(
        self, batch: Sequence[Slice], logits: NDArray[np.float32], reasons: list[str | None]
    ) -> list[Prediction]:
        card = self.card
        rows = softmax(logits, card.temperature)
        return [
            _answer(card, picture, reason, row, raw)
            for picture, reason, row, raw in zip(batch, reasons, rows, logits, strict=True)
        ]


def _unlike(score: float, limit: float) -> str:
    return (
        "the picture is unlike the slices the model knows "
        f"(novelty {score:.2f}, at most {limit:.2f} is usual)"
    )


def _other(kind: str, odds: float) -> str:
    return (
        f"the picture looks like {kind}, and only MR slices of the head can be assessed "
        f"(log odds {odds:.1f}, at most 0 is usual)"
    )


def _answer(
    card: Card,
    picture: Slice,
    reason: str | None,
    row: NDArray[np.float64],
    logits: NDArray[np.float32],
) -> Prediction:
    best, place = int(row.argmax()), picture.geometry
    chosen = choose_set(row, card.classes, level=card.set_level, thresholds=card.set_thresholds)
    return Prediction(
        path=picture.path,
        slice=picture.index,
        label=card.classes[best],
        confidence=float(row[best]),
        probabilities=dict(zip(card.classes, row.tolist(), strict=True)),
        prediction_set=tuple(chosen),
        assessable=reason is None,
        reason=reason,
        model=card.id,
        logits=tuple(logits.tolist()),
        position_mm=None if place is None else in_space(place.position, space_of(picture.origin)),
    )
