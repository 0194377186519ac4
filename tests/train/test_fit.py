"""The training loop: it learns, and an interruption changes nothing."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tumorlens.data.folder import CLASSES, find_examples
from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.outlines import find_masked
from tumorlens.data.phantom import draw_phantom, write_phantoms
from tumorlens.errors import DataError, ModelError, OutputError, RunError
from tumorlens.networks import network
from tumorlens.networks.geometry import cell_grid
from tumorlens.networks.network import evidence_output
from tumorlens.networks.weights import load_weights, read_weights
from tumorlens.train.batches import as_tensors
from tumorlens.train.events import EventLog
from tumorlens.train.fit import train
from tumorlens.train.pictures import load_pictures
from tumorlens.train.recipe import Appearance, Augmentation, Outlines, Recipe
from tumorlens.train.run import load_run, read_log


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def timeless(run: Path) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in rows(run)]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("few"), training=6, testing=1, size=48)


@pytest.fixture(scope="module")
def quick() -> Recipe:
    """As little training as there is."""
    return Recipe(network="tiny", size=32, epochs=3, batch=8, learning_rate=1e-2, validation=0.2)


def test_a_loss_that_is_no_number_stops_in_its_epoch(few: Path, tmp_path: Path) -> None:
    wild = Recipe(
        network="tiny", size=32, epochs=3, batch=8, learning_rate=1e30, schedule="constant"
    )
    with pytest.raises(RunError, match=r"no number in epoch [12], so training stopped; .*good"):
        train(wild, few, tmp_path / "run")
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    assert not list((tmp_path / "run" / "checkpoints").glob("writing_*"))
    for epoch in range(len(read_log(tmp_path / "run"))):
        _, model = load_run(tmp_path / "run", epoch + 1)
        assert all(np.isfinite(weights).all() for weights in model.get_weights())


@pytest.mark.skipif(not importlib.util.find_spec("resource"), reason="no limits on this system")
@pytest.mark.parametrize("most", [8_000, 60_000, 300_000])
def test_a_disk_that_fills_up_is_a_sentence(
    most: int, quick: Recipe, few: Path, tmp_path: Path
) -> None:
    resource = importlib.import_module("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        with pytest.raises(OutputError, match="make room, and the same command goes on"):
            train(quick, few, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    train(dataclasses.replace(quick), few, tmp_path / "run")
    assert len(rows(tmp_path / "run")) == quick.epochs


def test_it_learns(tiny_run: Path, tiny_model: Any, phantom_data: Path) -> None:
    log = timeless(tiny_run)
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]
    assert log[-1]["val_accuracy"] > 0.8
    pictures = load_pictures(find_examples(phantom_data / "Testing"), 64)
    guesses = tiny_model.predict(as_tensors(pictures.pixels, "tiny"), verbose=0).argmax(axis=1)
    assert (guesses == pictures.labels).mean() > 0.8


def test_the_log_is_read_by_part(tiny_run: Path, tmp_path: Path) -> None:
    log = read_log(tiny_run)
    assert [row["epoch"] for row in log] == list(range(1, 21))
    for row, written in zip(log, timeless(tiny_run), strict=True):
        assert row["training"].keys() == {"accuracy", "loss", "precision", "recall"}
        assert row["validation"]["loss"] == written["val_loss"]
    assert read_log(tmp_path) == []


def test_a_run_folder_holds_what_is_promised(
    tiny_run: Path, tiny_recipe: Recipe, tiny_model: Any, phantom_data: Path
) -> None:
    assert {p.name for p in tiny_run.iterdir()} == {
        "recipe.json",
        "run.json",
        "log.csv",
        "tensorboard",
        "checkpoints",
        "weights.safetensors",
    }
    assert Recipe.from_dict(json.loads((tiny_run / "recipe.json").read_text())) == tiny_recipe
    note = json.loads((tiny_run / "run.json").read_text())
    training = find_examples(phantom_data / "Training")
    assert note["data"] == str(phantom_data)
    assert note["data_sha256"] == load_pictures(training, 32).sha256
    assert note["pictures"] == len(training) == 160
    assert note["unreadable"] == []
    assert note["classes"] == list(CLASSES)
    assert {"python", "tumorlens", "keras", "numpy", "pillow"} <= set(note["versions"])
    assert [int(row["epoch"]) for row in rows(tiny_run)] == list(range(1, 21))
    assert len(list((tiny_run / "checkpoints").iterdir())) == 20
    again = network.build_network("tiny", size=64)
    load_weights(again, read_weights(tiny_run / "weights.safetensors"))
    for one, other in zip(again.get_weights(), tiny_model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2**-10, atol=1e-7)


def test_a_finished_run_is_finished(
    tiny_run: Path, tiny_recipe: Recipe, phantom_data: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "weights.safetensors").unlink()  # stopped between the last epoch and the end
    assert train(tiny_recipe, phantom_data, run) == run
    assert (run / "log.csv").read_bytes() == (tiny_run / "log.csv").read_bytes()
    weights = [(r / "weights.safetensors").read_bytes() for r in (run, tiny_run)]
    assert weights[0] == weights[1]


def test_an_interruption_changes_nothing(
    few: Path, quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataclasses.replace(network.NETWORKS["tiny"], dropout=(0.5,))  # its masks, too
    monkeypatch.setitem(network.NETWORKS, "tiny", spec)
    recipe = dataclasses.replace(quick, batch=4)
    assert recipe.schedule == "cosine"  # the step size depends on how far the run is
    train(recipe, few, tmp_path / "unbroken")

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        assert (stage, total) in {("reading", 24), ("training", 15)}
        if stage == "training" and done == 8:  # of 15: in the middle of the second epoch
            assert note.startswith("epoch 2/3")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, few, tmp_path / "broken", progress=stop)
    assert len(rows(tmp_path / "broken")) == 1
    assert not (tmp_path / "broken" / "weights.safetensors").exists()
    assert load_run(tmp_path / "broken")[0] == recipe

    seen: list[int] = []

    def watch(stage: str, done: int, total: int, note: str = "") -> None:
        del total, note
        seen.extend([done] if stage == "training" else [])

    train(recipe, few, tmp_path / "broken", progress=watch)
    assert seen == list(range(6, 16))
    for one, other in zip(
        timeless(tmp_path / "unbroken"), timeless(tmp_path / "broken"), strict=True
    ):
        assert one == pytest.approx(other, rel=1e-3)
    models = [load_run(tmp_path / name)[1] for name in ("unbroken", "broken")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_half_of_the_testing_pictures_can_watch(quick: Recipe, tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "data", training=4, testing=4, size=48)
    recipe = dataclasses.replace(quick, epochs=1, validation=0.5, validate_on="testing")
    seen: dict[str, list[int]] = {"reading": [], "training": []}

    def watch(stage: str, done: int, total: int, note: str = "") -> None:
        del done, note
        seen[stage].append(total)

    run = train(recipe, data, tmp_path / "run", progress=watch)
    assert seen["reading"] == [16] * 16 + [8] * 8  # every training picture, half of the others
    assert seen["training"] == [2, 2]  # no training picture is left out
    assert {"val_loss", "val_accuracy", "val_precision", "val_recall"} <= set(rows(run)[0])
    refuses(
        lambda: train(recipe, data / "Training", tmp_path / "other"),
        DataError,
        "no test pictures to validate on; hold out training pictures",
    )


def test_no_epoch_is_chosen_by_the_final_test_fold(
    quick: Recipe, few: Path, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.csv"
    manifest = make_manifest(few, groups="none")
    write_manifest(manifest.with_folds([i % 2 for i in range(len(manifest.entries))]), path)
    recipe = dataclasses.replace(quick, epochs=1, validation=0.5, validate_on="testing")
    refuses(
        lambda: train(recipe, path, tmp_path / "run"),
        DataError,
        "fold 0 is for the final test and no epoch may be chosen by it",
    )


def test_rates_are_those_of_answers_above_one_half(keras: Any) -> None:
    from tumorlens.train.fit import _rates  # noqa: PLC0415

    logits = np.log(
        [[0.6, 0.2, 0.1, 0.1], [0.6, 0.2, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.7, 0.1, 0.1]]
    )
    precision, recall = _rates(keras)
    for metric in (precision, recall):
        metric.update_state(np.array([0, 1, 0, 1]), logits)
    assert float(precision.result()) == pytest.approx(2 / 3)
    assert float(recall.result()) == pytest.approx(2 / 4)


def test_outlines_teach_where_the_evidence_is(tmp_path: Path, keras: Any) -> None:
    data = write_phantoms(tmp_path / "data", training=16, testing=1, size=64)
    masks, rows_of_table = tmp_path / "masks", ["image,mask"]
    masks.mkdir()
    for path in sorted((data / "Training").rglob("*.png")):
        lesion = draw_phantom(path.parent.name, int(path.stem[-4:]), 64).lesion
        if lesion.any():
            name = f"{len(rows_of_table)}.png"
            Image.fromarray(lesion.astype(np.uint8) * 255).save(masks / name)
            rows_of_table.append(f"{path.relative_to(data)},{name}")
    table = tmp_path / "masks.csv"
    table.write_text("\n".join(rows_of_table) + "\n")
    outlines = find_masked(data, masks, table)
    recipe = Recipe(
        network="tiny-fpn",
        size=64,
        epochs=10,
        batch=8,
        learning_rate=1e-2,
        validation=0.2,
        balance="groups",
        augmentation=Augmentation(rotation=5, shift=0.03, zoom=0.05),
        appearance=Appearance(curve=0.2, noise=0.1),
        outlines=Outlines(hide=0.1, control=0.1),
    )
    run = train(recipe, data, tmp_path / "run", outlines=outlines)
    note = json.loads((run / "run.json").read_text())
    assert note["outlined"] == len(outlines) == 48
    log = timeless(run)
    assert log[-1]["evidence_loss"] < 0.6 * log[0]["evidence_loss"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_evidence_loss"} <= set(log[0])
    model = load_run(run)[1]
    assert not isinstance(model.output, dict)  # only training sees the evidence as an output
    grid = cell_grid(model, "fused")
    maps = evidence_output(model)
    pictures = load_pictures(
        find_examples(data / "Training"), 64, outlines={o.path.resolve(): o for o in outlines}
    )
    evidence = keras.Model(model.input, maps).predict(
        as_tensors(pictures.pixels, "tiny-fpn"), verbose=0
    )
    hits = []
    for i in np.flatnonzero(pictures.outlined):
        own = evidence[i, ..., {0: 0, 1: 1, 3: 2}[int(pictures.labels[i])]]
        y, x = (
            min(63, round(grid.start + at * grid.jump))
            for at in np.unravel_index(own.argmax(), own.shape)
        )
        hits.append(pictures.masks[i, y, x])
    assert np.mean(hits) > 0.5  # a tumour fills some hundredths of the picture


def test_tensorboard_reads_the_log(quick: Recipe, few: Path, tmp_path: Path) -> None:
    event_files = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    run = train(quick, few, tmp_path / "run")
    for again in (False, True):
        if again:
            EventLog(run).close()  # as when a run goes on
        events = event_files.EventAccumulator(str(run / "tensorboard")).Reload()
        assert {"loss/training", "loss/validation", "accuracy/validation", "seconds"} <= set(
            events.Tags()["tensors"]
        )
        points = [
            (e.step, float(e.tensor_proto.float_val[0])) for e in events.Tensors("loss/validation")
        ]
        expected = [
            (i, pytest.approx(row["val_loss"], rel=1e-4)) for i, row in enumerate(timeless(run), 1)
        ]
        assert points == expected


def test_epochs_differ_in_order_and_variation(
    few: Path, quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tumorlens.train import batches  # noqa: PLC0415

    drawn: list[tuple[int, ...]] = []
    whole = batches.augment

    def watch(pictures: Any, random: np.random.Generator, recipe: Any, masks: Any) -> Any:
        state = random.bit_generator.state["state"]["state"]
        drawn.append((state, *pictures.reshape(len(pictures), -1).sum(axis=1).tolist()))
        return whole(pictures, random, recipe, masks)

    monkeypatch.setattr(batches, "augment", watch)
    train(quick, few, tmp_path / "run")
    # Three epochs of three batches; Keras may look at a batch twice.
    assert len({state for state, *_ in drawn}) == 9
    orders = {tuple(batch[1:]) for batch in drawn}
    assert len(orders) == 9
    every = {total for _, *totals in drawn for total in totals}
    assert len(every) == 20  # 6 of each class, one of each held out


def refuses(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_another_recipe_is_refused(tiny_run: Path, tiny_recipe: Recipe, phantom_data: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in tiny_run.rglob("*")}
    other = dataclasses.replace(tiny_recipe, epochs=30)
    refuses(
        lambda: train(other, phantom_data, tiny_run),
        RunError,
        r"holds a run of another recipe \(epochs is 20, asked for 30\); name another folder",
    )
    assert {p: p.stat().st_mtime_ns for p in tiny_run.rglob("*")} == before


def test_changed_data_is_refused(
    tiny_run: Path, tiny_recipe: Recipe, phantom_data: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    data = shutil.copytree(phantom_data, tmp_path / "data")
    assert train(tiny_recipe, data, run) == run  # moved is not changed
    one, *_, last = sorted((data / "Training" / "glioma").iterdir())
    content = one.read_bytes()
    one.write_bytes(last.read_bytes())
    message = r"the pictures in .*data changed since .*run began; start a new run"
    refuses(lambda: train(tiny_recipe, data, run), RunError, message)
    one.write_bytes(content)
    last.unlink()
    refuses(lambda: train(tiny_recipe, data, run), RunError, message)


def test_a_folder_of_something_else_is_refused(quick: Recipe, few: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    message = "exists, is not empty and holds no run; name another folder"
    refuses(lambda: train(quick, few, tmp_path), RunError, message)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_could_never_start_claims_no_folder(quick: Recipe, few: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    misspelt = dataclasses.replace(quick, network="tinny")
    refuses(lambda: train(misspelt, few, run), ModelError, "no network 'tinny'")
    missing = dataclasses.replace(quick, weights=str(tmp_path / "nothing.safetensors"))
    refuses(lambda: train(missing, few, run), ModelError, "cannot read the weights")
    assert not run.exists()


def test_data_that_is_not_there_is_refused(quick: Recipe, few: Path, tmp_path: Path) -> None:
    refuses(
        lambda: train(quick, tmp_path / "no", tmp_path / "run"),
        DataError,
        "cannot be read as a manifest",
    )
    one = shutil.copytree(few, tmp_path / "one")
    for label in CLASSES:
        for path in list((one / "Training" / label).iterdir())[1:]:
            path.unlink()
    all_of_it = dataclasses.replace(quick, validation=0.9)
    refuses(
        lambda: train(all_of_it, one, tmp_path / "run2"), DataError, "too few pictures to hold out"
    )


def test_unreadable_pictures_are_listed_and_the_rest_trained_on(
    quick: Recipe, few: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(few / "Training", tmp_path / "data")  # class folders alone do as well
    broken = [data / "glioma" / "broken.png", data / "notumor" / "notes.txt"]
    for path in broken:
        path.write_text("no picture")
    recipe = dataclasses.replace(quick, epochs=1, validation=0.0, schedule="constant")
    run = train(recipe, data, tmp_path / "run")
    note = json.loads((run / "run.json").read_text())
    assert note["pictures"] == 24
    assert len(note["unreadable"]) == 2
    for path, found in zip(broken, note["unreadable"], strict=True):
        assert str(path) in found
    assert len(rows(run)) == 1
    assert "val_loss" not in rows(run)[0]


def test_training_starts_from_given_weights(
    quick: Recipe, few: Path, tiny_run: Path, tmp_path: Path
) -> None:
    start = tiny_run / "weights.safetensors"
    recipe = dataclasses.replace(
        quick, weights=str(start), epochs=1, learning_rate=1e-9, schedule="constant"
    )
    model = load_run(train(recipe, few, tmp_path / "run"))[1]
    arrays = read_weights(start)
    for name in ("conv_1/kernel", "norm_4/gamma"):
        layer, _, weight = name.partition("/")
        found = np.asarray(getattr(model.get_layer(layer), weight))
        np.testing.assert_allclose(found, arrays[name].astype(np.float32), atol=1e-5)
    found = np.asarray(model.get_layer("logits").kernel)
    assert np.abs(found - arrays["logits/kernel"]).max() > 0.05  # the head starts anew


def test_any_finished_epoch_can_be_loaded(tiny_run: Path, tiny_model: Any, tmp_path: Path) -> None:
    _, first = load_run(tiny_run, 1)
    _, last = load_run(tiny_run, 20)
    for one, other in zip(last.get_weights(), tiny_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(first.get_weights()[0] - last.get_weights()[0]).max() > 0.01
    for epoch in (0, 21, -1):
        refuses(lambda e=epoch: load_run(tiny_run, e), RunError, f"there is no epoch {epoch}")
    refuses(lambda: load_run(tmp_path), RunError, r"is no run folder: recipe\.json cannot be read")


def test_tensors_are_in_the_networks_range() -> None:
    pixels = np.array([[[0, 255], [51, 102]]], np.uint8)
    tiny, xception = (as_tensors(pixels, name) for name in ("tiny", "xception"))
    assert tiny.shape == (1, 2, 2, 3)
    np.testing.assert_allclose(tiny[0, ..., 1], [[-1, 1], [-0.6, -0.2]], atol=1e-6)
    np.testing.assert_allclose(xception[0, ..., 2], [[0, 1], [0.2, 0.4]], atol=1e-6)
