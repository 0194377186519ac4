"""Running a model: tensor in, logits and last-layer features out, on ONNX Runtime."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.errors import ModelError
from tumorlens.forks import renew_in_child
from tumorlens.images.prepare import to_tensor
from tumorlens.models.bundle import Bundle, Place, open_network
from tumorlens.models.card import Card
from tumorlens.models.engine import ort, part_of_engine
from tumorlens.models.head import HEAD_KEY, Head
from tumorlens.models.onnx_check import check_onnx
from tumorlens.models.processor import adds_int8_exactly
from tumorlens.trust.novelty import OUTPUT, pool_features

__all__ = ["Session"]

# ONNX Runtime's exceptions have no common base but Exception, and no public names.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(
        x
        for x in vars(part_of_engine("capi.onnxruntime_pybind11_state")).values()
        if isinstance(x, type) and issubclass(x, Exception)
    ),
)


_MOST_THREADS = 256

_TOGETHER = 2
"""Pictures in one run, however many are asked for.

Large maps of more of them leave the processor's cache, and memory that is fetched anew from the
system for each run costs as much as a third of the network. The arena keeps it, and of two
pictures it is little. Answers are the same to the bit.
"""


class Session:
    """A loaded network.

    A forked child opens it anew when it first uses it: ONNX Runtime's threads stay in the
    parent.

    Parameters
    ----------
    bundle
        The model, checked by the store.
    threads
        Processor threads one run may use; all cores when ``None``.

    Raises
    ------
    ValueError
        When `threads` is out of range.
    ModelError
        When the file is not a plain network, its inputs and outputs are not what
        the card says, or ONNX Runtime refuses it.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        if threads is not None and threads not in range(1, _MOST_THREADS + 1):
            raise ValueError(f"`threads` must be from 1 to {_MOST_THREADS}, got {threads!r}")
        self.card = bundle.card
        self.folder = bundle.folder
        self.place = bundle.place
        self._found = bundle.place.absolute()
        self._threads = threads
        self._opening = threading.Lock()
        check_onnx(bundle.onnx, bundle.card, source=f"{bundle.folder}: model.onnx")
        self._engine: Any = self._open(bundle.onnx)
        renew_in_child(self, Session._leave_to_parent)

    def _open(self, onnx: bytes) -> Any:
        """Have ONNX Runtime open the network."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads or 0
        options.log_severity_level = 3  # errors only: its warnings are not for users
        # Processors without VNNI add pairs of int8 products in 16 bits, which overflow: logits
        # were off by up to 3. Unsigned weights do not. They cost a sixth of the speed there, and
        # half of it where there is VNNI, for the very same logits: so there they stay signed.
        if not adds_int8_exactly():
            options.add_session_config_entry("session.x64quantprecision", "1")
        # Threads that spin while they wait take the cores from those that read and prepare.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            engine = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
            # Texts that are not UTF-8 are noticed here.
            self._input: str = engine.get_inputs()[0].name
            self._own_vectors = OUTPUT in (output.name for output in engine.get_outputs())
            self._metadata: dict[str, str] = engine.get_modelmeta().custom_metadata_map
        except _RUNTIME_ERRORS as error:
            raise ModelError(
                f"{self.folder}: ONNX Runtime refuses the model: {_first_line(error)}"
            ) from error
        return engine

    def _leave_to_parent(self) -> None:
        """Forget the engine, in a forked child, and never take it down there.

        Its end would wait for threads that are not there, or crash.
        """
        self._opening = threading.Lock()
        if self._engine is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._engine))
            self._engine = None

    def _opened(self) -> Any:
        with self._opening:
            if self._engine is None:
                self._engine = self._open(open_network(self._found, self.card).onnx)
            return self._engine

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the place, not the network: another process opens it there anew."""
        return _open_again, (type(self), self._found, self.card, self._threads)

    def head(self) -> Head:
        """Read the head that travels inside the model.

        Raises
        ------
        ModelError
            When the model carries none, or one for another number of classes.
        """
        text = self._metadata.get(HEAD_KEY)
        if text is None:
            raise ModelError(f"{self.card.id} carries no head; export it again with tumorlens")
        head = Head.from_text(text)
        if (units := head.layers[-1][0].shape[1]) != len(self.card.classes):
            raise ModelError(
                f"{self.card.id} has a head of {units} logits for {len(self.card.classes)} classes"
            )
        return head

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Classify prepared pictures.

        Parameters
        ----------
        pixels
            ``(n, size, size)``, from 0 to 1.

        Returns
        -------
        numpy.ndarray
            float32, ``(n, classes)``.
        """
        return self._run(["logits"], pixels)[0]

    def logits_and_features(
        self, pixels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Classify prepared pictures and give the last feature maps too.

        Returns
        -------
        tuple of numpy.ndarray
            Logits ``(n, classes)``, features ``(n, height, width, channels)``.
        """
        return self.logits_features_and_vectors(pixels)[:2]

    def logits_features_and_vectors(
        self, pixels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Classify prepared pictures, and give what their novelty is measured by too.

        Returns
        -------
        tuple of numpy.ndarray
            Logits and features as above, and vectors ``(n, channels)``: the network's own
            output for it where it has one, else the last feature maps, pooled.
        """
        own = [OUTPUT] if self._own_vectors else []
        logits, features, *rest = self._run(["logits", "features", *own], pixels)
        if features.ndim != 4 or len(features) != len(pixels):
            raise ModelError(
                f"{self.card.id} gave features {features.shape} for {len(pixels)} pictures"
            )
        if self.card.features.layout == "NCHW":
            features = np.moveaxis(features, 1, -1)
        return logits, features, self._vectors(rest[0] if rest else pool_features(features), pixels)

    def logits_and_vectors(
        self, pixels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Do the same without the last feature maps, which are not copied where nobody needs them.

        Returns
        -------
        tuple of numpy.ndarray
            Logits ``(n, classes)`` and vectors ``(n, channels)``.
        """
        if not self._own_vectors:
            logits, _, vectors = self.logits_features_and_vectors(pixels)
            return logits, vectors
        logits, vectors = self._run(["logits", OUTPUT], pixels)
        return logits, self._vectors(vectors, pixels)

    def _vectors(
        self, vectors: NDArray[np.float32], pixels: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Refuse vectors that are not one a picture."""
        if vectors.ndim != 2 or len(vectors) != len(pixels):
            raise ModelError(
                f"{self.card.id} gave {OUTPUT} {vectors.shape} for {len(pixels)} pictures"
            )
        return vectors

    def _run(self, outputs: list[str], pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        starts = range(0, max(1, len(pixels)), _TOGETHER)
        parts = [self._run_few(outputs, pixels[i : i + _TOGETHER]) for i in starts]
        if len(parts) == 1:
            return parts[0]
        try:
            return [np.concatenate(found) for found in zip(*parts, strict=True)]
        except ValueError as error:
            raise ModelError(
                f"{self.card.id} gave outputs of other shapes for other pictures; do not use it"
            ) from error

    def _run_few(
        self, outputs: list[str], pixels: NDArray[np.float32]
    ) -> list[NDArray[np.float32]]:
        wanted = self.card.input
        engine = self._opened()
        tensor = to_tensor(
            pixels, channels=wanted.channels, value_range=wanted.value_range, layout=wanted.layout
        )
        try:
            results: list[NDArray[np.float32]] = engine.run(outputs, {self._input: tensor})
        except _RUNTIME_ERRORS as error:
            raise ModelError(
                f"{self.card.id} cannot run on the input its card describes, {tensor.shape}: "
                f"{_first_line(error)}"
            ) from error
        if results[0].shape != (len(pixels), len(self.card.classes)):
            raise ModelError(
                f"{self.card.id} gave logits {results[0].shape} for {len(pixels)} pictures and "
                f"{len(self.card.classes)} classes"
            )
        if not np.isfinite(results[0]).all():
            raise ModelError(f"{self.card.id} gave logits that are no numbers; do not use it")
        return results


def _open_again(kind: type[Session], place: Place, card: Card, threads: int | None) -> Session:
    """Open a network whose card is known; a file that is not the card's is refused."""
    return kind(open_network(place, card), threads=threads)


def _first_line(error: Exception) -> str:
    """Shorten ONNX Runtime's pages of context."""
    return (str(error).splitlines() or [type(error).__name__])[0]
