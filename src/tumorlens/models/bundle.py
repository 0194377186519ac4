"""What a model is on disk: a folder with its card, and files that are what the card says."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tumorlens.errors import ModelError
from tumorlens.models.card import CARD_NAME, Card
from tumorlens.trust.novelty import Novelty
from tumorlens.untrusted import printable

__all__ = [
    "CARD_LIMIT",
    "LARGEST_FILE",
    "ONNX_NAME",
    "WEIGHTS_NAME",
    "Bundle",
    "Place",
    "open_network",
    "read_card",
    "read_listed",
    "read_novelty",
]

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

    def absolute(self) -> Place:
        """Give the place as another process finds it, whatever its working folder."""
        return Place(self.folder.absolute(), self.origin, self.notes)


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


def read_novelty(folder: Path, card: Card) -> Novelty | None:
    """Read the plane of a bundle; ``None`` when its card names none.

    Raises
    ------
    ModelError
        When the file is missing or not what the card says.
    """
    if card.novelty is None:
        return None
    name = card.novelty.file
    found = Novelty.from_bytes(read_listed(folder, card, name), source=str(folder / name))
    if set(found.others) != set(card.novelty.others):
        raise ModelError(
            f"{folder / name} tells {_named(found.others)} from slices and the card says "
            f"{_named(card.novelty.others)}; fetch or calibrate the model again"
        )
    return found


def _named(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(map(printable, kinds))) or "nothing"


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
