"""What the workers do, and what they say of it: find files, answer, explain, save.

Everything heavy is imported and done here, never in the thread of the window; what is
computed is computed by the core. The last argument of each job takes its results.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorlens.apps.session.rows import Row, printable
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.files import free_folder, write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.apps.session.keras_process import KerasProcess
    from tumorlens.apps.session.worker import Report
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure

__all__ = [
    "Answered", "Computing", "Done", "Explained", "Found", "Loaded", "Packed", "Pasted",
    "Reader", "Request", "Saved", "Seen", "Unreadable",
    "answer", "colour", "explain", "find", "halves", "load_model", "pack", "paste",
    "save_overlay", "save_record", "save_table", "see",
]  # fmt: skip

_TOGETHER = 4  # slices through the network at once: few, so that answers arrive one by one
_CHUNK = 64  # files named to the window at once
_SMALLEST = 1024  # pixels of the longer side below which a picture is not halved again


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be shown.

    Parameters
    ----------
    row
        Number of the row.
    options
        Keywords for `Classifier.explain`.
    """

    row: int
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The model is there."""

    classifier: Classifier


@dataclass(frozen=True, slots=True)
class Found:
    """Files to be listed: for each the name to show, and the path."""

    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pasted:
    """Slices that no file holds."""

    name: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer for one slice of a row's file."""

    row: int
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Done:
    """All slices of a row's file are answered."""

    row: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row's file could not be read, or the slice at `index` in it."""

    row: int
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A slice as it is.

    Parameters
    ----------
    request
        For which it was read.
    picture
        The slice.
    plain
        What to show: the slice in grey, and halves of it; see `halves`.
    """

    request: Request
    picture: Slice
    plain: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Computing:
    """How far an explanation is that takes its time.

    Parameters
    ----------
    stage
        What is being done.
    done, total
        How much of it; a `total` of 0 when nobody can say.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A slice with its explanation.

    Parameters
    ----------
    request
        What was asked for.
    explanation
        The answer.
    plain, full
        The slice without and with the overlay at full strength, and halves of them;
        see `halves`. Every strength lies between the two.
    colormap
        What it is coloured with.
    heat
        The map itself, and halves of it, from which its contour is drawn.
    ramp
        The overlay's colours on black, from none on the left to most on the right.
    """

    request: Request
    explanation: Explanation
    colormap: str
    plain: tuple[Image, ...]
    full: tuple[Image, ...]
    heat: tuple[Image, ...]
    ramp: Image


@dataclass(frozen=True, slots=True)
class Saved:
    """Something is on the disk."""

    what: str
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A record that lies in a folder of ours, ready to be dragged out of the window."""

    explanation: Explanation
    where: str


def load_model(load: Callable[[], Classifier], report: Report) -> None:
    """Load the model."""
    report(Loaded(load()))


def find(paths: Sequence[str], report: Report) -> None:
    """List the files of paths, those of a folder by their place in it."""
    from tumorlens.files import find_files  # noqa: PLC0415

    found: list[tuple[str, str]] = []
    for path in paths:
        for file in find_files([path]):
            inside = file != path
            name = str(Path(file).relative_to(path)) if inside else Path(file).name
            found.append((printable(name or file), file))
            if len(found) == _CHUNK:
                report(Found(tuple(found)))
                found = []
    if found:
        report(Found(tuple(found)))


def paste(name: str, content: bytes | Image, report: Report) -> None:
    """Read a picture from the clipboard."""
    from tumorlens.images.read import read_slices  # noqa: PLC0415

    try:
        report(Pasted(name, tuple(read_slices(content))))
    except UnreadableImageError as error:
        raise UnreadableImageError("the clipboard", error.found, error.hint) from error


def answer(classifier: Classifier, rows: Sequence[Row], report: Report) -> None:
    """Classify the slices of the rows' files, in order."""
    from tumorlens.sources.failure import Failure  # noqa: PLC0415
    from tumorlens.sources.stream import predict_files  # noqa: PLC0415

    for row in rows:
        if row.picture is not None:
            report(Answered(row.id, classifier.predict(row.picture)))
            report(Done(row.id))
    files = [(row.id, row.path) for row in rows if row.picture is None and row.path is not None]
    numbers = iter(files)
    at_hand: tuple[int, str] | None = None
    index = 0
    for result in predict_files(classifier, (path for _, path in files), batch_size=_TOGETHER):
        if at_hand is None or not f"{result.path}/".startswith(f"{at_hand[1]}/"):
            if at_hand is not None:
                report(Done(at_hand[0]))
            at_hand, index = next(numbers), 0
        else:
            index += 1
        if isinstance(result, Failure):
            report(Unreadable(at_hand[0], str(result.error), index))
        else:
            report(Answered(at_hand[0], replace(result, slice=index)))
    if at_hand is not None:
        report(Done(at_hand[0]))


