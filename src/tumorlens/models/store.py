"""Where models come from: those that ship with the package, a folder, or the hub."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from tumorlens.errors import ModelError
from tumorlens.models.card import CARD_NAME, Card
from tumorlens.progress import Progress, silent

__all__ = [
    "CARD_LIMIT",
    "DEFAULT_MODEL",
    "LARGEST_FILE",
    "ONNX_NAME",
    "WEIGHTS_NAME",
    "Bundle",
    "Place",
    "bundled_models",
    "find_bundle",
    "open_bundle",
    "open_network",
    "read_card",
    "read_listed",
]

DEFAULT_MODEL: Final = "mobilenetv2-evidence"
"""The model that is used when none is named."""

ONNX_NAME: Final = "model.onnx"
"""Name of the network in a bundle."""

WEIGHTS_NAME: Final = "weights.safetensors"
"""The float weights of a bundle, which not every bundle has."""

CARD_LIMIT: Final = 4 * 2**20
"""Largest card that is read, in bytes."""

LARGEST_FILE: Final = 2 * 2**30
"""Largest file of a bundle that is fetched or hashed, in bytes."""

_MODEL_LIMIT = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model was found.

    Parameters
    ----------
    folder
        Its bundle.
    origin
        What finds the very same again: ``hf://org/name@commit``, or the folder.
    notes
        What its user should know of how it was found, such as the commit that a
        moving name means today.
    """

    folder: Path
    origin: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model on disk whose files are what its card says.

    Parameters
    ----------
    folder
        Where it lies.
    card
        Its card.
    onnx
        The bytes of its network, already checked against the card's hash.
    place
        How it was found.
    """

    folder: Path
    card: Card
    onnx: bytes
    place: Place


def bundled_models() -> list[str]:
    """List the names of the models that ship with the package."""
    return sorted(card.parent.name for card in _bundled().glob(f"*/{CARD_NAME}"))


def open_bundle(
    name: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    endpoint: str | None = None,
    progress: Progress = silent,
) -> Bundle:
    """Find a model, read it and check it.

    Parameters
    ----------
    name
        The name of a model that ships, the path of a bundle folder, a model on the
        hub as ``hf://org/name@revision``, or ``None`` for the default model.
    offline, endpoint, progress
        For a model on the hub; see `tumorlens.models.hub.fetch_bundle`.

    Raises
    ------
    ModelError
        When there is no such model, or a file is missing, too large or differs
        from what the card says.
    MissingExtraError
        When a model on the hub needs a package that is not installed.
    """
    place = find_bundle(name, offline=offline, endpoint=endpoint, progress=progress)
    return open_network(place, read_card(place.folder))


def open_network(place: Place, card: Card) -> Bundle:
    """Read the network beside a card that was read already.

    Raises
    ------
    ModelError
        When the card names none, or the file is missing, too large or differs from
        what the card says.
    """
    folder = place.folder
    if ONNX_NAME not in card.files:
        raise ModelError(f"{folder / CARD_NAME} names no {ONNX_NAME}")
    return Bundle(folder, card, read_listed(folder, card, ONNX_NAME), place)


def read_listed(folder: Path, card: Card, name: str) -> bytes:
    """Read a file of a bundle and check it against the card's hash.

    Parameters
    ----------
    folder
        The bundle.
    card
        Its card.
    name
        A file that the card lists.

    Raises
    ------
    ModelError
        When the file is missing, too large or differs from what the card says.
    """
    data = _read(folder / name, _MODEL_LIMIT)
    found, wanted = hashlib.sha256(data).hexdigest(), card.files[name].get("sha256")
    if found != wanted:
        raise ModelError(
            f"{folder / name} is not the file its card describes (SHA-256 {found}, "
            f"the card says {wanted}); fetch or export the model again"
        )
    return data


def read_card(folder: Path) -> Card:
    """Read the card of a bundle.

    Raises
    ------
    ModelError
        When it is missing, too large, or no card.
    """
    path = folder / CARD_NAME
    return Card.from_json(_read(path, CARD_LIMIT), source=str(path))


def find_bundle(
    model: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    endpoint: str | None = None,
    progress: Progress = silent,
) -> Place:
    """Find a model: one that ships by its name first, then one on the hub, then a path.

    Parameters
    ----------
    model, offline, endpoint, progress
        As `open_bundle` takes them.

    Raises
    ------
    ModelError
        When there is no such model.
    """
    name = os.fspath(DEFAULT_MODEL if model is None else model)
    if name in bundled_models():
        return Place(_bundled() / name, name)
    if name[:4].lower() == "hf:/":
        # Imported on call: it needs this module, and most models are no such.
        from tumorlens.models.hub import fetch_bundle  # noqa: PLC0415

        return fetch_bundle(name, offline=offline, endpoint=endpoint, progress=progress)
    path = Path(name)
    # Not Path.is_file, which raises on a name that is too long.
    if os.path.isfile(path / CARD_NAME):  # noqa: PTH113
        return Place(path, name)
    found = "has no model.json in it" if os.path.isdir(path) else "is no folder"  # noqa: PTH112
    raise ModelError(
        f"there is no model {name!r}: it is none of those that ship "
        f"({', '.join(bundled_models())}), and as a path it {found}; a model on the hub is "
        "called hf://org/name"
    )


def _bundled() -> Path:
    return Path(str(resources.files("tumorlens.models") / "bundled"))


def _read(path: Path, limit: int) -> bytes:
    try:
        status = path.stat()  # before it is opened: to open a pipe is to wait for its writer
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path} is not a regular file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise ModelError(f"{path} is larger than {limit // 2**20} MiB and is not read")
    return data
