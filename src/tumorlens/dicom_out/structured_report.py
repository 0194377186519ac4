"""A structured report of the answers: Comprehensive SR by template TID 1500 (PS3.16).

Each slice is one measurement group: which image, by which algorithm, whether it could be
assessed, then class, prediction set and probabilities. It is complete or partial, preliminary
and never verified: nobody has looked at it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tumorlens import __version__
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

__all__ = ["Answer", "build_report"]

_SERIES: Final = 9101
"""Number of the report's series; scanners count from 1."""

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


def build_report(
    source: Source, answers: Sequence[Answer], card: Card, *, complete: bool, force: bool = False
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
        content=_content(answers, card, force=force),
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


def _content(answers: Sequence[Answer], card: Card, *, force: bool) -> Any:
    """Build the tree."""
    codes = _codes()
    observer = sr().ObserverContext(
        codes.DCM.Device,
        sr().DeviceObserverIdentifyingAttributes(
            uid=_device(card), name=MAKER, manufacturer_name=MAKER, model_name=card.id
        ),
    )
    groups = [_group(i, answer, card, force=force) for i, answer in enumerate(answers, 1)]
    content = sr().MeasurementReport(
        observation_context=sr().ObservationContext(observer_device_context=observer),
        procedure_reported=codes.cid100.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    content[0].ContentSequence.append(_comment(WARNING))
    return content


def _group(number: int, answer: Answer, card: Card, *, force: bool) -> Any:
    """Say what was found in one slice."""
    codes, said = _codes(), answer.prediction
    shown = said.assessable or force
    state = codes.SCT.Yes if said.assessable else codes.SCT.No
    told = [sr().QualitativeEvaluation(own_concept("Assessable"), state)]
    if shown:
        told.append(sr().QualitativeEvaluation(own_concept("Class"), class_concept(said.label)))
        told += [
            sr().QualitativeEvaluation(own_concept("Prediction set"), class_concept(name))
            for name in said.prediction_set
        ]
    frames = None if answer.frame is None else [answer.frame]
    group = sr().MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr().TrackingIdentifier(new_uid(), f"slice {number}"),
        algorithm_id=sr().AlgorithmIdentification(
            name=card.name,
            version=card.version,
            manufacturer=MAKER,
            parameters=[f"tumorlens {__version__}"],
        ),
        finding_sites=[sr().FindingSite(codes.SCT.Brain)],
        qualitative_evaluations=told,
        measurements=_probabilities(said) if shown else None,
        source_images=[
            sr().SourceImageForMeasurementGroup(
                answer.evidence.SOPClassUID, answer.evidence.SOPInstanceUID, frames
            )
        ],
    )
    if not said.assessable:
        marked = f"{_SHOWN}. " if force else ""
        group[0].ContentSequence.append(_comment(f"{marked}Not assessable: {said.reason}"))
    return group


def _probabilities(said: Prediction) -> list[Any]:
    unit = _codes().UCUM.NoUnits
    return [
        sr().Measurement(probability_concept(name), round(value, 6), unit)
        for name, value in said.probabilities.items()
    ]


def _comment(text: str) -> Any:
    contains = sr().RelationshipTypeValues.CONTAINS
    return sr().TextContentItem(_codes().DCM.Comment, text, contains)


def _codes() -> Any:
    return require("pydicom.sr.codedict", "writing DICOM", "dicom-out").codes


def _device(card: Card) -> str:
    """Give a model one identifier wherever it runs (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'tumorlens:{card.id}').int}"
