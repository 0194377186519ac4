"""What the workers do with slices, and what they say of it: show, explain, save.

Everything heavy is imported and done here, never in the thread of the window; what is
computed is computed by the core. The last argument of each job takes its results.
`opening` finds and reads, `answering` answers.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.apps.session.drawing import draw
from tumorlens.apps.session.opening import Reader
from tumorlens.apps.session.results import (
    Computing,
    Explained,
    Loaded,
    Packed,
    Redrawn,
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
    from tumorlens.apps.session.contrast import Look
    from tumorlens.apps.session.keras_process import KerasProcess
    from tumorlens.apps.session.state import Shown
    from tumorlens.apps.session.worker import Report
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation

__all__ = [
    "explain", "load_model", "pack", "redraw", "save_overlay", "save_record", "save_table", "see",
]  # fmt: skip


def load_model(load: Callable[[], Classifier], report: Report) -> None:
    """Load the model."""
    report(Loaded(load()))


def see(reader: Reader, row: Row, request: Request, look: Look, report: Report) -> None:
    """Read a row's slice."""
    try:
        picture = reader.read(row, request)
    except UnreadableImageError as error:
        report(_unreadable(row, request, str(error)))
    else:
        report(Seen(request, picture, draw(picture, None, look)))


def explain(
    classifier: Classifier,
    keras: KerasProcess,
    reader: Reader,
    row: Row,
    request: Request,
    look: Look,
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
    report(Explained(request, explanation, draw(picture, explanation, look)))


def _unreadable(row: Row, request: Request, message: str) -> Unreadable | SliceUnreadable:
    if request.plane is None:
        return Unreadable(row.id, message)
    return SliceUnreadable(row.id, request.plane, request.index, message)


def redraw(shown: Shown, look: Look, report: Report) -> None:
    """Draw what stands there already in another look."""
    picture, second = shown.picture, shown.second
    if second is not None:
        second = replace(second, drawn=draw(picture, second.explanation, look))
    drawn = draw(picture, shown.explanation, look)
    report(Redrawn(picture, shown.explanation, drawn, second))


def save_overlay(
    explanation: Explanation,
    look: Look,
    strength: float,
    path: str,
    report: Report,
    *,
    contour: bool = False,
) -> None:
    """Save the overlay as it is shown, in the slice's own size, as PNG."""
    import numpy as np  # noqa: PLC0415

    from tumorlens.explain.overlay import blend  # noqa: PLC0415

    if Path(path).suffix.lower() != ".png":
        raise OutputError(f"{path} does not end in .png, and overlays are saved as PNG; rename it")
    content = io.BytesIO()
    drawn = draw(explanation.picture, explanation, look)
    if contour:
        from tumorlens.apps.session.contour import draw_contour  # noqa: PLC0415

        picture = draw_contour(drawn.plain[0], drawn.heat[0])
    else:
        grey = np.asarray(drawn.plain[0].convert("L"))
        picture = blend(grey, explanation.shown_map(), strength, look.colormap)
    picture.save(content, "PNG")
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
