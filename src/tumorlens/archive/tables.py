"""The formats that answers are written in: CSV, JSON lines, Parquet.

Each writes some rows as a part and joins parts to one file. A part of CSV has no head, so that
joining is copying.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from tumorlens.archive.answer_table import table_head, table_row, volume_row
from tumorlens.archive.lanes import Result
from tumorlens.errors import OutputError
from tumorlens.extras import require
from tumorlens.records import PARQUET_KEY
from tumorlens.sources.failure import Failure
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["ENDINGS", "Format", "columns", "open_format", "parquet_schema"]

_WRITING: Final = "writing Parquet"


class Format(Protocol):
    """Writes rows, and joins what was written."""

    def write(self, results: Sequence[Result], path: Path) -> None:
        """Write some rows as a part."""

    def join(self, parts: Iterable[Path], path: Path, about: dict[str, Any]) -> None:
        """Make one file of all parts, in order; `about` is the job, kept where it fits."""


class _Csv:
    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._errors = sys.getfilesystemencodeerrors()

    def write(self, results: Sequence[Result], path: Path) -> None:
        path.write_bytes(self._lines(map(self._row, results)))

    def join(self, parts: Iterable[Path], path: Path, about: dict[str, Any]) -> None:
        del about
        _copy(self._lines([table_head(self._classes)]), parts, path)

    def _row(self, result: Result) -> list[str]:
        if isinstance(result, Failure):
            return table_row(result.path, 0, str(result.error), self._classes)
        if isinstance(result, VolumeAnswer):
            return volume_row(result, self._classes)
        return table_row(result.path, result.slice, result, self._classes)

    def _lines(self, rows: Iterable[list[str]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", self._errors)


class _JsonLines:
    def write(self, results: Sequence[Result], path: Path) -> None:
        lines = (json.dumps(result.to_dict()) + "\n" for result in results)
        path.write_bytes("".join(lines).encode("ascii"))

    def join(self, parts: Iterable[Path], path: Path, about: dict[str, Any]) -> None:
        del about
        _copy(b"", parts, path)


class _Parquet:
    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._arrow = require("pyarrow", _WRITING, "archive")
        self._parquet = require("pyarrow.parquet", _WRITING, "archive")
        self._schema = parquet_schema(classes)

    def write(self, results: Sequence[Result], path: Path) -> None:
        table = self._arrow.table(columns(results, self._classes), schema=self._schema)
        self._parquet.write_table(table, path, compression="zstd")

    def join(self, parts: Iterable[Path], path: Path, about: dict[str, Any]) -> None:
        told = {name: about[name] for name in ("model", "card", "version")}
        schema = self._schema.with_metadata({PARQUET_KEY: json.dumps(told)})
        with self._parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for part in parts:
                with self._parquet.ParquetFile(part) as file:
                    for i in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(i).cast(schema))


ENDINGS: Final = (".csv", ".jsonl", ".parquet")
"""Of the files that can be written."""


def open_format(path: Path, classes: Sequence[str]) -> Format:
    """Choose a format by the ending of the file to write.

    Raises
    ------
    OutputError
        When its ending says nothing.
    MissingExtraError
        When it is Parquet and pyarrow is not installed.
    """
    ending = path.suffix.lower()
    if ending == ".csv":
        return _Csv(classes)
    if ending == ".jsonl":
        return _JsonLines()
    if ending == ".parquet":
        return _Parquet(classes)
    raise OutputError(f"cannot tell the format of {path}: end its name in {', '.join(ENDINGS)}")


def parquet_schema(classes: Sequence[str]) -> Any:
    """Give the columns of a Parquet file of answers, as pyarrow has them."""
    arrow = require("pyarrow", _WRITING, "archive")
    text, real = arrow.string(), arrow.float64()
    return arrow.schema(
        [
            ("path", text),
            ("slice", arrow.int32()),
            ("label", text),
            ("confidence", real),
            *((f"p_{name}", real) for name in classes),
            ("prediction_set", arrow.list_(text)),
            ("assessable", arrow.bool_()),
            ("reason", text),
            ("model", text),
            ("error_type", text),
            ("error", text),
            ("volume", text),
        ]
    )


def columns(results: Sequence[Result], classes: Sequence[str]) -> dict[str, list[Any]]:
    """Turn results into columns by name; what a row has nothing to say of is ``None``.

    The answer for a volume stands in the columns of an answer, and what is known of volumes alone
    in a column of JSON.
    """
    rows = [result.to_dict() for result in results]
    volumes = [row.get("volume") for row in rows]
    rows = [{**row.get("volume", {}), **row} for row in rows]
    usable = [None if volume is None else volume["assessable"] > 0 for volume in volumes]
    failures = [row.get("error", {}) for row in rows]
    found: dict[str, list[Any]] = {
        "path": [_text(row["path"]) for row in rows],
        **{name: [row.get(name) for row in rows] for name in ("slice", "label", "confidence")},
        **{f"p_{x}": [row.get("probabilities", {}).get(x) for row in rows] for x in classes},
        "prediction_set": [row.get("prediction_set") for row in rows],
        "assessable": [
            row.get("assessable") if whole is None else whole
            for row, whole in zip(rows, usable, strict=True)
        ],
        "reason": [row.get("reason") for row in rows],
        "model": [row.get("model") for row in rows],
        "error_type": [failure.get("type") for failure in failures],
        "error": [failure.get("message") for failure in failures],
        "volume": [None if volume is None else json.dumps(volume) for volume in volumes],
    }
    return found


def _text(path: str | None) -> str | None:
    """Write bytes of a name that are no text as their numbers: Parquet holds text alone."""
    return None if path is None else path.encode("utf-8", "backslashreplace").decode("utf-8")


def _copy(head: bytes, parts: Iterable[Path], path: Path) -> None:
    with path.open("wb") as out:
        out.write(head)
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out, 2**20)
