"""Volumes are measured by their one class; what has none is not hidden."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tumorlens.data.folder import CLASSES
from tumorlens.evaluate.scans import Scan
from tumorlens.evaluate.volumes import score_volumes


def scan(label: str, answer: str | None, suspect: str | None = None) -> Scan:
    # Below the rule's threshold the most probable class is not the answer.
    said: Any = SimpleNamespace(label=answer, suspect=suspect, probabilities={"glioma": 0.45})
    return Scan(f"{label}/x", label, said)


def test_the_class_of_the_rule_counts_and_what_has_none_is_counted() -> None:
    scans = [scan(name, name) for name in CLASSES]
    scans += [scan("glioma", "notumor", "glioma"), scan("glioma", "notumor"), scan("notumor", None)]
    found = score_volumes(scans, CLASSES, bootstrap=50).to_dict()
    assert (found["n"], found["answered"]) == (7, 6)
    assert found["accuracy"] == 4 / 6
    assert found["accuracy_of_all"] == 4 / 7
    assert found["tumour_miss_rate"] == 2 / 5
    assert found["not_assessable"] == {"n": 1, "share": 1 / 7}
    assert found["undecided"] == {"n": 1, "share": 1 / 7, "of_missed_tumours": 1}
    assert found["bootstrap"]["units"] == 6
    assert found["per_class"]["glioma"]["recall"] == 1 / 3
    low, high = found["intervals"]["accuracy"]
    assert 0 < low < 4 / 6 < high <= 1


def test_where_no_volume_has_an_answer_nothing_is_measured() -> None:
    found = score_volumes([scan("glioma", None)], CLASSES).to_dict()
    assert found["accuracy"] is None
    assert found["accuracy_of_all"] == 0
    assert found["undefined"]["mcc"] == "no volume has a slice that counts"
