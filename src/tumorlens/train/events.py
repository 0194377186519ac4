"""The log of a run as TensorBoard reads it, beside the CSV and made from it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tumorlens.extras import installed, require

__all__ = ["EventLog"]

_FOLDER: Final = "tensorboard"


class EventLog:
    """Event files of a run, begun anew from its ``log.csv`` so that the two never differ.

    Does nothing where TensorBoard is not installed.

    Parameters
    ----------
    run
        The run folder.
    """

    def __init__(self, run: Path) -> None:
        self._writer: Any = None
        if not installed("tensorboard"):
            return
        # An interrupted run may have left events of an epoch that is done again.
        shutil.rmtree(run / _FOLDER, ignore_errors=True)
        summary = require("tensorboard.summary", "the log for TensorBoard", "train")
        self._writer = summary.Writer(str(run / _FOLDER))
        if (run / "log.csv").is_file():
            with (run / "log.csv").open(newline="") as file:
                for row in csv.DictReader(file):
                    epoch = int(row.pop("epoch"))
                    self.add(epoch, {name: float(value) for name, value in row.items()})

    def add(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the figures of an epoch, counted from 1."""
        if self._writer is None:
            return
        for name, value in values.items():
            self._writer.add_scalar(_tag(name), value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Finish the files."""
        if self._writer is not None:
            self._writer.close()


def _tag(name: str) -> str:
    """Put training and validation of one figure into one group of charts."""
    if name == "seconds":
        return name
    figure = name.removeprefix("val_")
    return f"{figure}/{'training' if figure == name else 'validation'}"
