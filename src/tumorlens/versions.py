"""What a result was made with: versions, as records and pages carry them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from tumorlens import __version__

__all__ = ["versions_of"]


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Give the versions of packages, this one among them.

    Parameters
    ----------
    names
        Names of distributions, such as ``"scikit-learn"``.

    Returns
    -------
    dict
        Version by name; ``"unknown"`` where no distribution of that name is installed: the
        module may come from another, such as ``onnxruntime-gpu``, or from a folder.
    """
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    if name == "tumorlens":  # known in a checkout that is not installed, too
        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
