"""Runs Kaggle's own client, in a process of its own.

Not in ours, since the client sets up logging to standard output as soon as it is
imported, waits for ever on a server that says nothing, and takes its cache folder
from the environment. A process can be silenced, watched, stopped and given an
environment; nothing of ours changes.

``python -m tumorlens.data.kaggle_client HANDLE ANSWER`` downloads a data set into
the client's cache and writes what came of it to the file ``ANSWER``, as JSON:
``{"path"}``, or ``{"failure", "status", "detail"}``.
"""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import kagglehub
from kagglehub.exceptions import DataCorruptionError
from requests import exceptions

__all__ = ["main"]


def main(handle: str, answer: str) -> int:
    """Download and say what came of it.

    Parameters
    ----------
    handle
        ``owner/dataset/versions/number``.
    answer
        Where to write the answer.

    Returns
    -------
    int
        The exit status: 0 when the data set is there.
    """
    try:
        outcome: dict[str, Any] = {"path": kagglehub.dataset_download(handle)}
    except Exception as error:  # noqa: BLE001  # whatever it is, the other process tells it
        outcome = _failure(error)
    Path(answer).write_text(json.dumps(outcome), encoding="utf-8")
    return 0 if "path" in outcome else 1


def _failure(error: Exception) -> dict[str, Any]:
    return {
        "failure": _kind(error),
        "status": getattr(getattr(error, "response", None), "status_code", None),
        "detail": next(iter(str(error).strip().splitlines()), type(error).__name__),
    }


def _kind(error: Exception) -> str:
    """Name the kind of failure. Errors of requests are OSErrors too, so they come first."""
    kinds: dict[str, tuple[type[Exception], ...]] = {
        "refused": (exceptions.HTTPError,),
        "slow": (exceptions.Timeout,),
        "broken": (exceptions.ChunkedEncodingError,),
        "offline": (exceptions.ConnectionError,),
        "damaged": (DataCorruptionError, zipfile.BadZipFile, EOFError),
        "hostile": (tarfile.FilterError,),
        "client": (exceptions.RequestException,),
    }
    for kind, types in kinds.items():
        if isinstance(error, types):
            return kind
    if isinstance(error, tarfile.TarError) or "archive type" in str(error):
        return "damaged"
    return "disk" if isinstance(error, OSError) else "client"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
