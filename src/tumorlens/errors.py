"""What can go wrong, as one tree.

::

    TumorLensError
    ├── UnreadableImageError   a picture could not be read
    ├── ModelError             a model could not be found, trusted or run
    │   └── UnsafeModelError   its file holds what no honest model file holds
    ├── DataError              training data is not as it should be, or cannot be had
    ├── RunError               a training run cannot be started, resumed or exported
    ├── OutputError            a result could not be written
    └── MissingExtraError      an optional package is not installed

Every message says what was wrong, where, and how to mend it. It is one line that any
terminal can show, whatever the file that it speaks of has in it.
"""

from __future__ import annotations

from tumorlens.untrusted import printable


class TumorLensError(Exception):
    """Base of every error that this package raises on purpose."""

    def __str__(self) -> str:
        return printable(super().__str__())


class UnreadableImageError(TumorLensError):
    """A picture that cannot be read.

    Parameters
    ----------
    source
        The file, or a description such as ``"<bytes>"``.
    found
        What was found instead of a readable picture.
    hint
        What to do about it.
    """

    def __init__(self, source: str, found: str, hint: str) -> None:
        super().__init__(source, found, hint)  # all three, so that copies stay whole
        self.source = source
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        return printable(f"{self.source}: {self.found}; {self.hint}")


class ModelError(TumorLensError):
    """A model that cannot be found, is not what its card says, or cannot run."""


class UnsafeModelError(ModelError):
    """A model file that holds code, links out of itself, or would not fit in memory.

    Apart from `ModelError`, so that whoever takes files from strangers can put this one aside.
    """


class DataError(TumorLensError):
    """Training data that is not laid out as expected, or cannot be downloaded."""


class RunError(TumorLensError):
    """A training run that cannot be started, resumed or exported."""


class OutputError(TumorLensError):
    """A result that cannot be written where it was asked for."""


class MissingExtraError(TumorLensError):
    """An optional package is needed and not installed.

    Parameters
    ----------
    feature
        What was asked for, as the subject of a sentence.
    extra
        The extra of this package that brings what is missing.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)
        self.feature = feature
        self.extra = extra

    def __str__(self) -> str:
        return printable(
            f"{self.feature} needs more packages: pip install 'tumorlens[{self.extra}]', or "
            f"'.[{self.extra}]' in a clone"
        )
