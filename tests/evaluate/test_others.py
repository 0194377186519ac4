"""What a manifest excludes as no slice is learnt, refused by name, and judged by other groups."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import load
from tumorlens.data.manifest import Entry, Manifest, make_manifest, read_manifest, write_manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError, ModelError
from tumorlens.evaluate.calibrate import calibrate
from tumorlens.evaluate.others import fit_others
from tumorlens.trust.novelty import fit_other


def grid(seed: int) -> np.ndarray:
    """A head crossed by bars, as no MR slice is."""
    random = np.random.default_rng(seed)
    bars = np.zeros((96, 96), np.uint8)
    bars[8:88, 8:88] = 40
    bars[8 + seed % 5 : 88 : 6 + seed % 3, 8:88] = random.integers(190, 255)
    return bars


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn heads in fold 0, one label of them wrong, and sixteen grids that are excluded."""
    root = write_phantoms(tmp_path_factory.mktemp("heads") / "set", training=4, testing=4, size=96)
    for i in range(16):
        Image.fromarray(grid(i)).save(root / "Training" / "notumor" / f"grid-{i:02}.png")
    made = make_manifest(root, groups="none")

    def placed(i: int, entry: Entry) -> Entry:
        strange = "grid-" in entry.path
        label = "meningioma" if i in (0, 2) else entry.corrected_label
        return dataclasses.replace(
            entry,
            group=f"G{i // 2}",
            fold=1 if entry.path.endswith("grid-15.png") else 0,
            corrected_label=label,
            excluded="grid" if strange else "",
        )

    entries = tuple(placed(i, entry) for i, entry in enumerate(made.entries))
    path = root / "m.csv"
    write_manifest(Manifest(entries, made.root), path)
    return path


def test_what_is_excluded_is_learnt_and_refused_by_name(
    data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    card, _ = calibrate(
        tiny_bundle, data, tmp_path / "new", folds=[0], level=0.6, refuse=["grid"], seen=True
    )
    assert card.novelty is not None
    assert card.novelty.others == ("grid",)
    told = card.metrics["calibration"]["others"]["grid"]
    assert told["n"] == 16
    assert told["refused"]["as they are"] >= 0.9
    assert told["slices_refused"]["as they are"] <= 0.1
    model = load(tmp_path / "new", threads=1)
    answer = model.predict(grid(20))
    assert not answer.assessable
    assert "looks like grid, and only MR slices of the head can be assessed" in answer.reason
    card_file = tmp_path / "new" / "model.json"
    kinds = json.loads(card_file.read_text())
    kinds["novelty"]["others"] = ["grid", "CT"]
    (tmp_path / "other").mkdir()
    for file in (tmp_path / "new").iterdir():
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "other" / "model.json").write_text(json.dumps(kinds))
    with pytest.raises(ModelError, match="tells grid from slices and the card says CT, grid"):
        load(tmp_path / "other")
    heads = [data.parent / entry.path for entry in read_manifest(data).counted]
    assert np.mean([answer.assessable for answer in model.predict_batch(heads)]) >= 0.9


def test_folds_that_stay_closed_teach_nothing(
    data: Path, tiny_bundle: Path, tmp_path: Path, change_card: object
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in tiny_bundle.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    change_card(bundle, training={"selection": {"test_folds": [0, 1]}})  # type: ignore[operator]
    card, _ = calibrate(
        bundle, data, tmp_path / "new", folds=[0], level=0.6, refuse=["grid"], seen=True
    )
    assert card.metrics["calibration"]["others"]["grid"]["n"] == 15


def test_an_unknown_reason_names_those_there_are(
    data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"as 'CT' outside the folds .* \(it excludes: grid\)"):
        calibrate(tiny_bundle, data, tmp_path / "new", folds=[0], refuse=["CT"], seen=True)
    assert not (tmp_path / "new").exists()


def test_the_regression_is_that_of_its_features_whatever_their_scale() -> None:
    random = np.random.default_rng(0)
    slices = random.normal(0, 1, (200, 6)).astype(np.float32)
    other = random.normal([3, 0, 0, 0, 0, 0], 1, (40, 6)).astype(np.float32)
    scale = np.array([1, 10, 0.1, 5, 100, 1], np.float32)
    for factor in (np.ones(6, np.float32), scale):
        weights = fit_other(slices * factor, other * factor)
        odds = [rows * factor @ weights[:-1] + weights[-1] for rows in (slices, other)]
        assert np.mean(odds[0] > 0) < 0.1  # both sides count alike, few as the others are
        assert np.mean(odds[1] > 0) > 0.9


def test_no_group_judges_itself() -> None:
    # Every group of the kind is strange in its own way: others say nothing of it.
    random = np.random.default_rng(1)
    slices = random.normal(0, 0.1, (100, 40)).astype(np.float32)
    other = random.normal(0, 0.1, (10, 40)).astype(np.float32)
    other[np.arange(10), np.arange(10) + 20] += 3
    _, report = fit_others(
        {"as they are": slices},
        [f"S{i}" for i in range(100)],
        {"as they are": other},
        [f"O{i}" for i in range(10)],
    )
    own = fit_other(slices, other)
    assert np.mean(other @ own[:-1] + own[-1] > 0) == 1
    assert report["refused"]["as they are"] < 0.5
