"""From cases to tables: means over all, by class and by tumour size, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from tumorlens.evaluate.faithful import area
from tumorlens.evaluate.localise import CENTRE, CHANCE, Case, Hidden, Localisation
from tumorlens.evaluate.map_measures import FIXED, THRESHOLDS, group_intervals

__all__ = ["quartiles", "summarise"]

_NO_TUMOUR: Final = "notumor"
_ELSEWHERE: Final = 0.1  # of the picture's longer side: farther from the outline is elsewhere


def summarise(found: Localisation) -> dict[str, Any]:
    """Give everything that was measured, as JSON holds it.

    Parameters
    ----------
    found
        The cases.

    Returns
    -------
    dict
        ``methods``: for each method, chance and the prior the means over all pictures,
        by class and by quartile of tumour size; ``hidden``: what the answers became when
        tumours were painted over.
    """
    names = [*found.methods, CHANCE, CENTRE]
    best = {name: _best_threshold(found.cases, name) for name in names}
    parts = {"all": list(found.cases), **_by_class(found.cases), **quartiles(found.cases)}
    return {
        "model": found.model,
        "layer": found.layer,
        "n": len(found.cases),
        "groups": len({case.group for case in found.cases if case.group}),
        "right": float(np.mean([case.answer == case.label for case in found.cases])),
        "fixed_threshold": THRESHOLDS[FIXED],
        "tumour_share": {name: _range(cases) for name, cases in parts.items()},
        "methods": {
            name: {
                "best_threshold": THRESHOLDS[best[name]],
                **{part: _means(cases, name, best[name]) for part, cases in parts.items()},
            }
            for name in names
        },
        "hidden": {
            part: _hidden(cases)
            for part, cases in {"all": found.cases, **_by_class(found.cases)}.items()
        },
        "skipped": found.skipped,
    }


def quartiles(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """Sort pictures into four by the size of the tumour, smallest first."""
    edges = np.percentile([case.size for case in cases], (25, 50, 75))
    sorted_in: dict[str, list[Case]] = {f"size quartile {i}": [] for i in range(1, 5)}
    for case in cases:
        which = int(np.searchsorted(edges, case.size, side="left"))
        sorted_in[f"size quartile {which + 1}"].append(case)
    return {name: some for name, some in sorted_in.items() if some}


def _by_class(cases: Sequence[Case]) -> dict[str, list[Case]]:
    labels = sorted({case.label for case in cases})
    return {label: [case for case in cases if case.label == label] for label in labels}


def _range(cases: Sequence[Case]) -> list[float]:
    sizes = [case.size for case in cases]
    return [min(sizes), float(np.median(sizes)), max(sizes)]


def _best_threshold(cases: Sequence[Case], name: str) -> int:
    """Choose the one threshold that does best on all these pictures: an upper bound."""
    return int(np.mean([case.scores[name].iou for case in cases], axis=0).argmax())


def _means(cases: Sequence[Case], name: str, best: int) -> dict[str, Any]:
    scores = [case.scores[name] for case in cases]
    values: dict[str, list[float]] = {
        "pointing": [s.pointing for s in scores],
        "mass": [s.mass for s in scores],
        "iou_fixed": [s.iou[FIXED] for s in scores],
        "iou_best": [s.iou[best] for s in scores],
    }
    if scores[0].deletion:
        values["deletion"] = [area(np.array(s.deletion, np.float32)) for s in scores]
        values["insertion"] = [area(np.array(s.insertion, np.float32)) for s in scores]
    groups = [case.group for case in cases]
    return {
        "n": len(cases),
        "flat": float(np.mean([s.flat for s in scores])),
        **{key: float(np.mean(some)) for key, some in values.items()},
        "intervals": {key: [*ends] for key, ends in group_intervals(values, groups).items()},
    }


def _hidden(cases: Sequence[Case]) -> dict[str, Any]:
    """Say what became of the right answers."""
    right = [case for case in cases if case.answer == case.label]
    parts: dict[str, Callable[[Case], Hidden | None]] = {
        "tumour": lambda case: case.tumour_hidden,
        "control": lambda case: case.control_hidden,
    }
    result: dict[str, Any] = {"right": len(right)}
    for name, part in parts.items():
        pairs = [(case, hidden) for case in right if (hidden := part(case)) is not None]
        if not pairs:
            continue
        stayed = [float(hidden.label == case.label) for case, hidden in pairs]
        far = [
            float(s and (h.away or 0) > _ELSEWHERE) for s, (_, h) in zip(stayed, pairs, strict=True)
        ]
        ends = group_intervals(
            {"stayed": stayed, "elsewhere": far}, [case.group for case, _ in pairs]
        )
        result[name] = {
            "n": len(pairs),
            "stayed": float(np.mean(stayed)),
            "interval": [*ends["stayed"]],
            "called_no_tumour": float(np.mean([h.label == _NO_TUMOUR for _, h in pairs])),
            "probability_lost": float(np.mean([c.probability - h.probability for c, h in pairs])),
        }
        if name == "tumour":
            # That the class stays is no shortcut by itself: oedema and shift are left around an
            # outline. That its evidence is far from the tumour is one.
            result[name]["elsewhere"] = float(np.mean(far))
            result[name]["elsewhere_interval"] = [*ends["elsewhere"]]
    return result
