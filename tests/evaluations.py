"""A network whose answers are known, and labelled sets of drawn pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.manifest import Entry, Manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.evaluate.cases import Case, LabelledSet
from tumorlens.evaluate.evaluation import Evaluation
from tumorlens.evaluate.leak import Leak
from tumorlens.evaluate.metrics import summarise
from tumorlens.evaluate.run import Answers
from tumorlens.models.store import open_bundle

MakeBundle = Callable[..., Path]


@pytest.fixture
def bundle(spot_bundle: MakeBundle, change_card: Callable[..., None]) -> MakeBundle:
    """Makes bundles that call every picture a meningioma, with a card that says so much."""

    def make(**training: Any) -> Path:
        made = spot_bundle((1.0, 3.0, 0.5, 0.0))
        change_card(made, classes=CLASSES, training=training)
        return made

    return make


@pytest.fixture
def classifier_of_one_answer(bundle: MakeBundle) -> Classifier:
    return load(bundle(), threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four drawn pictures for training and four for testing."""
    return write_phantoms(tmp_path / "set", training=1, testing=1, size=64)


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """Makes rows of a manifest, each of a picture of its own."""

    def make(path: str, label: str = "glioma", **fields: Any) -> Entry:
        values: dict[str, Any] = {
            "sha256": f"{abs(hash(path)):064x}"[-64:],
            "pixel_sha256": f"{abs(hash((path, 1))):064x}"[-64:],
            "corrected_label": label,
            "width": 64,
            "height": 64,
            "mode": "L",
            "format": "PNG",
            "bytes": 100,
            **fields,
        }
        return Entry(path=path, label=label, **values)

    return make


@pytest.fixture
def labelled() -> Callable[..., LabelledSet]:
    """Makes sets that come from a manifest, or from a folder when no entries are given."""

    def make(
        *entries: Entry, chosen: tuple[Entry, ...] | None = None, external: bool = False
    ) -> LabelledSet:
        manifest = Manifest(entries, Path("data")) if entries else None
        return LabelledSet(
            "set", Path("data"), (), {}, external, manifest, entries if chosen is None else chosen
        )

    return make


@pytest.fixture
def evaluation(tmp_path: Path) -> Callable[..., Evaluation]:
    """Makes results without a model: pictures drawn, answers made up."""

    def make(
        n: int = 24,
        *,
        groups: bool = True,
        leaky: bool | None = None,
        name: str = "p{}.png",
        perfect: bool = False,
        kinds: int = 4,
        bootstrap: int = 50,
    ) -> Evaluation:
        random = np.random.default_rng(n)
        labels = np.arange(n) % kinds
        logits = random.normal(size=(n, 4)).astype(np.float32)
        logits[np.arange(n), labels] += 20 if perfect else 1
        rows = np.exp(logits.astype(float))
        rows /= rows.sum(axis=1, keepdims=True)
        names = [name.format(i) for i in range(n)]
        answers = Answers(
            classes=CLASSES,
            names=names,
            groups=[f"G{i // 3}" if groups else "" for i in range(n)],
            sources=["one", "two & <three>"] * (n // 2) + ["one"] * (n % 2),
            labels=labels,
            logits=logits,
            probabilities=rows,
            sets=rows > 0.1,
            assessable=np.arange(n) > 0,
            unreadable=(("bad <b>.png", "plain text; give a picture"),),
            sha256="0" * 64,
            public={},
        )
        data = LabelledSet(
            "my <set>",
            tmp_path,
            tuple(Case(x, CLASSES[c]) for x, c in zip(names, labels, strict=True)),
            {"kind": "folder", "folds": None, "split": None},
        )
        summary = summarise(
            labels, rows, classes=CLASSES, groups=answers.groups, bootstrap=bootstrap
        )
        return Evaluation.of(
            open_bundle("mobilenetv2-official").card, data, answers, summary, Leak(leaky, "Why."), 0
        )

    return make
