"""Comparing epochs: on the right pictures, with the right figures, interruptible."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import load
from tumorlens.data.folder import CLASSES, find_examples
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError, OutputError, RunError
from tumorlens.evaluate import epochs as epochs_module
from tumorlens.evaluate.epochs import Comparison, compare_epochs
from tumorlens.report.epochs import write_comparison
from tumorlens.train.batches import as_tensors
from tumorlens.train.fit import train
from tumorlens.train.pictures import held_out, load_pictures
from tumorlens.train.recipe import Augmentation, Recipe
from tumorlens.train.run import load_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("compared"), training=12, testing=8, size=64)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    still = Augmentation(rotation=0, shift=0, shear=0, zoom=0, flip=False, brightness=(1.0, 1.0))
    return Recipe(
        network="tiny",
        size=32,
        epochs=3,
        batch=8,
        learning_rate=5e-3,
        validation=0.5,
        validate_on="testing",
        augmentation=still,
    )


@pytest.fixture(scope="module")
def run(data: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe, data, tmp_path_factory.mktemp("runs") / "run")


def test_the_other_half_of_the_testing_pictures_compares(
    run: Path, recipe: Recipe, data: Path
) -> None:
    found = compare_epochs(run)
    assert found.pictures == "16 test pictures that did not validate"
    assert found.leaky  # nothing is known of who is in a folder
    rest, watched = held_out(
        [e for e in find_examples(data) if e.split == "Testing"], 0.5, recipe.seed
    )
    assert len(rest) == len(watched) == 16
    pictures = load_pictures(rest, recipe.size)
    for row in found.epochs:
        model = load_run(run, row["epoch"])[1]
        logits = model.predict(as_tensors(pictures.pixels, "tiny"), verbose=0).astype(np.float64)
        share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        right = share[np.arange(16), pictures.labels]
        assert row["plain"]["accuracy"] == (logits.argmax(axis=1) == pictures.labels).mean()
        assert row["plain"]["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
        # This recipe varies nothing, so that both ways must agree.
        assert row["varied"] == pytest.approx(row["plain"], rel=1e-3)
        assert row["validation"].keys() == {"accuracy", "loss", "precision", "recall"}


def test_varied_pictures_are_harder_and_always_the_same(
    recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    moving = dataclasses.replace(recipe, augmentation=Augmentation(rotation=90, shift=0.4))
    run = train(moving, data, tmp_path / "run")
    first = compare_epochs(run)
    assert all(row["varied"]["loss"] != row["plain"]["loss"] for row in first.epochs)
    (run / "comparison.json").unlink()
    assert compare_epochs(run) == first


def test_a_run_that_held_out_training_pictures_leaves_testing_closed(
    tiny_run: Path, tiny_recipe: Recipe
) -> None:
    run = shutil.copytree(tiny_run, tiny_run.parent / "compared")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    for epoch in (1, 2):
        name = f"epoch_{epoch:03d}.weights.h5"
        shutil.copy(tiny_run / "checkpoints" / name, run / "checkpoints" / name)
    found = compare_epochs(run)
    assert found.pictures == "32 pictures held out of training, which also validated"
    assert [row["epoch"] for row in found.epochs] == [1, 2]
    for row in found.epochs:
        assert row["plain"]["accuracy"] == pytest.approx(row["validation"]["accuracy"], abs=1e-5)
        assert row["plain"]["loss"] == pytest.approx(row["validation"]["loss"], rel=1e-3)
    assert tiny_recipe.validation == 0.2


def test_an_interrupted_comparison_goes_on(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(run, tmp_path / "run")
    (run / "comparison.json").unlink(missing_ok=True)
    loaded: list[str] = []
    whole = epochs_module.load_checkpoint

    def watch(model: Any, path: Path) -> None:
        loaded.append(path.name)
        whole(model, path)

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        assert (stage, total) == ("comparing", 48)
        if note == "epoch 2":
            assert done == 32
            raise KeyboardInterrupt

    monkeypatch.setattr(epochs_module, "load_checkpoint", watch)
    with pytest.raises(KeyboardInterrupt):
        compare_epochs(run, progress=stop)
    assert len(loaded) == 2
    found = compare_epochs(run)
    assert loaded[2:] == ["epoch_002.weights.h5", "epoch_003.weights.h5"]
    assert compare_epochs(run) == found
    assert len(loaded) == 4
    (run / "comparison.json").write_text("[1, 2")  # only ever saves time
    assert compare_epochs(run) == found


def test_another_data_set_compares_too(run: Path, tmp_path: Path) -> None:
    other = write_phantoms(tmp_path / "other", training=3, testing=1, size=56)
    found = compare_epochs(run, external=find_examples(other / "Training"))
    assert found.pictures == "12 external pictures"
    assert not found.leaky
    assert set(found.best) == {"best-loss", "best-validation", "best-external"}


def test_the_best_epochs_are_the_best() -> None:
    def row(epoch: int, validation: tuple[float, float], varied: tuple[float, float]) -> Any:
        return {
            "epoch": epoch,
            "validation": {"accuracy": validation[0], "loss": validation[1]},
            "varied": {"mcc": varied[0], "loss": varied[1]},
        }

    rows = [
        row(1, (0.9, 0.3), (0.7, 0.50)),
        row(2, (0.9, 0.2), (0.8, 0.40)),
        row(3, (0.8, 0.1), (0.8, 0.30)),
        row(4, (0.7, 0.1), (0.6, 0.30)),
    ]
    assert epochs_module._best(rows, "best-comparison") == {
        "best-loss": 3,
        "best-validation": 2,
        "best-comparison": 3,
    }


def test_table_figure_and_bundles_are_written_whole(run: Path, data: Path, tmp_path: Path) -> None:
    found = compare_epochs(run)
    out = write_comparison(found, run, tmp_path / "out")
    names = {"epochs.csv", "epochs.json", "epochs.png", "index.html", *found.best}
    assert {path.name for path in out.iterdir()} == names
    with (out / "epochs.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert float(table[2]["plain_mcc"]) == pytest.approx(found.epochs[2]["plain"]["mcc"], rel=1e-5)
    assert {"training_loss", "validation_precision", "varied_accuracy"} <= set(table[0])
    assert json.loads((out / "epochs.json").read_text())["best"] == found.best
    with Image.open(out / "epochs.png") as figure:
        assert figure.width > 1000
    rest, _ = held_out([e for e in find_examples(data) if e.split == "Testing"], 0.5, 0)
    for name, epoch in found.best.items():
        bundle = load(out / name)
        assert bundle.card.training["epoch"] == epoch
        answers = list(bundle.predict_batch([example.path for example in rest]))
        right = np.mean([a.label == e.label for a, e in zip(answers, rest, strict=True)])
        assert right == pytest.approx(found.epochs[epoch - 1]["plain"]["accuracy"], abs=0.13)
    with pytest.raises(OutputError, match="exists and is not empty"):
        write_comparison(found, run, out)


def test_a_comparison_knows_its_classes() -> None:
    labels = np.array([0, 0, 1, 3])
    sure = np.eye(len(CLASSES))[[0, 1, 1, 3]] * 0.9 + 0.025
    scores = epochs_module._scores(labels, sure)
    assert scores["accuracy"] == 0.75
    assert scores["precision"] == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert scores["recall"] == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert scores["loss"] == pytest.approx(-(3 * np.log(0.925) + np.log(0.025)) / 4)


def test_a_run_with_nothing_to_compare_says_so(
    run: Path, recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    fresh = shutil.copytree(run, tmp_path / "fresh")
    (fresh / "log.csv").unlink()
    with pytest.raises(RunError, match="no finished epoch to compare"):
        compare_epochs(fresh)
    with pytest.raises(RunError, match="is no run folder"):
        compare_epochs(tmp_path)
    blind = dataclasses.replace(recipe, epochs=1, validation=0.0, validate_on="training")
    unwatched = train(blind, data, tmp_path / "unwatched")
    with pytest.raises(DataError, match="held no pictures out"):
        compare_epochs(unwatched)
    assert isinstance(compare_epochs(run), Comparison)
