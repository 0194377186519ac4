"""A structured report of the answers: Comprehensive SR by template TID 1500 (PS3.16).

Each slice is one measurement group: which image, by which algorithm, whether it could be
assessed, then class, prediction set and probabilities. Each volume is one more, of all its
images. It is complete or partial, preliminary
and never verified: nobody has looked at it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tumorlens import __version__
from tumorlens.data.folder import class_name
from tumorlens.dicom_out.concepts import (
    SCHEME,
    class_concept,
    own_concept,
    probability_concept,
    sr,
)
from tumorlens.dicom_out.study import MAKER, WARNING, Source, adopt, labels, new_uid
from tumorlens.extras import require
from tumorlens.models.card import Card
from tumorlens.prediction import Prediction
from tumorlens.volume_answer import VolumeAnswer

__all__ = ["Answer", "VolumeReport", "build_report"]

_SERIES: Final = 9101
"""Number of the report's series; scanners count from 1."""

_AGREED: Final = "By agreement of neighbouring slices"
_SHOWN: Final = "Class of a slice that is not assessable, shown because it was asked for"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered for one picture of one object.

    Parameters
    ----------
    prediction
        The answer.
    evidence
        The object, as `tumorlens.dicom_out.study.Source` has it.
    frame
        Which of its frames, from 1, or ``None``.
    """

    prediction: Prediction
    evidence: Any
    frame: int | None

    @property
    def key(self) -> tuple[str, int | None]:
        """Which picture it is: its object and frame."""
        return str(self.evidence.SOPInstanceUID), self.frame


@dataclass(frozen=True, slots=True)
class VolumeReport:
    """What was answered for a volume.

    Parameters
    ----------
    said
        The answer.
    slices
        Those for its slices.
    """

    said: VolumeAnswer
    slices: Sequence[Answer]


def build_report(
    source: Source,
    answers: Sequence[Answer],
    card: Card,
    *,
    volumes: Sequence[VolumeReport] = (),
    complete: bool,
    force: bool = False,
) -> Any:
    """Write the answers for one study down.

    Parameters
    ----------
    source
        An object of the study.
    answers
        At least one.
    card
        Of the model that gave them.
    volumes
        Answers for whole volumes of these.
    complete
        Whether every picture that was given has its answer.
    force
        Whether slices that are not assessable show their class all the same, marked.

    Returns
    -------
    highdicom.sr.ComprehensiveSR
        To be saved.

    Raises
    ------
    UnreadableImageError
        When what the source says of patient and study is damaged.
    """
    known = {str(answer.evidence.SOPInstanceUID): answer.evidence for answer in answers}
    schemes = require("highdicom.coding_schemes", "writing DICOM", "dicom-out")
    own = schemes.CodingSchemeIdentificationItem(SCHEME, name="Concepts of tumorlens", version="1")
    report = sr().ComprehensiveSR(
        evidence=list(known.values()),
        content=_content(answers, volumes, card, force=force),
        series_instance_uid=new_uid(),
        series_number=_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=1,
        is_complete=complete,
        is_final=False,
        is_verified=False,
        coding_schemes=[own],
        **labels(card),
    )
    adopt(report, source)
    return report


def _content(
    answers: Sequence[Answer], volumes: Sequence[VolumeReport], card: Card, *, force: bool
) -> Any:
    """Build the tree."""
    codes = _codes()
    observer = sr().ObserverContext(
        codes.DCM.Device,
        sr().DeviceObserverIdentifyingAttributes(
            uid=_device(card), name=MAKER, manufacturer_name=MAKER, model_name=card.id
        ),
    )
    groups = [_volume_group(i, volume, card) for i, volume in enumerate(volumes, 1)]
    groups += [_group(i, answer, card, force=force) for i, answer in enumerate(answers, 1)]
    content = sr().MeasurementReport(
        observation_context=sr().ObservationContext(observer_device_context=observer),
        procedure_reported=codes.cid100.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    content[0].ContentSequence.append(_comment(WARNING))
    return content


def _group(number: int, answer: Answer, card: Card, *, force: bool) -> Any:
    """Say what was found in one slice."""
    said = answer.prediction
    label = said.label if said.assessable or force else None
    told = _told(said.assessable, label, said.prediction_set)
    shown = said.probabilities if label else {}
    group = _measured(f"slice {number}", card, told, shown, [answer])
    if not said.assessable:
        marked = f"{_SHOWN}. " if force else ""
        group[0].ContentSequence.append(_comment(f"{marked}Not assessable: {said.reason}"))
    return group


def _volume_group(number: int, volume: VolumeReport, card: Card) -> Any:
    """Say what was found in a whole volume."""
    said = volume.said
    told = _told(said.label is not None, said.label, said.prediction_set)
    group = _measured(f"volume {number}", card, told, said.probabilities, volume.slices)
    text = f"{_AGREED}: {said.assessable} of {said.slices} slices counted"
    if said.suspect is not None and said.run is not None:
        first, last = said.run
        places = f"slice {first + 1}" if first == last else f"slices {first + 1} to {last + 1}"
        text += f"; undecided: {class_name(said.suspect)} is suspected in {places}"
    if said.peak is not None:
        x, y, z = said.peak.mm
        text += f"; evidence strongest at {x:.1f}, {y:.1f}, {z:.1f} mm ({said.peak.space})"
    group[0].ContentSequence.append(_comment(text))
    return group


def _told(assessable: bool, label: str | None, chosen: Sequence[str]) -> list[Any]:  # noqa: FBT001
    """Give the answer in codes; without a label no class."""
    codes = _codes()
    state = codes.SCT.Yes if assessable else codes.SCT.No
    told = [sr().QualitativeEvaluation(own_concept("Assessable"), state)]
    if label is not None:
        told.append(sr().QualitativeEvaluation(own_concept("Class"), class_concept(label)))
        told += [
            sr().QualitativeEvaluation(own_concept("Prediction set"), class_concept(name))
            for name in chosen
        ]
    return told


def _measured(
    name: str,
    card: Card,
    told: list[Any],
    probabilities: Mapping[str, float],
    images: Sequence[Answer],
) -> Any:
    """Make a measurement group of some images."""
    codes = _codes()
    return sr().MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr().TrackingIdentifier(new_uid(), name),
        algorithm_id=sr().AlgorithmIdentification(
            name=card.name,
            version=card.version,
            manufacturer=MAKER,
            parameters=[f"tumorlens {__version__}"],
        ),
        finding_sites=[sr().FindingSite(codes.SCT.Brain)],
        qualitative_evaluations=told,
        measurements=_probabilities(probabilities) if probabilities else None,
        source_images=_images(images),
    )


def _images(answers: Sequence[Answer]) -> list[Any]:
    """Refer to images, and to frames of one object together."""
    objects = {answer.evidence.SOPInstanceUID: answer.evidence for answer in answers}
    frames: dict[str, list[int]] = {uid: [] for uid in objects}
    for answer in answers:
        if answer.frame is not None:
            frames[answer.evidence.SOPInstanceUID].append(answer.frame)
    return [
        sr().SourceImageForMeasurementGroup(made.SOPClassUID, uid, frames[uid] or None)
        for uid, made in objects.items()
    ]


def _probabilities(values: Mapping[str, float]) -> list[Any]:
    unit = _codes().UCUM.NoUnits
    return [
        sr().Measurement(probability_concept(name), round(value, 6), unit)
        for name, value in values.items()
    ]


def _comment(text: str) -> Any:
    contains = sr().RelationshipTypeValues.CONTAINS
    return sr().TextContentItem(_codes().DCM.Comment, text, contains)


def _codes() -> Any:
    return require("pydicom.sr.codedict", "writing DICOM", "dicom-out").codes


def _device(card: Card) -> str:
    """Give a model one identifier wherever it runs (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'tumorlens:{card.id}').int}"
