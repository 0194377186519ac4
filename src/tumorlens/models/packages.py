"""Models of other installed packages, which say so by an entry point.

A package that brings models names itself in its ``pyproject.toml``::

    [project.entry-points."tumorlens.models"]
    any-name = "its_package"

Each folder of that package with a ``model.json`` in it is a model. The package is looked
at and never imported: nothing of it can run, fail or be waited for.
"""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from tumorlens.models.card import CARD_NAME
from tumorlens.untrusted import printable

__all__ = ["GROUP", "models_in", "models_of_packages"]

GROUP: Final = "tumorlens.models"
"""Group of the entry points."""

_PACKAGE = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_UNREADABLE = (OSError, ValueError, TypeError, AttributeError, KeyError)
"""What the standard library raises at files of a package that are not as they should be."""


def models_in(folder: Path) -> dict[str, Path]:
    """Find the bundles directly below a folder, by name; none when there is no such folder."""
    cards = folder.glob(f"*/{CARD_NAME}")
    return {card.parent.name: card.parent for card in sorted(cards)}


def models_of_packages() -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find the models that other packages bring.

    Returns
    -------
    dict
        Folder by name of the model.
    tuple of str
        What was passed over, each with its name and the reason.
    """
    found: dict[str, Path] = {}
    passed: list[str] = []
    for distribution in distributions():
        named, why = _named_packages(distribution)
        passed += why
        for entry, package in named:
            try:
                models = _models_of(package)
            except (ImportError, ValueError) as error:
                passed.append(f"{_shown(entry)} brings no models: {printable(error, 200)}")
                continue
            for name, folder in models.items():
                if found.setdefault(name, folder) != folder:
                    passed.append(
                        f"{_shown(entry)} brings {printable(name, 200)!r} once more; that in "
                        f"{found[name]} is used"
                    )
    return found, tuple(passed)


def _named_packages(distribution: Distribution) -> tuple[list[tuple[str, str]], list[str]]:
    """Give name and value of the entry points of ours, and what cannot be read."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
        if GROUP not in text:  # most packages: nothing is parsed
            return [], []
        return [(x.name, x.value) for x in distribution.entry_points if x.group == GROUP], []
    except _UNREADABLE as error:
        return [], [f"the entry points of {_name(distribution)} cannot be read ({error!r})"]


def _models_of(package: str) -> dict[str, Path]:
    # A dotted name would import what stands before the dot.
    if not _PACKAGE.fullmatch(package):
        raise ValueError(f"{printable(package, 200)!r} is no name of a package")
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    models = {name: at for folder in folders for name, at in models_in(Path(folder)).items()}
    if not models:
        raise ValueError(
            f"the package {package!r} has no folder with a {CARD_NAME}"
            if folders
            else f"there is no package {package!r}"
        )
    return models


def _name(distribution: Distribution) -> str:
    try:
        return printable(distribution.metadata["Name"], 200)
    except _UNREADABLE:
        return "an installed package"


def _shown(entry: str) -> str:
    return f"the entry point {printable(entry, 200)!r} of {GROUP}"
