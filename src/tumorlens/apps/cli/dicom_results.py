"""What ``--dicom-out`` adds to a command: its results as DICOM, beside whatever else it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tumorlens.apps.cli.output import is_forced, tell_notes
from tumorlens.errors import UnreadableImageError
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.volume_batch import SavedVolume
from tumorlens.sources.failure import Failure

if TYPE_CHECKING:
    from typing import TypeAlias

    from tumorlens.dicom_out.folder import DicomFolder
    from tumorlens.explain.batch import Saved
    from tumorlens.models.card import Card

    Result: TypeAlias = Saved | Failure | SavedVolume

__all__ = ["put_into_studies"]


@contextmanager
def put_into_studies(results: Iterator[Result], out: str, card: Card) -> Iterator[Iterator[Result]]:
    """Write results as DICOM while they pass by; when the block ends, the folder is there.

    Parameters
    ----------
    results
        Explained slices.
    out
        The folder to make.
    card
        Of the model.

    Yields
    ------
    iterator
        The results, to be gone through inside the block. One that cannot be put into its
        study is a failure.

    Raises
    ------
    OutputError
        When the folder cannot be written, or no slice came from DICOM.
    MissingExtraError
        When highdicom is not installed.
    """
    from tumorlens.dicom_out.folder import dicom_folder
    from tumorlens.images.limits import Limits

    with dicom_folder(out, card, limits=Limits(), force=is_forced()) as folder:
        yield _each(results, folder)
        if folder.passed:
            tell_notes([f"{folder.passed} slices are none of a DICOM file and not in {out}"])


def _each(results: Iterator[Result], folder: DicomFolder) -> Iterator[Result]:
    for result in results:
        if isinstance(result, Failure):
            folder.miss()
        elif isinstance(result, SavedVolume):
            try:
                said = result.volume, result.answer, result.predictions
                folder.add_volume(*said, result.explanation)
            except UnreadableImageError as error:
                folder.miss()
                yield Failure(error.source, error)
        elif isinstance(result.record, Explanation):
            try:
                folder.add(result.record)
            except UnreadableImageError as error:
                folder.miss()
                yield Failure(error.source, error)
                continue
        yield result
