"""A model, a manifest and its folds, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tumorlens.data.manifest import Manifest, make_manifest, write_manifest
from tumorlens.evaluate.evaluation import UNKNOWN, evaluate

MakeBundle = Callable[..., Path]


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    """Eight pictures in two folds; one of the second is labelled wrongly."""
    made = make_manifest(folder, groups="none")
    entries = [
        replace(entry, fold=i // 4, group=f"P{i // 2}", source="somewhere" if i % 2 else "")
        for i, entry in enumerate(made.entries)
    ]
    entries[7] = replace(entries[7], corrected_label="meningioma")
    return write_manifest(replace(made, entries=tuple(entries)), folder / "manifest.csv")


def test_a_fold_that_the_model_kept(manifest: Manifest, bundle: MakeBundle) -> None:
    model = bundle(selection={"manifest_sha256": manifest.sha256, "test_folds": [1]})
    source = manifest.root / "manifest.csv"
    found = evaluate(source, model=model, folds=[1], bootstrap=20)
    assert found.leak.leaky is False
    values = found.to_dict()
    assert values["accuracy"] == 2 / 4  # the model calls everything a meningioma
    assert values["mcc"] == 0
    assert values["per_class"]["meningioma"] | {"f1": 0} == {
        "precision": 0.5,
        "recall": 1,
        "f1": 0,
        "support": 2,
    }
    assert values["data"]["relabelled"] == 1
    assert values["data"]["manifest_sha256"] == manifest.sha256
    assert values["data"]["groups"] == 2
    assert {name: part.n for name, part in found.by_source().items()} == {
        "somewhere": 2,
        UNKNOWN: 2,
    }
    assert {name: part.right for name, part in found.by_group().items()} == {"P2": 1, "P3": 1}
    assert evaluate(source, model=model, folds=[0], bootstrap=0).leak.leaky is True


def test_a_folder_says_less(folder: Path, bundle: MakeBundle) -> None:
    found = evaluate(folder, model=bundle(), split="Training", bootstrap=0)
    assert found.leak.leaky is None
    assert found.by_group() == {}
    assert found.to_dict()["data"]["without_group"] == 4
    assert found.relabelled == 0
