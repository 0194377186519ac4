"""The demonstration: what the program can do, offline, on slices whose truth is known."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tumorlens.apps.demo_lesion import draw_lesion
from tumorlens.data.folder import CLASSES, class_name
from tumorlens.data.published import TEST_FOLD, published
from tumorlens.errors import DataError, MissingExtraError, OutputError
from tumorlens.files import check_new_folder, find_files, hash_file, replaced_folder
from tumorlens.images.read import read_slices
from tumorlens.images.slice import Slice
from tumorlens.prediction import Prediction, say_percent
from tumorlens.records import read_record
from tumorlens.untrusted import is_number, printable

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.models.card import Card

__all__ = ["check_demo_folder", "demo_slice", "run_demo"]

_SIDE: Final = 256
_PICTURE: Final = "demo.png"
_RECORD: Final = "demo.json"
_SLICES: Final = "slices"
_SHOWN: Final = 320  # pixels: longer side of a picture on the sheet
_GAP: Final = 16
_TEXT: Final = 66  # pixels above a picture
_INK, _FAINT, _PAPER, _OUTLINE = (235, 235, 235), (160, 160, 168), (16, 16, 20), (90, 220, 255)
_NEXT: Final = """Next, with {} or pictures of your own:
  tumorlens predict PATH...             classify files and folders
  tumorlens explain PATH... --out DIR   see why
  tumorlens info                        what the model is and how far to trust it
