"""What the package itself wrote, known by what is in it: no scans are to be found there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from tumorlens.untrusted import read_json

__all__ = ["PARQUET_KEY", "PDF_CREATOR", "is_our_file", "is_our_folder", "read_record"]

PARQUET_KEY: Final = "tumorlens"
"""Of what a Parquet file of answers tells of itself."""

PDF_CREATOR: Final = "tumorlens report"
"""Of what a PDF tells of itself."""

_RECORDS: Final = {
    "manifest.json": {"method", "model", "probabilities", "target", "versions"},
    "metrics.json": {"confusion_matrix", "macro_f1", "model", "per_class"},
    "localisation.json": {"fixed_threshold", "methods", "model"},
    "audit.json": {"shortcuts", "thresholds", "totals", "twins"},
    "epochs.json": {"best", "epochs", "leaky", "network", "pictures"},
    "demo.json": {"exhibits", "model"},
    "dicom.json": {"answers", "model", "studies", "tumorlens"},
    "run.json": {"backend", "classes", "data_sha256", "selection"},
    "model.json": {"classes", "features", "files", "input", "schema"},
}
"""Files that tell of a folder, and some of what they hold."""

_FOOTER: Final = b"Made by <code>tumorlens "
_CASE: Final = b"Made by <code>tumorlens report</code>"  # a file beside scans, not of a folder
_TAIL: Final = 400  # bytes of a page that its footer is looked for in
_PAGES: Final = ("index.html", "report.html")
_TABLES: Final = (b"path,sha256,pixel_sha256,label,", b"path,slice,label,confidence,")
_ANSWERS: Final = (b'"probabilities": {', b'"error": {"type": ')
_LINE: Final = 8192  # bytes of a line of JSON that are looked at
_PARQUET: Final = b"\x18\t" + PARQUET_KEY.encode() + b"\x18"  # as Thrift writes a key of 9 bytes
_PARQUET_TAIL: Final = 2**14  # bytes of a Parquet file in which it tells of itself
_PDF_TAIL: Final = 2**20  # bytes of a PDF in which it tells of itself: before its table of objects
_LARGEST: Final = 64 * 2**20  # bytes of JSON read; an audit of 100,000 pictures has less


def is_our_folder(folder: str | os.PathLike[str]) -> bool:
    """Say whether a folder is a record, a report, a run or a model that this package wrote."""
    if any(read_record(folder, name) is not None for name in _RECORDS):
        return True
    tails = [_read(Path(folder, name), -_TAIL) for name in _PAGES]
    return any(_FOOTER in tail and _CASE not in tail for tail in tails)


def is_our_file(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is what this package wrote: a manifest, answers, or a case report."""
    ending = Path(path).suffix.lower()
    if ending == ".csv":
        return _read(Path(path), 80).startswith(_TABLES)
    if ending == ".jsonl":
        first = _read(Path(path), _LINE).partition(b"\n")[0]
        return first.startswith(b'{"path": ') and any(mark in first for mark in _ANSWERS)
    if ending == ".parquet":
        return _PARQUET in _read(Path(path), -_PARQUET_TAIL)
    if ending in (".html", ".htm"):
        return _CASE in _read(Path(path), -_TAIL)
    if ending == ".pdf":
        return b"/Creator (" + PDF_CREATOR.encode() in _read(Path(path), -_PDF_TAIL)
    return False


def read_record(
    folder: str | os.PathLike[str], name: str = "manifest.json"
) -> dict[str, Any] | None:
    """Read the file that tells of a folder; ``None`` when it is missing or not ours.

    Parameters
    ----------
    folder
        The folder.
    name
        The file in it.
    """
    path = Path(folder, name)
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        values = read_json(path.read_bytes())
    except (OSError, ValueError):  # UnicodeDecodeError is a ValueError
        return None
    ours = isinstance(values, dict) and values.keys() >= _RECORDS[name]
    return values if ours else None


def _read(path: Path, count: int) -> bytes:
    """Read so many of a file's first bytes or, below 0, of its last; none when it cannot be."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            if count < 0:
                file.seek(max(0, path.stat().st_size + count))
            return file.read(abs(count))
    except OSError:
        return b""
