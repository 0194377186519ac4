"""What the workers do with slices, and what they say of it: show, explain, save.

Everything heavy is imported and done here, never in the thread of the window; what is
computed is computed by the core. The last argument of each job takes its results.
`opening` finds and reads, `answering` answers.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.apps.session.opening import Reader
from tumorlens.apps.session.results import (
    Computing,
    Explained,
    Loaded,
    Packed,
    Request,
    Saved,
    Seen,
    SliceUnreadable,
    Unreadable,
)
from tumorlens.apps.session.rows import Row
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.files import free_folder, write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.apps.session.keras_process import KerasProcess
    from tumorlens.apps.session.worker import Report
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation

__all__ = [
    "colour", "explain", "halves", "load_model", "pack", "save_overlay", "save_record",
    "save_table", "see",
]  # fmt: skip

_SMALLEST = 1024  # pixels of the longer side below which a picture is not halved again


def load_model(load: Callable[[], Classifier], report: Report) -> None:
    """Load the model."""
    report(Loaded(load()))


def see(reader: Reader, row: Row, request: Request, report: Report) -> None:
    """Read a row's slice."""
    from PIL import Image  # noqa: PLC0415

    from tumorlens.images.display import display_grey  # noqa: PLC0415

    try:
        picture = reader.read(row, request)
    except UnreadableImageError as error:
        report(_unreadable(row, request, str(error)))
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
        picture = reader.read(row, request)
    except UnreadableImageError as error:
        report(_unreadable(row, request, str(error)))
        return
    question, network = Question(**request.options), keras.reporting_to(progress)
    (explanation,) = explain_slices(
        classifier, [picture], question, network=network, progress=progress
    )
    colour(explanation, request, colormap, report)


def _unreadable(row: Row, request: Request, message: str) -> Unreadable | SliceUnreadable:
    if request.plane is None:
        return Unreadable(row.id, message)
    return SliceUnreadable(row.id, request.plane, request.index, message)


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
