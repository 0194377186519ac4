"""What the service says of itself: OpenAPI 3.1, with examples."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from tumorlens.apps.web.problems import MEDIA_TYPE
from tumorlens.apps.web.reports import FORMS
from tumorlens.explain.cam import METHODS
from tumorlens.report.case import MOST

if TYPE_CHECKING:
    from tumorlens.apps.web.limits import WebLimits
    from tumorlens.classifier import Classifier

__all__ = ["describe"]

_REFUSALS: Final = {
    "400": "The form is damaged.",
    "401": "The token is missing or wrong.",
    "403": "The service is not called so, or a page of somebody else asks.",
    "408": "The upload took too long.",
    "413": "More bytes, pixels, files or slices than are taken.",
    "415": "Of a kind that is not read.",
    "422": "It cannot be read, or a parameter is wrong.",
    "429": "Too many requests of this client are at work.",
    "503": "Too much is at work; Retry-After says when to come back.",
}
_EXAMPLE: Final = {
    "path": "scan.png",
    "slice": 0,
    "label": "glioma",
    "confidence": 0.91,
    "probabilities": {"glioma": 0.91, "meningioma": 0.06, "notumor": 0.01, "pituitary": 0.02},
    "prediction_set": ["glioma"],
    "assessable": True,
    "reason": None,
}


def describe(classifier: Classifier, limits: WebLimits) -> dict[str, Any]:
    """Describe the service that a model answers for."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tumorlens",
            "version": version("tumorlens"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": (
                "Classifies MRI slices of the head and shows where the evidence lies. Research "
                f"use only: not a medical device. At most {limits.upload_bytes:,} bytes, "
                f"{limits.files:,} files and {limits.slices:,} slices a request."
            ),
        },
        "paths": {
            "/api/v1/predict": {"post": _predict(classifier)},
            "/api/v1/explain": {"post": _explain(classifier)},
            "/api/v1/report": {"post": _report(classifier)},
            "/healthz": {"get": _plain("healthz", "Is the process alive?", "ok")},
            "/readyz": {"get": _plain("readyz", "Would a request be answered now?", "ready")},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": _schemas(classifier),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _predict(classifier: Classifier) -> dict[str, Any]:
    example = {"model": classifier.card.id, "answers": [_EXAMPLE | {"model": classifier.card.id}]}
    return {
        "operationId": "predict",
        "summary": "Classify every slice and volume of what is sent.",
        "description": (
            "Pictures (PNG, JPEG, TIFF, ...), DICOM files, NIfTI volumes, or ZIP archives of them. "
            "DICOM files of one series become one volume. Answers are in the order of the slices, "
            "after those of a volume of two slices or more the answer for all of it; a file that "
            "cannot be read stands among them with its error, unless it is the only one."
        ),
        "requestBody": _body(),
        "responses": {
            "200": {
                "description": "The answers.",
                "content": {
                    "application/json": {"schema": _ref("Predictions"), "example": example}
                },
            },
            **_refusals(),
        },
    }


def _explain(classifier: Classifier) -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0, "maximum": 99_999_999}
    forms = {"type": "string", "enum": ["json", "png", "npy"], "default": "json"}
    return {
        "operationId": "explain",
        "summary": "Show where in one slice the evidence for a class lies.",
        "parameters": [
            *_question(classifier),
            _parameter("slice", number, "Which slice of the scan, from 0."),
            _parameter("format", forms, "All as JSON, the overlay as PNG, or the map for NumPy."),
        ],
        "requestBody": _body(),
        "responses": {
            "200": {
                "description": "The explanation.",
                "content": {
                    "application/json": {"schema": _ref("Explanation")},
                    "image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}},
                    "application/octet-stream": {"schema": {"type": "string"}},
                },
            },
            **_refusals(),
        },
    }


def _report(classifier: Classifier) -> dict[str, Any]:
    forms = {"type": "string", "enum": list(FORMS), "default": "html"}
    return {
        "operationId": "report",
        "summary": "Write what the model says of all that is sent as one page or PDF.",
        "description": (
            f"At most {MOST} pictures and volumes are shown; the report says what is left out, and "
            "names files that cannot be read. PDF needs the service's extra `report`."
        ),
        "parameters": [
            *_question(classifier),
            _parameter("format", forms, "A page that needs no other file, or a PDF."),
        ],
        "requestBody": _body(),
        "responses": {
            "200": {
                "description": "The report, to be kept as a file.",
                "content": {
                    "text/html": {"schema": {"type": "string"}},
                    "application/pdf": {
                        "schema": {"type": "string", "contentMediaType": "application/pdf"}
                    },
                },
            },
            **_refusals(),
        },
    }


