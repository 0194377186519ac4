"""A run that is killed, without a chance to tidy up, ends as an unbroken one does."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tumorlens.data.phantom import write_phantoms
from tumorlens.train.fit import train
from tumorlens.train.recipe import Recipe
from tumorlens.train.run import load_run

RECIPE = Recipe(network="tiny", size=32, epochs=3, batch=8, learning_rate=5e-3, validation=0.2)

CHILD = textwrap.dedent(
    """
    import json, os, signal, sys
    from tumorlens.train import fit
    from tumorlens.train.recipe import Recipe

    data, run, recipe, moment = sys.argv[1:]

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(stage, done, total, note=""):
        if moment == f"{stage} {done}":
            die()

    if moment == "between checkpoint and log":
        fit.append_row = die
    fit.train(Recipe.from_dict(json.loads(recipe)), data, run, progress=watch)
    """
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("killed"), training=6, testing=1, size=48)


def log(run: Path) -> list[dict[str, float]]:
    with (run / "log.csv").open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def test_a_killed_run_ends_as_an_unbroken_one(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    # Twice in one run: first when epoch 1 has a checkpoint and no row yet, then in epoch 2.
    for moment in ("between checkpoint and log", "training 5"):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, data, run, json.dumps(RECIPE.to_dict()), moment],
            capture_output=True,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert len(log(run)) == 1
    train(RECIPE, data, run)
    whole = train(RECIPE, data, tmp_path / "whole")
    assert [row["epoch"] for row in log(run)] == [1, 2, 3]
    for one, other in zip(log(run), log(whole), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    for a, b in zip(*(load_run(r)[1].get_weights() for r in (run, whole)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert not list(run.rglob("writing_*"))
