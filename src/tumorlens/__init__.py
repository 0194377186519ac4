"""Brain-tumour classification of MRI slices, with explanations that can be checked.

Research use only: not a medical device.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # without typing, which takes long to import
if TYPE_CHECKING:
    from typing import Any

    from tumorlens.classifier import Classifier, load
    from tumorlens.errors import (
        DataError,
        MissingExtraError,
        ModelError,
        OutputError,
        RunError,
        TumorLensError,
        UnreadableImageError,
        UnsafeModelError,
    )
    from tumorlens.explain.explanation import Explanation
    from tumorlens.explain.volume_explanation import VolumeExplanation
    from tumorlens.images.read import read_slices
    from tumorlens.images.slice import Slice
    from tumorlens.images.volume import Volume
    from tumorlens.prediction import Prediction
    from tumorlens.sources.failure import Failure
    from tumorlens.sources.frame import to_frame
    from tumorlens.sources.series import read_volume
    from tumorlens.volume_answer import VolumeAnswer

__all__ = [
    "Classifier",
    "DataError",
    "Explanation",
    "Failure",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "Prediction",
    "RunError",
    "Slice",
    "TumorLensError",
    "UnreadableImageError",
    "UnsafeModelError",
    "Volume",
    "VolumeAnswer",
    "VolumeExplanation",
    "load",
    "read_slices",
    "read_volume",
    "to_frame",
]

_HOME = {
    "Classifier": "classifier",
    "Explanation": "explain.explanation",
    "Failure": "sources.failure",
    "Prediction": "prediction",
    "Slice": "images.slice",
    "Volume": "images.volume",
    "VolumeAnswer": "volume_answer",
    "VolumeExplanation": "explain.volume_explanation",
    "load": "classifier",
    "read_slices": "images.read",
    "read_volume": "sources.series",
    "to_frame": "sources.frame",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package is free.

    Nothing is imported before the command line can end in order when Ctrl+C is pressed early.
    """
    import importlib  # noqa: PLC0415

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
