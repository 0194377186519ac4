"""Packages that an extra brings: imported late, through one door, or missed in one sentence."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from tumorlens.errors import MissingExtraError

__all__ = ["installed", "require"]


def require(module: str, feature: str, extra: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module
        Its full name, such as ``"scipy.ndimage"``.
    feature
        What needs it, as the subject of a sentence.
    extra
        The extra of this package that brings it.

    Returns
    -------
    module
        The module itself, not the package around it.

    Raises
    ------
    MissingExtraError
        When it is not installed, or is and cannot be loaded.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(feature, extra) from error
    except ImportError as error:  # a library of the system is missing, or of another version
        raise MissingExtraError(f"{feature} cannot load {module} ({error}) and", extra) from error


def installed(module: str) -> bool:
    """Say whether a module can be found, without importing it."""
    return importlib.util.find_spec(module) is not None
