"""What is too much for the service: bytes, pixels, time, requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from tumorlens.apps.web.problems import Problem
from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits

__all__ = ["Admission", "Hold", "Memory", "TooLargeError", "WebLimits"]


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What one request may ask for, and all of them together.

    Parameters
    ----------
    upload_bytes
        Bytes of one request.
    held_bytes
        Bytes of all requests and of all scans that pages look at, together.
    unpacked_bytes
        Bytes of a compressed file or archive once it is unpacked.
    files
        Files of one request, those in an archive among them.
    pixels, total_pixels
        Pixels of one picture, and of all pictures of one file.
    slices
        Slices of one request.
    upload_seconds
        How long a request may take to arrive.
    answer_seconds
        How long it may take to answer.
    requests
        Requests that are read or answered at once; more are told to come back.
    per_client
        The same for one address.
    cases
        Scans that pages look at, at once.
    case_seconds
        How long such a scan is kept after it was last looked at.

    Raises
    ------
    ValueError
        When a limit is below 1.
    """

    upload_bytes: int = 256 * 2**20
    held_bytes: int = 2**30
    unpacked_bytes: int = 512 * 2**20
    files: int = 2048
    pixels: int = 40_000_000
    total_pixels: int = 256_000_000
    slices: int = 2048
    upload_seconds: int = 60
    answer_seconds: int = 120
    requests: int = 64
    per_client: int = 48
    cases: int = 8
    case_seconds: int = 900

    def __post_init__(self) -> None:
        for limit in fields(self):
            if getattr(self, limit.name) < 1:
                raise ValueError(f"`{limit.name}` must be at least 1")

    def reading(self) -> Limits:
        """Give what the readers of files go by."""
        return _ReadingLimits(
            max_bytes=self.upload_bytes,
            max_unpacked=self.unpacked_bytes,
            max_members=self.files,
            max_pixels=self.pixels,
            max_frames=self.slices,
            max_total_pixels=self.total_pixels,
            seconds=max(1, self.answer_seconds // 4),  # some slices wait for others
        )


class TooLargeError(UnreadableImageError):
    """A file that is within no limit: the client's to mend, and no damage."""


class _ReadingLimits(Limits):
    """The limits of reading, whose errors say that a file is too large, and not how to raise it."""

    __slots__ = ()

    def too_large(self, source: str, found: str, limit: str) -> UnreadableImageError:
        del limit  # whoever sends a file cannot raise it
        return TooLargeError(source, found, "send it smaller")


class Memory:
    """Counts the bytes that are held, and refuses more than are allowed.

    Parameters
    ----------
    most
        Bytes of all that is held.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.used = 0

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Count for one request; what is not kept is given back when the block ends."""
        held = Hold(self)
        try:
            yield held
        finally:
            self.give(held.keep())

    def take(self, count: int) -> None:
        """Hold some more bytes.

        Raises
        ------
        Problem
            503 when there is no room for them now.
        """
        if self.used + count > self._most:
            raise Problem(503, "there is no memory left for this upload now", retry_after=5)
        self.used += count

    def give(self, count: int) -> None:
        """Hold so many bytes less."""
        self.used -= count


class Hold:
    """The bytes that one request holds."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._count = 0

    def take(self, count: int) -> None:
        """Hold some more; see `Memory.take`."""
        self._memory.take(count)
        self._count += count

    def keep(self) -> int:
        """Hold them beyond the request: whoever keeps them gives so many back."""
        count, self._count = self._count, 0
        return count


class Admission:
    """Counts the requests at work, and sends more than are allowed away.

    Parameters
    ----------
    limits
        How many there may be.
    """

    def __init__(self, limits: WebLimits) -> None:
        self._limits = limits
        self._clients: Counter[str] = Counter()
        self.closed = False

    @property
    def count(self) -> int:
        """How many are at work."""
        return self._clients.total()

    @contextmanager
    def enter(self, client: str) -> Iterator[None]:
        """Let a request in for the time of the block.

        Raises
        ------
        Problem
            503 when too many are at work or the service ends, 429 when too many are this client's.
        """
        if self.closed:
            raise Problem(503, "the service is ending", retry_after=10)
        if self._clients[client] >= self._limits.per_client:
            raise Problem(429, "too many requests of yours are at work", retry_after=1)
        if self.count >= self._limits.requests:
            raise Problem(503, "too many requests are at work", retry_after=1)
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