class Reader:
    """Reads the slice of a row; keeps the last file, whose next slice is often wanted next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: str | None = None
        self._slices: list[Slice | Failure] = []

    def read(self, row: Row) -> Slice:
        """Read the slice of a row.

        Raises
        ------
        UnreadableImageError
            When its file cannot be read any more.
        """
        from tumorlens.sources.failure import Failure, read_or_fail  # noqa: PLC0415

        if row.picture is not None:
            return row.picture
        path = row.path or ""
        with self._lock:
            if path != self._path:
                self._path, self._slices = None, []
                self._slices = read_or_fail(path)
                self._path = path
            slices = self._slices
        if row.index >= len(slices):
            hint = "open the file again: it has changed"
            raise UnreadableImageError(path, f"no slice {row.index} any more", hint)
        found = slices[row.index]
        if isinstance(found, Failure):
            raise found.error
        return found


def see(reader: Reader, row: Row, request: Request, report: Report) -> None:
    """Read a row's slice."""
    from PIL import Image  # noqa: PLC0415

    from tumorlens.images.display import display_grey  # noqa: PLC0415

    try:
        picture = reader.read(row)
    except UnreadableImageError as error:
        report(Unreadable(row.id, str(error)))
    else:
        grey = Image.fromarray(display_grey(picture)).convert("RGB")
        report(Seen(request, picture, halves(grey)))


def explain(
    classifier: Classifier,
    keras: KerasProcess,
    reader: Reader,
    row: Row,
    request: Request,
    colormap: str,
    report: Report,
) -> None:
    """Read a row's slice and explain it; how far it is is reported, too."""
    from tumorlens.explain.explainer import Question, explain_slices  # noqa: PLC0415

    def progress(stage: str, done: int, total: int, note: str = "") -> None:  # noqa: ARG001
        report(Computing(stage, done, total))

    try:
        picture = reader.read(row)
    except UnreadableImageError as error:
        report(Unreadable(row.id, str(error)))
        return
    question, network = Question(**request.options), keras.reporting_to(progress)
    (explanation,) = explain_slices(
        classifier, [picture], question, network=network, progress=progress
    )
    colour(explanation, request, colormap, report)


def colour(explanation: Explanation, request: Request, colormap: str, report: Report) -> None:
    """Draw an explanation."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from tumorlens.explain.overlay import blend  # noqa: PLC0415

    plain, full = (halves(explanation.overlay(strength, colormap)) for strength in (0.0, 1.0))
    heat = halves(Image.fromarray(explanation.map))
    scale = np.linspace(0, 1, 256, dtype=np.float32)[None]
    ramp = blend(np.zeros(scale.shape, np.uint8), scale, 1.0, colormap)
    report(Explained(request, explanation, colormap, plain, full, heat, ramp))


def halves(picture: Image) -> tuple[Image, ...]:
    """Give a picture, its half, the half of that and so on: a large one is shown from a small."""
    levels = [picture]
    while max(levels[-1].size) > 2 * _SMALLEST:
        levels.append(levels[-1].reduce(2))
    return tuple(levels)


def save_overlay(
    explanation: Explanation, look: tuple[float, str, bool], path: str, report: Report
) -> None:
    """Save the overlay as it is shown, in the slice's own size, as PNG.

    `look` is its strength, its colour map, and whether it is a contour instead.
    """
    strength, colormap, contour = look
    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"{path} does not end in .png, and overlays are saved as PNG; rename it")
    content = io.BytesIO()
    drawn = explanation.overlay(0.0 if contour else strength, colormap)
    if contour:
        from PIL import Image  # noqa: PLC0415

        from tumorlens.apps.session.contour import draw_contour  # noqa: PLC0415

        drawn = draw_contour(drawn, Image.fromarray(explanation.map), strength)
    drawn.save(content, "PNG")
    write_whole(path, content.getvalue())
    report(Saved("the overlay", path))


def save_record(explanation: Explanation, folder: str, name: str, report: Report) -> None:
    """Save map, overlay and manifest in a new folder below `folder`."""
    report(Saved("the record", _save_record(explanation, folder, name)))


def pack(explanation: Explanation, folder: str, name: str, report: Report) -> None:
    """Save a record where it can be dragged from."""
    report(Packed(explanation, _save_record(explanation, folder, name)))


def save_table(text: str, rows: int, path: str, report: Report) -> None:
    """Save the list; file names that are no text keep their bytes."""
    write_whole(path, text.encode("utf-8", "surrogateescape"))
    report(Saved(f"{rows} rows", path))


def _save_record(explanation: Explanation, folder: str, name: str) -> str:
    from tumorlens.explain.batch import folder_name  # noqa: PLC0415

    with free_folder(folder, folder_name(name)) as place:
        return str(explanation.save(place))
