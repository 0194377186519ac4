"""The folder of DICOM files for one run: captures as slices come, reports when all is done."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tumorlens import __version__
from tumorlens.dicom_out.capture import build_capture
from tumorlens.dicom_out.parametric_map import build_map, placed
from tumorlens.dicom_out.structured_report import Answer, VolumeReport, build_report
from tumorlens.dicom_out.study import Source, new_uid, open_source
from tumorlens.errors import OutputError
from tumorlens.explain.explanation import Explanation
from tumorlens.explain.volume_explanation import VolumeExplanation
from tumorlens.extras import require
from tumorlens.files import new_folder, write_text
from tumorlens.images.dicom import explained
from tumorlens.images.limits import Limits
from tumorlens.images.volume import Volume
from tumorlens.models.card import Card
from tumorlens.prediction import Prediction
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["DicomFolder", "dicom_folder"]

_NEEDED: Final = (
    "highdicom",
    "highdicom.pm",
    "highdicom.sc",
    "highdicom.sr",
    "pydicom.sr.codedict",
)


@contextmanager
def dicom_folder(
    out: str | os.PathLike[str], card: Card, *, limits: Limits, force: bool = False
) -> Iterator[DicomFolder]:
    """Fill a folder with DICOM objects, whole or not at all.

    Parameters
    ----------
    out
        Must not exist, or be empty.
    card
        Of the model that answers.
    limits
        What is too large to be read again.
    force
        Whether the reports show classes of slices that are not assessable, marked.

    Yields
    ------
    DicomFolder
        To add explained slices to.

    Raises
    ------
    OutputError
        When the folder is there already or cannot be written, or nothing was added that
        came from DICOM.
    MissingExtraError
        When highdicom is not installed.
    """
    for module in _NEEDED:
        require(module, "writing DICOM", "dicom-out")
    with new_folder(out) as work:
        folder = DicomFolder(work, card, limits, force)
        yield folder
        folder.finish()


@dataclass(slots=True)
class _Study:
    """What is known of one study."""

    folder: Path
    first: Source
    series: str
    captures: int = 0
    answers: dict[tuple[str, int | None], Answer] = field(default_factory=dict)
    volumes: list[VolumeReport] = field(default_factory=list)


class DicomFolder:
    """Where the objects go; see `dicom_folder`.

    Parameters
    ----------
    folder
        To write into.
    card, limits, force
        As `dicom_folder` takes them.
    """

    def __init__(self, folder: Path, card: Card, limits: Limits, force: bool) -> None:  # noqa: FBT001
        self._folder = folder
        self._card = card
        self._limits = limits
        self._force = force
        self._studies: dict[str, _Study] = {}
        self._last: Source | None = None
        self._complete = True
        self.passed = 0
        """Slices that are none of a DICOM file, and are left out."""

    def add(self, explanation: Explanation) -> None:
        """Write the capture of a slice, and remember the answer for its report.

        Raises
        ------
        UnreadableImageError
            When its file cannot be read again, or belongs to no study.
        """
        picture = explanation.picture
        if not _is_stored(picture.origin, picture.frame) or picture.path is None:
            self.passed += 1
            return
        source = self._open(picture.path)
        study = self._study(source)
        frame = source.frame(picture.frame)
        answer = Answer(explanation.prediction, source.evidence, frame)
        study.answers[answer.key] = answer
        study.captures += 1
        number = study.captures
        made = build_capture(explanation, source, frame, self._card, study.series, number)
        self._save(made, study.folder / f"overlay-{number:04}.dcm", picture.path)

    def add_volume(
        self,
        volume: Volume,
        summary: VolumeAnswer,
        predictions: Sequence[Prediction],
        explanation: VolumeExplanation | None = None,
    ) -> None:
        """Remember the answers for all slices of a volume, in order, and that for the whole.

        Its evidence is written as a parametric map, where its slices have files of their own
        and a frame of reference.

        Parameters
        ----------
        volume
            The volume.
        summary
            The answer for it.
        predictions
            Those for its slices.
        explanation
            Its evidence.

        Raises
        ------
        UnreadableImageError
            When a file cannot be read again, or belongs to no study.
        """
        if not _is_stored(volume.origin, volume.frames or None):
            return
        answers: list[Answer] = []
        shown = frozenset(() if explanation is None else explanation.explained)
        images: dict[int, Any] = {}
        for said in predictions:
            source = self._open(said.path or "")
            answers.append(Answer(said, source.evidence, source.frame(volume.frames[said.slice])))
            if said.slice in shown and (image := placed(source)) is not None:
                images[said.slice] = image
        study = self._study(source)
        for answer in answers:  # some have captures and are there, out of order
            study.answers.pop(answer.key, None)
            study.answers[answer.key] = answer
        study.volumes.append(VolumeReport(summary, answers))
        if explanation is not None and images and len(images) == len(shown):
            planes = np.stack([explanation.plane(i) for i in images])
            made = build_map(explanation, planes, list(images.values()), source, self._card)
            name = f"evidence-{len(study.volumes):04}.dcm"
            self._save(made, study.folder / name, source.header.path or "")

    def miss(self) -> None:
        """Note that a file could not be read, so that the reports are not complete."""
        self._complete = False

    def finish(self) -> None:
        """Write the reports.

        Raises
        ------
        OutputError
            When there is nothing to report.
        """
        if not self._studies:
            raise OutputError("no slice was read from a DICOM file; leave --dicom-out out")
        for study in self._studies.values():
            report = build_report(
                study.first,
                list(study.answers.values()),
                self._card,
                volumes=study.volumes,
                complete=self._complete,
                force=self._force,
            )
            self._save(report, study.folder / "report.dcm", study.first.header.path or "")
        write_text(self._folder / "dicom.json", json.dumps(self._record(), indent=2) + "\n")

    def _record(self) -> dict[str, Any]:
        """Tell of the folder, so that nobody takes what is in it for scans; of no patient."""
        return {
            "model": self._card.id,
            "studies": len(self._studies),
            "answers": sum(len(study.answers) for study in self._studies.values()),
            "complete": self._complete,
            "tumorlens": __version__,
        }

    def _open(self, path: str) -> Source:
        """Read a header; slices of one file come one after the other."""
        if self._last is None or self._last.header.path != path:
            self._last = open_source(path, self._limits)
        return self._last

    def _study(self, source: Source) -> _Study:
        if source.study not in self._studies:
            folder = self._folder / f"study-{len(self._studies) + 1}"
            folder.mkdir()
            self._studies[source.study] = _Study(folder, source, new_uid())
        return self._studies[source.study]

    @staticmethod
    def _save(made: Any, path: Path, source: str) -> None:
        with explained(source, "a DICOM file whose patient or study cannot be written again"):
            content = io.BytesIO()
            made.save_as(content, enforce_file_format=True)
        path.write_bytes(content.getvalue())


def _is_stored(origin: Mapping[str, str], frame: object) -> bool:
    """Say whether slices are as they lie in DICOM files, and were not cut in another plane."""
    return origin.get("format") == "DICOM" and frame is not None