def _question(classifier: Classifier) -> list[dict[str, Any]]:
    classes = {"type": "string", "enum": list(classifier.card.classes)}
    methods = {"type": "string", "enum": list(METHODS), "default": "gradcam"}
    return [
        _parameter("method", methods, "How."),
        _parameter("target", classes, "The class to explain; the most probable by default."),
        _parameter("versus", classes, "A second class: why the target rather than this one."),
    ]


def _metrics() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "metrics",
        "summary": "Counters for Prometheus.",
        "responses": {
            "200": {"description": "The counters.", "content": text},
            **_refusals("401", "403"),
        },
    }


def _plain(name: str, summary: str, status: str) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref("Status"), "example": {"status": status}}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": "Yes.", "content": content},
            **_refusals("403", "503"),
        },
    }


def _body() -> dict[str, Any]:
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {
        "type": "object",
        "properties": {"file": {"type": "array", "items": binary, "minItems": 1}},
        "required": ["file"],
        "additionalProperties": False,
    }
    raw = ("image/png", "image/jpeg", "image/tiff", "application/dicom", "application/octet-stream")
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            **{kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in raw},
        },
    }


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _refusals(*statuses: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": _ref("Problem")}}
    wait = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return {
        status: {
            "description": text,
            "content": content,
            **({"headers": wait} if status in ("429", "503") else {}),
        }
        for status, text in _REFUSALS.items()
        if not statuses or status in statuses
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return found | ({"required": list(properties)} if required else {})


def _volume(share: dict[str, Any], label: dict[str, Any]) -> dict[str, Any]:
    """Describe the answer for a volume."""
    maybe, number = {"type": ["string", "null"]}, {"type": "integer", "minimum": 0}
    numbers = {"type": "array", "items": number}
    none = {"type": "null"}
    peak = _object(
        {
            "slice": number,
            "row": number,
            "column": number,
            "mm": {"type": "array", "items": {"type": "number"}},
            "space": {"type": "string", "enum": ["LPS", "RAS"]},
            "voxel": {"anyOf": [numbers, none]},
        }
    )
    values = {
        "first": maybe | {"description": "Name of the first file of a series."},
        "plane": {"type": "string"},
        "slices": number,
        "assessable": number | {"description": "How many of them counted."},
        "without_brain": number,
        "label": {"anyOf": [label, none], "description": "Null when no slice counted."},
        "suspect": {"anyOf": [label, none], "description": "Of an undecided volume, the tumour."},
        "confidence": {"anyOf": [share, none]},
        "probabilities": {"type": "object", "additionalProperties": share},
        "prediction_set": {"type": "array", "items": label},
        "run": {"anyOf": [numbers, none], "description": "First and last slice that agree."},
        "peak": {"anyOf": [peak, none]},
        "look_first": numbers | {"description": "Slices to look at first, from 0."},
        "model": {"type": "string"},
    }
    return _object({"path": maybe, "volume": _object(values)})


def _schemas(classifier: Classifier) -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    label = {"type": "string", "enum": list(classifier.card.classes)}
    text, maybe = {"type": "string"}, {"type": ["string", "null"]}
    prediction = _object(
        {
            "path": maybe | {"description": "The file's name as it was sent."},
            "slice": {"type": "integer", "minimum": 0},
            "label": label | {"description": "The most probable class; see `assessable` first."},
            "confidence": share,
            "probabilities": _object(dict.fromkeys(classifier.card.classes, share)),
            "prediction_set": {"type": "array", "items": label},
            "assessable": {"type": "boolean"},
            "reason": maybe | {"description": "Why it is not assessable."},
            "model": text,
        }
    )
    failure = _object({"path": maybe, "error": _object({"type": text, "message": text})})
    either = {"anyOf": [_ref("Prediction"), _ref("Failure"), _ref("VolumeAnswer")]}
    return {
        "Prediction": prediction,
        "Failure": failure,
        "VolumeAnswer": _volume(share, label),
        "Predictions": _object({"model": text, "answers": {"type": "array", "items": either}}),
        "Explanation": _object(
            {
                "record": {
                    "allOf": [_ref("Prediction"), _object({"method": text, "target": text})]
                },
                "overlay_png": text | {"contentEncoding": "base64"},
                "map_npy": text
                | {
                    "contentEncoding": "base64",
                    "description": "float32, (height, width), 0 to 1; NumPy's own format.",
                },
            }
        ),
        "Problem": _object(
            {"type": text, "title": text, "status": {"type": "integer"}, "detail": text}
        ),
        "Status": _object({"status": text}),
    }
