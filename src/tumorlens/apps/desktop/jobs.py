"""What the workers do: find files, answer, explain, save.

Each job is a generator of results. Everything heavy is imported and done here, never in
the thread of the window; what is computed is computed by the core.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorlens.apps.desktop.rows import Row, printable
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.files import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.classify import Classifier, Prediction
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice

__all__ = [
    "Answered",
    "Done",
    "Explained",
    "Found",
    "Loaded",
    "Packed",
    "Pasted",
    "Reader",
    "Request",
    "Saved",
    "Seen",
    "Unreadable",
    "answer",
    "colour",
    "explain",
    "find",
    "load_model",
    "pack",
    "paste",
    "save_overlay",
    "save_record",
    "save_table",
    "see",
]

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
    """A row's file could not be read."""

    row: int
    message: str


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
    ramp
        The overlay's colours on black, from none on the left to most on the right.
    """

    request: Request
    explanation: Explanation
    plain: tuple[Image, ...]
    full: tuple[Image, ...]
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


def load_model(load: Callable[[], Classifier]) -> Iterator[object]:
    """Load the model."""
    yield Loaded(load())


def find(paths: Sequence[str]) -> Iterator[object]:
    """List the files of paths, those of a folder by their place in it."""
    from tumorlens.scale.stream import find_files  # noqa: PLC0415

    found: list[tuple[str, str]] = []
    for path in paths:
        for file in find_files([path]):
            inside = file != path
            name = str(Path(file).relative_to(path)) if inside else Path(file).name
            found.append((printable(name or file), file))
            if len(found) == _CHUNK:
                yield Found(tuple(found))
                found = []
    if found:
        yield Found(tuple(found))


def paste(name: str, content: bytes | Image) -> Iterator[object]:
    """Read a picture from the clipboard."""
    from tumorlens.images.read import read_slices  # noqa: PLC0415

    try:
        yield Pasted(name, tuple(read_slices(content)))
    except UnreadableImageError as error:
        raise UnreadableImageError("the clipboard", error.found, error.hint) from error


def answer(classifier: Classifier, rows: Sequence[Row]) -> Iterator[object]:
    """Classify the slices of the rows' files, in order."""
    from tumorlens.scale.stream import Failure, predict_files  # noqa: PLC0415

    for row in rows:
        if row.picture is not None:
            yield Answered(row.id, classifier.predict(row.picture))
            yield Done(row.id)
    files = [(row.id, row.path) for row in rows if row.picture is None and row.path is not None]
    numbers = iter(number for number, _ in files)
    at_hand: int | None = None
    for result in predict_files(classifier, (path for _, path in files), batch_size=_TOGETHER):
        if at_hand is not None and (isinstance(result, Failure) or result.slice == 0):
            yield Done(at_hand)
            at_hand = None
        if isinstance(result, Failure):
            yield Unreadable(next(numbers), str(result.error))
            continue
        at_hand = next(numbers) if at_hand is None else at_hand
        yield Answered(at_hand, result)
    if at_hand is not None:
        yield Done(at_hand)


class Reader:
    """Reads the slice of a row; keeps the last file, whose next slice is often wanted next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: str | None = None
        self._slices: list[Slice] = []

    def read(self, row: Row) -> Slice:
        """Read the slice of a row.

        Raises
        ------
        UnreadableImageError
            When its file cannot be read any more.
        """
        from tumorlens.images.read import read_slices  # noqa: PLC0415

        if row.picture is not None:
            return row.picture
        path = row.path or ""
        with self._lock:
            if path != self._path:
                self._path, self._slices = None, []
                self._slices = read_slices(path)
                self._path = path
            slices = self._slices
        if row.index >= len(slices):
            hint = "open the file again: it has changed"
            raise UnreadableImageError(path, f"no slice {row.index} any more", hint)
        return slices[row.index]


def see(reader: Reader, row: Row, request: Request) -> Iterator[object]:
    """Read a row's slice."""
    from PIL import Image  # noqa: PLC0415

    from tumorlens.explain.overlay import display_grey  # noqa: PLC0415

    try:
        picture = reader.read(row)
    except UnreadableImageError as error:
        yield Unreadable(row.id, str(error))
    else:
        grey = Image.fromarray(display_grey(picture)).convert("RGB")
        yield Seen(request, picture, halves(grey))


def explain(
    classifier: Classifier, reader: Reader, row: Row, request: Request, colormap: str
) -> Iterator[object]:
    """Read a row's slice and explain it."""
    try:
        picture = reader.read(row)
    except UnreadableImageError as error:
        yield Unreadable(row.id, str(error))
    else:
        explanation = classifier.explain(picture, **request.options)
        yield from colour(explanation, request, colormap)


def colour(explanation: Explanation, request: Request, colormap: str) -> Iterator[object]:
    """Draw an explanation."""
    import numpy as np  # noqa: PLC0415

    from tumorlens.explain.overlay import blend  # noqa: PLC0415

    plain, full = (halves(explanation.overlay(strength, colormap)) for strength in (0.0, 1.0))
    heat = np.linspace(0, 1, 256, dtype=np.float32)[None]
    ramp = blend(np.zeros(heat.shape, np.uint8), heat, 1.0, colormap)
    yield Explained(request, explanation, plain, full, ramp)


def halves(picture: Image) -> tuple[Image, ...]:
    """Give a picture, its half, the half of that and so on: a large one is shown from a small."""
    levels = [picture]
    while max(levels[-1].size) > 2 * _SMALLEST:
        levels.append(levels[-1].reduce(2))
    return tuple(levels)


def save_overlay(
    explanation: Explanation, strength: float, colormap: str, path: str
) -> Iterator[object]:
    """Save the overlay as it is shown, in the slice's own size, as PNG."""
    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"{path} does not end in .png, and overlays are saved as PNG; rename it")
    content = io.BytesIO()
    explanation.overlay(strength, colormap).save(content, "PNG")
    write_whole(path, content.getvalue())
    yield Saved("the overlay", path)


def save_record(explanation: Explanation, folder: str, name: str) -> Iterator[object]:
    """Save map, overlay and manifest in a new folder below `folder`."""
    yield Saved("the record", _save_record(explanation, folder, name))


def pack(explanation: Explanation, folder: str, name: str) -> Iterator[object]:
    """Save a record where it can be dragged from."""
    yield Packed(explanation, _save_record(explanation, folder, name))


def save_table(text: str, rows: int, path: str) -> Iterator[object]:
    """Save the list; file names that are no text keep their bytes."""
    write_whole(path, text.encode("utf-8", "surrogateescape"))
    yield Saved(f"{rows} rows", path)


def _save_record(explanation: Explanation, folder: str, name: str) -> str:
    from tumorlens.explain.batch import folder_name, free_folder  # noqa: PLC0415

    return str(explanation.save(free_folder(Path(folder), folder_name(name))))
