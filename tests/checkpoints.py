"""Checkpoints that tests take apart, change and put together again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

WEIGHTS = "model.weights.h5"


def rewritten(file: Path, target: Path, changed: dict[str, bytes]) -> Path:
    """Copy an archive with some members changed or added."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in {**members, **changed}.items():
            archive.writestr(name, content)
    return target


def change_config(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the config of a ``.keras`` or whole-model ``.h5`` file in place."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
        change(config)
        rewritten(file, file, {"config.json": json.dumps(config).encode()})
        return
    with h5py.File(file, "r+") as weights:
        config = json.loads(weights.attrs["model_config"])
        change(config)
        weights.attrs["model_config"] = json.dumps(config)


def change_weights(file: str | Path, change: Callable[[h5py.File], object]) -> None:
    """Change the HDF5 file in place, inside its archive if it is in one."""
    file = Path(file)
    if not zipfile.is_zipfile(file):
        with h5py.File(file, "r+") as weights:
            change(weights)
        return
    with zipfile.ZipFile(file) as archive:
        content = io.BytesIO(archive.read(WEIGHTS))
    with h5py.File(content, "r+") as weights:
        change(weights)
    rewritten(file, file, {WEIGHTS: content.getvalue()})
