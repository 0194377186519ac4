"""What is too large to read."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tumorlens.errors import UnreadableImageError

__all__ = ["GIVE_A_PICTURE", "Limits"]

_SMALL = 64 * 2**20  # bytes that harm nobody, however much smaller they were before

GIVE_A_PICTURE = "give a picture, such as PNG, JPEG or TIFF"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too large to read. Raise a limit only for sources that you trust.

    Parameters
    ----------
    max_bytes
        Bytes of a file.
    max_unpacked
        Bytes of a compressed volume, or of all files of a ZIP archive, once unpacked.
    max_ratio
        How many times a compressed file may grow, once it is beyond 64 MiB.
    max_members
        Files of a ZIP archive.
    max_pixels
        Pixels of one picture. Pillow's own limit, twice `PIL.Image.MAX_IMAGE_PIXELS`,
        holds as well.
    max_frames
        Pictures of one source.
    max_total_pixels
        Pixels of all pictures of one source.
    max_elements
        Elements of a DICOM header, items of sequences too.
    seconds
        How long a decoder that may hang (`tumorlens.images.apart`) may take for a picture, or
        for one slice of a volume. ``None``: as long as it likes, in the program's own process.

    Raises
    ------
    ValueError
        When a limit is below 1.
    """

    max_bytes: int = 256 * 2**20
    max_unpacked: int = 2**30
    max_ratio: int = 200
    max_members: int = 4096
    max_pixels: int = 64_000_000
    max_frames: int = 2048
    max_total_pixels: int = 256_000_000
    max_elements: int = 250_000
    seconds: int | None = 60

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and value < 1:
                raise ValueError(f"`{limit.name}` must be at least 1")

    def check_bytes(self, source: str, count: int) -> None:
        """Raise `UnreadableImageError` for a file of `count` bytes that is too large."""
        if count > self.max_bytes:
            found = f"more than {self.max_bytes:,} bytes"
            raise self.too_large(source, found, "max_bytes")

    def room(self, packed: int) -> int:
        """Say how many bytes `packed` bytes may become: a decoder need unpack no more."""
        return min(self.max_unpacked, max(_SMALL, self.max_ratio * packed))

    def check_unpacked(self, source: str, count: int, packed: int | None = None) -> None:
        """Raise `UnreadableImageError` for a file that unpacks to more than is allowed.

        `packed` is how large it was before, where growth without measure is a sign of harm.
        """
        if count > self.max_unpacked:
            found = f"more than {self.max_unpacked:,} bytes once it is unpacked"
            raise self.too_large(source, found, "max_unpacked")
        if packed is not None and count > self.room(packed):
            found = f"content that grows more than {self.max_ratio:,} times once it is unpacked"
            raise self.too_large(source, found, "max_ratio")

    def check_members(self, source: str, count: int) -> None:
        """Raise `UnreadableImageError` for an archive of `count` files that are too many."""
        if count > self.max_members:
            found = f"an archive of more than {self.max_members:,} files ({count:,})"
            raise self.too_large(source, found, "max_members")

    def check_frame(self, source: str, size: tuple[int, int], index: int, spent: int) -> int:
        """Check the next picture of a source, before it is decoded.

        Parameters
        ----------
        source
            Which file, for the error.
        size
            Width and height of the picture.
        index
            Which picture of the source it is, from 0.
        spent
            Pixels of the pictures before it.

        Returns
        -------
        int
            Pixels of all pictures so far, to be handed in as `spent` next time.

        Raises
        ------
        UnreadableImageError
            When the picture is empty, or goes beyond a limit.
        """
        width, height = size
        if width < 1 or height < 1:
            found = f"a picture without pixels ({width} x {height})"
            raise UnreadableImageError(source, found, GIVE_A_PICTURE)
        if index >= self.max_frames:
            found = f"more than {self.max_frames:,} pictures"
            raise self.too_large(source, found, "max_frames")
        if width * height > self.max_pixels:
            found = f"a picture of {width} x {height}, more than {self.max_pixels:,} pixels"
            raise self.too_large(source, found, "max_pixels")
        if spent + width * height > self.max_total_pixels:
            found = f"pictures of more than {self.max_total_pixels:,} pixels together"
            raise self.too_large(source, found, "max_total_pixels")
        return spent + width * height

    def too_many_elements(self, source: str) -> UnreadableImageError:
        """Make the error for a header of more elements than are allowed."""
        found = f"a DICOM file of more than {self.max_elements:,} elements"
        return self.too_large(source, found, "max_elements")

    def too_long(self, source: str, what: str) -> UnreadableImageError:
        """Make the error for `what` took longer to decode than is allowed."""
        found = f"{what} that is not decoded within {self.seconds} seconds"
        return self.too_large(source, found, "seconds")

    def too_large(self, source: str, found: str, limit: str) -> UnreadableImageError:
        """Make the error for what was found to go beyond the limit of that name."""
        hint = f"export it smaller, or raise `Limits.{limit}` if you trust it"
        return UnreadableImageError(source, found, hint)