Research use only: not a medical device."""


@dataclass(frozen=True, slots=True, eq=False)
class _Exhibit:
    """One slice that is shown: what it is, and where its tumour is if that is known."""

    name: str
    title: str
    picture: Slice
    inside: NDArray[np.bool_] | None = None


def demo_slice() -> Slice:
    """Read the MR slice that Matplotlib carries among its sample data.

    Matplotlib itself is not imported.

    Returns
    -------
    Slice
        A healthy head, 256 × 256, from 16 bits.

    Raises
    ------
    MissingExtraError
        When Matplotlib, or its sample data, is not installed.
    """
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise MissingExtraError("the demonstration", "demo")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "s1045.ima.gz"
    if not path.is_file():
        raise MissingExtraError("the demonstration", "demo")
    with gzip.open(path) as file:
        pixels = np.frombuffer(file.read(), dtype="<u2").reshape(_SIDE, _SIDE)
    return replace(read_slices(pixels)[0], path=str(path))


def run_demo(
    classifier: Classifier,
    out: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
) -> str:
    """Classify and explain some slices, save records and a picture, say what came out.

    Parameters
    ----------
    classifier
        The model.
    out
        The folder to make. One that an earlier demonstration made is replaced.
    data
        The public data set: one slice of each class is shown that no published model has
        seen. When ``None``, a healthy slice and the same with a tumour drawn into it.

    Raises
    ------
    OutputError
        When the folder holds something else or cannot be written.
    DataError
        When the data set has no such slices.
    """
    check_demo_folder(Path(out))
    if data is None:
        shown = _explain_drawn(classifier)
    else:
        shown = [(one, classifier.explain(one.picture)) for one in _unseen(data)]
    with replaced_folder(out) as folder:
        for one, explanation in shown:
            explanation.save(folder / one.name)
        if data is None:
            _save_slices(folder / _SLICES, [one for one, _ in shown])
        content = io.BytesIO()
        _draw_sheet(shown).save(content, "PNG")
        (folder / _PICTURE).write_bytes(content.getvalue())
        said = {"model": classifier.card.id, "exhibits": [one.name for one, _ in shown]}
        (folder / _RECORD).write_text(json.dumps(said, indent=2) + "\n")
    lines = [line for one, explanation in shown for line in _told(one, explanation)]
    picture = f"See {printable(Path(out) / _PICTURE)}; the records lie beside it."
    at_hand = "these" if data is not None else printable(Path(out) / _SLICES)
    return "\n".join([*lines, picture, "", _trust(classifier.card), "", _NEXT.format(at_hand)])


def check_demo_folder(out: Path) -> None:
    """Refuse a folder that holds something else than an earlier demonstration.

    Raises
    ------
    OutputError
        When it does, or cannot be written.
    """
    try:
        check_new_folder(out)
    except OutputError:
        if read_record(out, _RECORD) is None:
            raise


def _explain_drawn(classifier: Classifier) -> list[tuple[_Exhibit, Explanation]]:
    """Explain the healthy slice and the drawn tumour, both for what the tumour is called."""
    slice_ = demo_slice()
    pixels, inside = draw_lesion(slice_.pixels)
    drawn = read_slices(np.rint(pixels))[0]  # as the picture that is saved holds it
    ill = _Exhibit("drawn-tumour", "The same slice, a tumour drawn into it by us", drawn, inside)
    healthy = _Exhibit("healthy", "A real MR slice of a healthy head", slice_, inside)
    why = classifier.explain(drawn)
    same = None if why.target == "notumor" else why.target
    return [(healthy, classifier.explain(slice_, target=same)), (ill, why)]


def _save_slices(folder: Path, shown: Sequence[_Exhibit]) -> None:
    """Write the slices as pictures of 16 bits, to try other commands on."""
    folder.mkdir()
    for one in shown:
        Image.fromarray(np.rint(one.picture.pixels).astype(np.uint16)).save(
            folder / f"{one.name}.png"
        )


def _unseen(data: str | os.PathLike[str]) -> list[_Exhibit]:
    """Find one slice of each class that is of the test fold, by its hash."""
    known, found = published(), dict[str, str]()
    for path in find_files([os.fspath(data)]):
        entry = known.get(hash_file(Path(path))) if Path(path).is_file() else None
        if entry is not None and entry.fold == TEST_FOLD:
            found.setdefault(entry.label, path)
        if len(found) == len(CLASSES):
            break
    if not found:
        raise DataError(
            f"{data} holds no picture of fold {TEST_FOLD} of the public data set; get it with "
            "`tumorlens data download`"
        )
    return [
        _Exhibit(label, f"Fold {TEST_FOLD}, in truth {_words(label)}", read_slices(path)[0])
        for label, path in sorted(found.items())
    ]


def _told(one: _Exhibit, explanation: Explanation) -> Iterator[str]:
    """Say what came out of a slice."""
    yield f"{one.title}:"
    yield f"  {_answer(explanation.prediction)}"
    yield f"  {_set(explanation.prediction)}"
    if evidence := _evidence(one, explanation):
        yield f"  {evidence}"
    yield ""


def _answer(answer: Prediction) -> str:
    if not answer.assessable:
        return f"not assessable: {answer.reason}"
    return f"{_words(answer.label)}, {say_percent(answer.confidence)}"


def _set(answer: Prediction) -> str:
    """Put the prediction set into words."""
    if not answer.assessable:
        return "no answer is given"
    others = [_words(name) for name in answer.prediction_set[1:]]
    return (
        f"it may also be {' or '.join(others)}"
        if others
        else "no other class in its prediction set"
    )


def _evidence(one: _Exhibit, explanation: Explanation) -> str:
    """Say where the evidence lies, as far as the truth is known."""
    heat, target = explanation.map, _words(explanation.target)
    if explanation.flat:
        return f"the map is empty: {explanation.why_flat()}"
    if one.inside is None:
        return f"the map shows what looked like {target}"
    share = float(heat[one.inside].sum() / heat.sum())
    peak = one.inside[np.unravel_index(int(heat.argmax()), heat.shape)]
    place = "inside it" if peak else "elsewhere"
    return f"{share:.0%} of the evidence for {target} lies in the drawn outline, its peak {place}"


def _trust(card: Card) -> str:
    scores = card.metrics
    accuracy, n = scores.get("accuracy"), scores.get("n")
    limits = "on scans of other hospitals expect more mistakes"
    if not is_number(accuracy) or not is_number(n):
        return f"How far to trust it: its card does not say; {limits}."
    where = printable(scores.get("data"), 200)
    return f"How far to trust it: right on {accuracy:.0%} of {n:,} slices ({where}); {limits}."


def _words(label: str) -> str:
    return printable(class_name(label), 40)


def _draw_sheet(shown: Sequence[tuple[_Exhibit, Explanation]]) -> Image.Image:
    """Draw a row for each slice: as it is, with its map, and what was said of it."""
    large, small = (ImageFont.load_default(size) for size in (18, 14))
    rows = [_tiles(one, explanation) for one, explanation in shown]
    height = sum(left.height + _TEXT + _GAP for left, _ in rows) + 3 * _GAP
    sheet = Image.new("RGB", (2 * _SHOWN + 3 * _GAP, height), _PAPER)
    draw, top = ImageDraw.Draw(sheet), _GAP
    for (one, explanation), (left, right) in zip(shown, rows, strict=True):
        said = f"{_answer(explanation.prediction)}; {_set(explanation.prediction)}"
        draw.text((_GAP, top), one.title, fill=_FAINT, font=small)
        draw.text((_GAP, top + 20), said, fill=_INK, font=large)
        draw.text((_GAP, top + 44), _evidence(one, explanation), fill=_FAINT, font=small)
        sheet.paste(left, (_GAP, top + _TEXT))
        sheet.paste(right, (2 * _GAP + _SHOWN, top + _TEXT))
        top += left.height + _TEXT + _GAP
    foot = "Right: the evidence as colour. Research use only."
    if shown[0][0].inside is not None:
        foot = "Right: the evidence as colour. Blue: where the tumour is drawn. Research use only."
    draw.text((_GAP, top), foot, fill=_FAINT, font=small)
    return sheet


def _tiles(one: _Exhibit, explanation: Explanation) -> tuple[Image.Image, Image.Image]:
    """Draw the slice as it is, and with its map; a map without an answer is not shown."""
    alpha = 0.6 if explanation.prediction.assessable else 0.0
    left, right = _fit(explanation.overlay(0)), _fit(explanation.overlay(alpha))
    if one.inside is not None:
        _outline(right, one.inside)
    return left, right


def _fit(picture: Image.Image) -> Image.Image:
    factor = _SHOWN / max(picture.size)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _outline(tile: Image.Image, inside: NDArray[np.bool_]) -> None:
    """Draw the edge of a region on a picture of the same shape."""
    mask = np.asarray(Image.fromarray(inside).resize(tile.size, Image.Resampling.NEAREST))
    inner = mask.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(mask, step, axis)
    pixels = np.asarray(tile).copy()
    pixels[mask & ~inner] = _OUTLINE
    tile.paste(Image.fromarray(pixels))
