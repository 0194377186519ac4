"""A model's card as a page of text."""

from __future__ import annotations

import textwrap
from typing import Any

from tumorlens.data.folder import class_name
from tumorlens.models.card import Card
from tumorlens.models.store import DEFAULT_MODEL, bundled_models
from tumorlens.untrusted import is_number, printable
from tumorlens.versions import versions_of

__all__ = ["accuracy", "describe", "facts"]

_SENTENCES = ("what it is", "limits", "use", "licence")


def facts(card: Card) -> list[tuple[str, str]]:
    """List what a person should know of a model before using it: titles and texts."""
    found = [
        ("model", f"{card.id} ({card.network}, {card.precision})"),
        ("classes", ", ".join(map(class_name, card.classes))),
        ("input", f"{card.input.size} × {card.input.size}, {card.input.preparation}"),
    ]
    training = card.training
    if isinstance(training.get("recipe"), dict):
        epochs = training["recipe"].get("epochs")
        found.append(("trained", f"epoch {training.get('epoch')} of {epochs}"))
    if scored := accuracy(card):
        recall = card.metrics["recall"].items()
        found.append(("accuracy", scored.removeprefix("accuracy ")))
        found.append(
            ("recall", ", ".join(f"{class_name(name)} {value:.3f}" for name, value in recall))
        )
    found += [
        ("what it is", card.description),
        ("limits", card.limitations),
        ("use", card.intended_use),
        ("licence", card.licence),
    ]
    packages = ("tumorlens", "onnxruntime", "numpy", "pillow")
    found += [
        ("versions", ", ".join(map(" ".join, versions_of(packages).items()))),
        ("models", ", ".join(_marked(name) for name in bundled_models())),
    ]
    return [(title, printable(text)) for title, text in found if text]


def describe(card: Card) -> str:
    """Write down what a person should know of a model before using it."""
    lines: list[str] = []
    for title, text in facts(card):
        indent = " " * 15
        wide = 96 if title in _SENTENCES else 10_000
        lines += textwrap.wrap(text, wide, initial_indent=f"{title:<15}", subsequent_indent=indent)
    return "\n".join(lines)


def accuracy(card: Card) -> str:
    """Say in a line how a model scored; nothing when its card does not say it as ours do."""
    scores = card.metrics  # free form: a model from elsewhere may say other things
    if not _are_scores(scores):
        return ""
    where = f"{scores['n']} pictures of {printable(scores.get('data'), 200)}"
    where += ", a split that leaks" if scores.get("leaky") else ""
    return f"accuracy {scores['accuracy']:.4f} on {where}"


def _marked(name: str) -> str:
    return f"{name} (the default)" if name == DEFAULT_MODEL else name


def _are_scores(scores: dict[str, Any]) -> bool:
    """Say whether these are the scores that `tumorlens export` writes."""
    recall = scores.get("recall")
    numbers = [scores.get("n"), scores.get("accuracy")]
    numbers += recall.values() if isinstance(recall, dict) else [None]
    return all(map(is_number, numbers))
