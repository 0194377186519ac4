"""The page that a bundle gets on the hub: its card as a README with metadata.

Made of ``model.json`` and nothing else, so that the page cannot say what the model
does not. The metadata follow the hub's model-card specification
(https://huggingface.co/docs/hub/model-cards); huggingface_hub writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tumorlens.models.card import Card
from tumorlens.models.hub import require_hub
from tumorlens.untrusted import is_number, printable

__all__ = ["code", "escaped", "facts", "hub_card", "matrix", "scores_of", "table"]

_LICENCES: Final = frozenset(
    {
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "lgpl-3.0"),
        *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
        "unknown",
    }
)
"""Those that the hub knows by name, of the ones a model is likely to have."""

_METRICS: Final = {"accuracy": "accuracy", "macro_f1": "f1", "mcc": "matthews_correlation"}
"""The hub's name of a metric on a card."""

_MARKS: Final = re.compile(r"[\\`*_\[\]{}<>|#~&!$]")
"""What begins or ends something in Markdown, HTML or mathematics; a backslash takes that away."""

_LIST: Final = re.compile(r"^(\d{0,9})([-+=.)])(?!\d)")
"""What makes a list, a rule or a heading of a line that begins with it."""

_TAGS: Final = ("tumorlens", "onnx", "medical-imaging", "mri", "brain-tumor")


def hub_card(card: Card, repo: str) -> str:
    """Write the README of a model repository.

    Parameters
    ----------
    card
        The model's card.
    repo
        Where it will be, ``org/name``.

    Returns
    -------
    str
        Markdown behind a block of YAML metadata.

    Raises
    ------
    MissingExtraError
        When huggingface_hub is not installed.
    """
    hub = require_hub("writing a page for the hub")
    results = list(_results(hub, card))
    licence = card.licence.lower()
    known = licence in _LICENCES
    datasets = card.training.get("datasets")  # free form, as all of `training` and `metrics` is
    data = hub.ModelCardData(
        license=licence if known else "other",
        license_name=None if known else card.licence,
        library_name="tumorlens",
        pipeline_tag="image-classification",
        tags=[*_TAGS, card.network, card.precision],
        datasets=[_line(x) for x in datasets] if isinstance(datasets, list) else None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=card.id if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(_page(card, repo))


def _results(hub: Any, card: Card) -> Iterator[Any]:
    """Give the scores on the card as the hub's model-index wants them."""
    scores = card.metrics
    data = _line(scores.get("data", "unnamed data"))
    where = {
        "task_type": "image-classification",
        "dataset_name": f"{data} (leaks into training)" if scores.get("leaky") else data,
        "dataset_type": _line(scores.get("dataset", "brain-mri")),
        "dataset_args": {"data_sha256": _line(scores.get("data_sha256", "unknown"))},
    }
    for name, kind in _METRICS.items():
        if is_number(scores.get(name)):
            yield hub.EvalResult(
                metric_type=kind, metric_name=name, metric_value=scores[name], **where
            )
    for label, value in _recall(card).items():
        name = f"recall of {_line(label)}"
        yield hub.EvalResult(metric_type="recall", metric_name=name, metric_value=value, **where)


def _page(card: Card, repo: str) -> Iterator[str]:
    yield f"# {escaped(card.id)}\n"
    yield "**Research use only. It is not a medical device.**\n"
    for text in (card.description, card.intended_use):
        if text:
            yield f"{escaped(text)}\n"
    yield "```python"
    yield 'import tumorlens  # pip install "tumorlens[hub]"\n'
    yield f'classifier = tumorlens.load("hf://{repo}")'
    yield 'classifier.predict("slice.png").label'
    yield "```\n"
    yield from table("What it is", facts(card))
    if card.limitations:
        yield f"## How far to trust it\n\n{escaped(card.limitations)}\n"
    yield from table("How it scored", scores_of(card))
    yield from matrix(card)
    yield "## Files\n\n| file | SHA-256 |\n|---|---|"
    for name, row in card.files.items():
        yield f"| `{name}` | `{code(row.get('sha256'))}` |"
    licence = escaped(card.licence)
    yield f"\nEverything else there is to know is in `model.json`. Licence: {licence}."
    yield ""


def facts(card: Card) -> dict[str, object]:
    """Say what the network is: titles and texts for `table`."""
    training = card.training
    recipe = training.get("recipe")
    found: dict[str, object] = {
        "network": f"{card.network}, {card.precision}",
        "classes, in the order of its logits": ", ".join(card.classes),
        "input": f"{card.input.size} × {card.input.size}, prepared as {card.input.preparation}",
    }
    if isinstance(recipe, dict):
        found["trained"] = f"epoch {training.get('epoch')} of {recipe.get('epochs')}"
    if is_number(training.get("pictures")):
        found["on"] = f"{training['pictures']} pictures"
    return found


def scores_of(card: Card) -> dict[str, object]:
    """Give the scores on the card: titles and texts for `table`."""
    scores = card.metrics
    found = {name: f"{scores[name]:.4f}" for name in _METRICS if is_number(scores.get(name))}
    found |= {f"recall of {_line(label)}": f"{value:.3f}" for label, value in _recall(card).items()}
    if not found:
        return {}
    where = f"{_line(scores.get('n'))} pictures of {_line(scores.get('data'))}"
    where += ", a split that leaks" if scores.get("leaky") else ""
    return {"measured on": where, **found}


def matrix(card: Card) -> Iterator[str]:
    """Write the confusion matrix as a table, when the card has one that fits its classes."""
    rows = card.metrics.get("confusion_matrix")
    if not isinstance(rows, list) or len(rows) != len(card.classes):
        return
    if not all(isinstance(row, list) for row in rows):
        return
    yield f"| true ↓ said → | {' | '.join(map(escaped, card.classes))} |"
    yield "|---|" + "---|" * len(card.classes)
    for label, row in zip(card.classes, rows, strict=True):
        yield f"| **{escaped(label)}** | {' | '.join(map(escaped, row))} |"
    yield ""


def table(title: str, rows: dict[str, object]) -> Iterator[str]:
    """Write a section with a table of two columns, when there is anything in it."""
    if rows:
        yield f"## {title}\n\n| | |\n|---|---|"
        yield from (f"| {escaped(name)} | {escaped(value)} |" for name, value in rows.items())
        yield ""


def _recall(card: Card) -> dict[str, float]:
    recall = card.metrics.get("recall")
    if not isinstance(recall, dict):
        return {}
    return {label: value for label, value in recall.items() if is_number(value)}


def _line(value: object) -> str:
    """Write anything as one line of the metadata, which YAML's writer quotes."""
    return printable(" ".join(str(value).split()), 200)


def escaped(value: object) -> str:
    """Write anything as Markdown that shows it letter by letter, in a cell of a table too."""
    line = printable(" ".join(str(value).split()))
    return _LIST.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", line))


def code(value: object) -> str:
    """Write anything so that it stands between two backticks, in a cell of a table too."""
    return _line(value).replace("`", "'").replace("|", "/")
