"""What surrounds every decoder: its failures become ours, and it keeps quiet."""

from __future__ import annotations

import logging
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, ImageCms, UnidentifiedImageError

from tumorlens.errors import UnreadableImageError
from tumorlens.forks import renew_in_child

__all__ = ["FAILURES", "decoding", "quiet", "unlogged"]

# Pillow promises OSError for a damaged file and does not keep the promise, nor does
# tifffile its own error: they index, unpack, look up and assert their way through what the
# file says, so that hostile bytes surface as any of these. Anything else is a defect of ours
# and should be seen. Image.DecompressionBombWarning is here for callers whose
# filters turn it into an error; other warnings are not, for the same reason.
FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,  # IndexError, KeyError
    ArithmeticError,  # OverflowError, ZeroDivisionError
    AssertionError,
    EOFError,
    MemoryError,
    RuntimeError,  # RecursionError, NotImplementedError
    SystemError,  # a decoder in C that fails without saying why
    ImportError,  # a Pillow built without the library that a picture needs
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    ImageCms.PyCMSError,
)


@contextmanager
def decoding(source: str, kind: str) -> Iterator[None]:
    """Mute Pillow's warnings, and turn a decoder's failures into ours.

    Parameters
    ----------
    source
        Which file, for the error.
    kind
        What it is, as a person would say.

    Raises
    ------
    UnreadableImageError
        Instead of whatever a decoder raises for a damaged file.
    """
    try:
        with quiet():
            yield
    except FAILURES as exc:
        if isinstance(exc, UnreadableImageError):
            raise
        found = f"a {kind} picture that cannot be decoded ({_reason(exc)})"
        hint = "open it in an image viewer and save it again as PNG, or export it anew"
        if "truncated" in found:  # what is left would be read as if it were all
            hint = "it ends too early; fetch or export it again"
        if isinstance(exc, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
            hint = "export it smaller"
        raise UnreadableImageError(source, found, hint) from exc


def _reason(exc: BaseException) -> str:
    """Say in a few words what a decoder found."""
    if isinstance(exc, UnidentifiedImageError):
        return "its header is damaged"  # Pillow names the buffer in memory instead
    if isinstance(exc, MemoryError):
        return "there is not enough memory"
    return " ".join(str(exc).split()) or type(exc).__name__


class _Mute:
    """One filter against the decoders' warnings, there while anybody reads.

    Pillow warns of harmless damage (a cut-off EXIF block, an odd TIFF tag) and of large
    pictures, which `Limits` judges instead; pydicom quotes the values that it warns of, names
    of patients among them. Before Python 3.14 filters belong to the whole
    process, and to save and restore them in one thread undoes what another does. So the
    first reader adds one filter, the last one takes it away, and nothing else is touched.
    (What libtiff itself writes to stderr about a damaged TIFF is beyond the reach of Python.)
    """

    _MODULE = (
        r"(PIL|pydicom|nibabel)\.(?#while tumorlens reads)"  # no filter of anybody else is equal
    )

    def __init__(self) -> None:
        self._renew()
        renew_in_child(self, _Mute._renew)

    def _renew(self) -> None:
        """Start with no reader, as a forked child does; a filter that it inherits may stay."""
        self._lock = threading.Lock()
        self._readers = 0
        self._lists: list[Any] = []  # which lists hold the filter; `catch_warnings` copies them

    def __enter__(self) -> None:
        with self._lock:
            self._readers += 1
            filters: Any = warnings.filters
            if not any(self._is_ours(entry) for entry in filters):
                warnings.filterwarnings("ignore", module=self._MODULE)
                self._lists.append(filters)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                for filters in (*self._lists, warnings.filters):
                    filters[:] = [entry for entry in filters if not self._is_ours(entry)]
                self._lists = []

    def _is_ours(self, entry: Any) -> bool:
        return getattr(entry[3], "pattern", None) == self._MODULE


_mute = _Mute()


@contextmanager
def quiet() -> Iterator[None]:
    """Mute the warnings of Pillow, pydicom and nibabel, and nobody else's."""
    if getattr(sys.flags, "context_aware_warnings", False):  # filters of this thread alone
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(PIL|pydicom|nibabel)\.")
            yield
    else:
        with _mute:
            yield


@contextmanager
def unlogged(name: str) -> Iterator[None]:
    """Keep out of a library's log what it says in this thread: it quotes values of the file.

    Parameters
    ----------
    name
        Of the logger itself; what loggers below it say goes through.
    """
    ours = threading.get_ident()
    logger = logging.getLogger(name)

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != ours

    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)
