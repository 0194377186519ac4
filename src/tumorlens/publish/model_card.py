"""The model card: what a model is for, on what it was made and measured, and where it fails.

Made of ``model.json`` and of what `tumorlens evaluate` (``metrics.json``) and `tumorlens
localise` (``localisation.json``) wrote, and of nothing else, so that it cannot say what no
run found. After M. Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), with the
items of A. S. Tejani et al., "Checklist for Artificial Intelligence in Medical Imaging
(CLAIM): 2024 Update" (Radiology: AI 6(4), 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tumorlens.models.card import Card
from tumorlens.publish.hub_card import code, escaped, facts, matrix, scores_of, table
from tumorlens.untrusted import printable

__all__ = ["SECTIONS", "model_card"]

SECTIONS: Final = (
    "What it is",
    "Intended use",
    "Out of scope",
    "Data and groups",
    "Protocol",
    "Results",
    "Calibration",
    "Where it fails",
    "CLAIM checklist",
    "Files",
)
"""Titles of the sections, in order; each is always there."""

_FIGURES: Final = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mcc": "MCC",
    "auc.macro": "AUC, macro",
    "tumour_miss_rate": "tumours called no tumour",
    "ece": "calibration error (ECE)",
    "brier": "Brier score (0 to 2)",
}
_PAINTED: Final = {
    "tumour": "the tumour is painted over",
    "control": "a patch elsewhere is",
}
_UNKNOWN: Final = "not known"

Metrics = Mapping[str, Any]


def model_card(
    card: Card, evaluations: Sequence[Metrics] = (), localisations: Sequence[Metrics] = ()
) -> str:
    """Write the model card.

    Parameters
    ----------
    card
        Of the model.
    evaluations
        What ``metrics.json`` holds, for each evaluation of this model.
    localisations
        What ``localisation.json`` holds, for each time its maps were held against
        outlined tumours.

    Returns
    -------
    str
        Markdown with all of `SECTIONS`.

    Raises
    ------
    ValueError
        When an evaluation is of another model.
    """
    measured = [found.get("model", {}).get("id") for found in evaluations]
    measured += [found.get("model") for found in localisations]
    for other in measured:
        if other != card.id:
            raise ValueError(f"an evaluation is of {printable(other)}, not of {card.id}")
    parts = (
        table(SECTIONS[0], facts(card)),
        _section(1, [escaped(card.intended_use or _UNKNOWN)]),
        _section(2, _out_of_scope()),
        _section(3, _data(card, evaluations)),
        _section(4, _protocol(card)),
        _section(5, [*_results(card, evaluations), *_evidence(localisations)]),
        _section(6, _calibration(card)),
        _section(7, _failures(card, evaluations)),
        _section(8, _claim(card, evaluations)),
        _section(9, _files(card)),
    )
    head = [
        f"# Model card: {escaped(card.id)}\n",
        "**Research use only. It is not a medical device.**\n",
    ]
    if card.description:
        head.append(f"{escaped(card.description)}\n")
    return "\n".join([*head, *(text for part in parts for text in part)]).rstrip() + "\n"


def _section(number: int, lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    yield f"## {SECTIONS[number]}\n"
    yield from lines
    yield ""


def _out_of_scope() -> Iterator[str]:
    yield "- Any decision about a patient."
    yield "- Whole volumes, other organs, CT, photographs of a screen, pictures with marks on them."
    yield "- Other diseases: it has one answer for whatever is no glioma, meningioma or pituitary"
    yield "  tumour, and a bleed or an infarct is none of its classes."
    yield "- Outlining a tumour, or grading it. A heat map shows what an answer rests on."


def _data(card: Card, evaluations: Sequence[Metrics]) -> Iterator[str]:
    training = card.training
    datasets = training.get("datasets")
    names = ", ".join(map(escaped, datasets)) if isinstance(datasets, list) else _UNKNOWN
    yield f"- Trained on: {names}; {_count(training.get('pictures'))} pictures, SHA-256 of them"
    yield f"  `{code(training.get('data_sha256', _UNKNOWN))}`."
    for found in evaluations:
        data = found["data"]
        yield f"- Measured on: {escaped(data['name'])}, {_count(found['n'])} pictures of"
        yield f"  {_count(data['groups'])} groups (patients or clusters of look-alikes),"
        yield f"  {_count(data['without_group'])} without a group, folds {_folds(data)}, SHA-256"
        yield f"  `{code(data['files_sha256'])}`."
    if not evaluations:
        yield f"- Measured on: {escaped(card.metrics.get('data', _UNKNOWN))}."


def _protocol(card: Card) -> Iterator[str]:
    training = card.training
    apart = {True: "no, patients may be on both sides", False: "yes", None: _UNKNOWN}
    recipe = training.get("recipe")
    selection = training.get("selection")
    kept = selection.get("test_folds") if isinstance(selection, dict) else None
    yield f"- Patients kept apart between training and testing: {apart[_flag(training)]}."
    yield f"- Folds kept for testing: {escaped(kept) if kept else _UNKNOWN}."
    if isinstance(recipe, dict):
        plain = {k: v for k, v in recipe.items() if not isinstance(v, dict)}
        for part in recipe.values():
            plain |= part if isinstance(part, dict) else {}
        yield f"- Recipe: {_listed(plain)}."
    members = training.get("members")
    if isinstance(members, list):
        told = [f"({_listed(row)})" for row in members if isinstance(row, dict)]
        yield f"- The mean of {len(told)} networks, the first of that recipe: {', '.join(told)}."
    versions = training.get("versions")
    if isinstance(versions, dict):
        yield f"- Made with {_listed(versions)}."


def _listed(values: Mapping[str, Any]) -> str:
    """Give names and values in a row; of a hash what tells it from others."""
    short = {k: str(v)[:12] if k.endswith("sha256") else v for k, v in values.items()}
    return ", ".join(f"{escaped(k)} {escaped(v)}" for k, v in short.items())


def _results(card: Card, evaluations: Sequence[Metrics]) -> Iterator[str]:
    for found in evaluations:
        yield from _evaluation(found)
    if evaluations:
        return
    scores = scores_of(card)
    yield "No evaluation with intervals was given; this is what its card says."
    yield ""
    if scores:
        yield "| | |\n|---|---|"
        yield from (f"| {escaped(name)} | {escaped(value)} |" for name, value in scores.items())
        yield ""
        yield from matrix(card)


def _evaluation(found: Metrics) -> Iterator[str]:
    data = found["data"]
    banner = {True: "**Leaky.**", False: "Unseen patients.", None: "Not known whether it leaks."}
    yield f"### {escaped(data['name'])}, folds {_folds(data)}\n"
    yield f"{banner[data['leaky']]} {escaped(data['leaky_reason'])}\n"
    yield "| figure | value | 95 %, over groups |\n|---|---|---|"
    for name, title in _FIGURES.items():
        yield f"| {title} | {_number(_at(found, name))} | {_ends(_at(found['intervals'], name))} |"
    for label in found["classes"]:
        row = found["per_class"][label]
        ends = _at(found["intervals"], f"recall.{label}")
        title = f"recall of {escaped(label)} ({row['support']})"
        yield f"| {title} | {_number(row['recall'])} | {_ends(ends)} |"
    sets, accepted = found.get("prediction_sets", {}), found.get("accepted", {})
    for title, row in (("all", sets), *sets.get("per_class", {}).items()):
        ends = _ends(row.get("intervals", {}).get("coverage"))
        yield f"| coverage of sets, {escaped(title)} | {_number(row.get('coverage'))} | {ends} |"
    yield f"| mean size of sets | {_number(sets.get('mean_size'))} | |"
    yield f"| assessable | {_number(accepted.get('share'))} | {_ends(accepted.get('interval'))} |"
    yield ""


def _evidence(localisations: Sequence[Metrics]) -> Iterator[str]:
    for found in localisations:
        yield "### Where the evidence lies\n"
        yield f"{_count(found['n'])} outlined tumour slices of {_count(found['groups'])} groups,"
        yield f"maps of the layer {escaped(found['layer'])}.\n"
        yield "| map | peak in the outline | 95 %, over groups | mass in it | best IoU |"
        yield "|---|---|---|---|---|"
        for name, parts in found["methods"].items():
            row = parts["all"]
            cells = (_number(row["pointing"]), _ends(row["intervals"]["pointing"]))
            more = (_number(row["mass"]), _number(row["iou_best"]))
            yield f"| {escaped(name)} | {' | '.join((*cells, *more))} |"
        yield ""
        yield "| right answers that stay when | share | 95 %, over groups | called no tumour |"
        yield "|---|---|---|---|"
        for part, title in _PAINTED.items():
            for kind, rows in found["hidden"].items():
                row = rows.get(part)
                if row is not None:
                    cells = (_number(row["stayed"]), _ends(row["interval"]))
                    lost = _number(row["called_no_tumour"])
                    name = f"{title}, {escaped(kind)} ({row['n']})"
                    yield f"| {name} | {' | '.join(cells)} | {lost} |"
        yield ""


def _calibration(card: Card) -> Iterator[str]:
    found = card.metrics.get("calibration")
    if not isinstance(found, dict):
        yield "Not calibrated: its probabilities and prediction sets promise nothing, and only"
        yield "blank, tiny and strip-like pictures are refused."
        return
    leaky = {True: "seen in training", False: "not seen in training", None: "perhaps seen"}
    yield f"On {_count(found['n'])} slices of {_count(found['groups'])} groups,"
    yield f"{leaky[found['leaky']]}; each slice judged without its own group.\n"
    yield f"- Temperature {card.temperature:.3f}; calibration error {_number(found['ece_before'])}"
    yield f"  before, {_number(found['ece_after'])} after."
    yield f"- Assessable: {_number(found['accepted'])} of these slices.\n"
    yield "| class | slices | groups | lowest probability | coverage | promised to new patients |"
    yield "|---|---|---|---|---|---|"
    for label, row in found["per_class"].items():
        numbers = (row["slices"], row["groups"])
        shares = (row["lowest"], row["coverage"], row["promised"])
        cells = (*map(str, numbers), *map(_number, shares))
        yield f"| {escaped(label)} | {' | '.join(cells)} |"


def _failures(card: Card, evaluations: Sequence[Metrics]) -> Iterator[str]:
    yield escaped(card.limitations or _UNKNOWN)
    for found in evaluations:
        worst = min(found["classes"], key=lambda name: found["per_class"][name]["recall"] or 0)
        yield f"\nOn {escaped(found['data']['name'])}: weakest on {escaped(worst)}, recall"
        yield f"{_number(found['per_class'][worst]['recall'])}; of tumours"
        yield f"{_number(found['tumour_miss_rate'])} are called no tumour."
        for name, part in found.get("by_source", {}).items():
            yield f"- {escaped(name)}: accuracy {_number(part['accuracy'])} of {_count(part['n'])}."


def _claim(card: Card, evaluations: Sequence[Metrics]) -> Iterator[str]:
    measured = "Results" if evaluations else "only what the card says; no interval was computed"
    external = any(found["data"].get("kind") == "external" for found in evaluations)
    protocol = "Protocol"
    rows = (
        ("data sources", "Data and groups"),
        ("inclusion and exclusion", "not known: public collections, as they are"),
        ("preprocessing", f"docs/preparation.md, `{card.input.preparation}`"),
        ("de-identification", "by those who published the data"),
        ("reference standard", "labels of the sources, four put right; docs/data.md"),
        ("partitions, and the level at which they are apart", protocol),
        ("model and software", "What it is; Protocol"),
        ("starting weights, training, choice of the model", protocol),
        ("metrics and their uncertainty", measured),
        ("explanations", "docs/explanations.md"),
        ("external data", "Results" if external else "none"),
        ("demographics", "not known for these collections"),
        ("performance with its precision", measured),
        ("failure analysis", "Where it fails"),
        ("limitations", "Where it fails; Out of scope"),
        ("code and model", "Apache-2.0, this repository; Files"),
    )
    yield "Items of the CLAIM checklist (2024) that apply to a model, and where each is answered.\n"
    yield "| item | where |\n|---|---|"
    yield from (f"| {what} | {where} |" for what, where in rows)


def _files(card: Card) -> Iterator[str]:
    yield "| file | SHA-256 |\n|---|---|"
    for name, row in card.files.items():
        yield f"| `{name}` | `{code(row.get('sha256'))}` |"
    yield f"\nLicence: {escaped(card.licence)}."


def _at(tree: Any, name: str) -> Any:
    """Look up ``a.b`` in nested tables."""
    for key in name.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _flag(training: Mapping[str, Any]) -> bool | None:
    leaky = training.get("leaky")
    return leaky if isinstance(leaky, bool) else None


def _folds(data: Mapping[str, Any]) -> str:
    return ", ".join(map(escaped, data.get("folds") or ())) or "all"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else _UNKNOWN


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "–"


def _ends(ends: Any) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if isinstance(ends, list | tuple) else "–"
