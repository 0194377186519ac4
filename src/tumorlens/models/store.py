"""Where models come from: those that ship with the package, a folder, or the hub."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Final

from tumorlens.errors import ModelError
from tumorlens.models.bundle import Bundle, Place, open_network, read_card
from tumorlens.models.card import CARD_NAME
from tumorlens.models.hub import fetch_bundle
from tumorlens.progress import Progress, silent

__all__ = ["DEFAULT_MODEL", "bundled_models", "find_bundle", "open_bundle"]

DEFAULT_MODEL: Final = "mobilenetv2-evidence"
"""The model that is used when none is named."""


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
