"""Where models come from: those that are installed, a folder, or the hub."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Final

from tumorlens.errors import ModelError
from tumorlens.models.bundle import Bundle, Place, open_network, read_card
from tumorlens.models.card import CARD_NAME
from tumorlens.models.hub import fetch_bundle
from tumorlens.models.packages import models_in, models_of_packages
from tumorlens.progress import Progress, silent
from tumorlens.untrusted import printable

__all__ = ["DEFAULT_MODEL", "bundled_models", "find_bundle", "installed_models", "open_bundle"]

DEFAULT_MODEL: Final = "efficientnet-lite0-evidence"
"""The model that is used when none is named."""


def bundled_models() -> list[str]:
    """List the names of the models that are installed: with this package, and by others."""
    return sorted({**models_in(_bundled()), **models_of_packages()[0]})


def installed_models() -> tuple[list[Place], list[Place], tuple[str, ...]]:
    """Find the models that are installed.

    Returns
    -------
    list of Place
        Those that ship with this package.
    list of Place
        Those that other packages bring.
    tuple of str
        What those packages bring and cannot be used, each with its name and the reason.
    """
    own = models_in(_bundled())
    others, passed = models_of_packages()
    taken = tuple(
        f"a package brings {printable(name, 200)!r} once more, in {others[name]}; ours is used"
        for name in sorted(own.keys() & others.keys())
    )
    return (
        [Place(folder, name) for name, folder in sorted(own.items())],
        [Place(at, name) for name, at in sorted(others.items()) if name not in own],
        passed + taken,
    )


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
        The name of a model that is installed, the path of a bundle folder, a model on
        the hub as ``hf://org/name@revision``, or ``None`` for the default model.
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
    """Find a model: one that is installed by its name first, then on the hub, then a path.

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
    if own := models_in(_bundled()).get(name):
        return Place(own, name)
    if name[:4].lower() == "hf:/":
        return fetch_bundle(name, offline=offline, endpoint=endpoint, progress=progress)
    if name == os.path.basename(name):  # noqa: PTH119  # a path need not wait for the packages
        others, passed = models_of_packages()
        if name in others:
            return Place(others[name], name, passed)
    path = Path(name)
    # Not Path.is_file, which raises on a name that is too long.
    if os.path.isfile(path / CARD_NAME):  # noqa: PTH113
        return Place(path, name)
    raise _no_such_model(name)


def _no_such_model(name: str) -> ModelError:
    found = "has no model.json in it" if os.path.isdir(name) else "is no folder"  # noqa: PTH112
    own, others, passed = installed_models()
    more = "" if others else "; more come with `pip install ./models` in a clone of tumorlens"
    names = ", ".join(place.origin for place in (*own, *others))
    return ModelError(
        f"there is no model {name!r}: it is none of those installed ({names}), and as a path it "
        f"{found}{more}; "
        f"a model on the hub is called hf://org/name{''.join(f'; {one}' for one in passed)}"
    )


def _bundled() -> Path:
    return Path(str(resources.files("tumorlens.models") / "bundled"))
