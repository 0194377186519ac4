"""``tumorlens models``, and models on the hub in every command."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub_server import Hub, serve, use_cache
from tumorlens.apps.cli.main import cli
from tumorlens.errors import DataError
from tumorlens.models.bundle import read_card
from tumorlens.models.store import DEFAULT_MODEL, bundled_models, find_bundle


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    use_cache(monkeypatch, tmp_path)
    with serve() as hub:
        yield hub


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)


def test_a_model_on_the_hub_predicts_and_says_which_commit_it_is(
    hub: Hub, tiny_bundle: Path, picture: Path
) -> None:
    commit = hub.publish_folder("lab/tiny", tiny_bundle)
    done = run("--endpoint", hub.url, "predict", picture, "--model", "hf://lab/tiny", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["label"] == "pituitary"
    assert f"note: hf://lab/tiny@main is {commit}" in done.stderr
    assert "fetching model.onnx (MB) 1/1" in done.stderr
    pinned = f"hf://lab/tiny@{commit}"
    again = run("--offline", "predict", picture, "--model", pinned, "--json")
    assert again.stdout == done.stdout
    assert again.stderr == ""


@pytest.mark.parametrize("command", ["info", "verify"])
def test_other_commands_take_it_too(hub: Hub, tiny_bundle: Path, command: str) -> None:
    hub.publish_folder("lab/tiny", tiny_bundle)
    option = ["--model"] if command == "info" else []
    done = run("--endpoint", hub.url, command, *option, "hf://lab/tiny")
    assert done.exit_code == 0
    assert "tiny-float@1" in done.stdout


def test_models_lists_what_ships_and_what_is_cached(hub: Hub, tiny_bundle: Path) -> None:
    before = run("models")
    assert before.exit_code == 0
    assert before.stdout.startswith(f"ships   {DEFAULT_MODEL}  (the default)\n")
    assert "package mobilenetv2-official\n" in before.stdout
    assert "accuracy 0.98" in before.stdout
    assert "glioma, meningioma, no tumour, pituitary" in before.stdout
    assert "cached" not in before.stdout
    commit = hub.publish_folder("lab/tiny", tiny_bundle)
    run("--endpoint", hub.url, "info", "--model", "hf://lab/tiny")
    after = run("models").stdout
    assert f"cached  hf://lab/tiny@{commit}  (main)\n        tiny-float@1, tiny, float32" in after
    told = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    assert [row["model"] for row in told if row["kind"] == "ships"] == [DEFAULT_MODEL]
    assert sorted(row["model"] for row in told if row["kind"] != "cached") == bundled_models()
    assert [row["model"] for row in told if row["default"]] == [DEFAULT_MODEL]
    (cached,) = (row for row in told if row["kind"] == "cached")
    assert cached["model"] == f"hf://lab/tiny@{commit}"
    assert cached["names"] == ["main"]
    assert cached["bytes"] == sum(
        (tiny_bundle / name).stat().st_size for name in ("model.onnx", "weights.safetensors")
    )


def test_models_without_the_extra_lists_what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    done = run("models")
    assert done.exit_code == 0
    assert DEFAULT_MODEL in done.stdout
    assert "tumorlens[hub]" in done.stderr


HUGE = 10**299
ODD = "\x1b]0;owned\x07"


@pytest.mark.parametrize(
    "metrics",
    [
        {"accuracy": HUGE, "n": 5, "recall": {"glioma": 0.5}},
        {"accuracy": 0.5, "n": HUGE, "recall": {"glioma": HUGE}},
        {"accuracy": 0.5, "n": 5, "recall": {ODD: 0.5}, "data": ODD * 10**5},
    ],
)
def test_absurd_scores_of_a_stranger_show_no_traceback(
    tiny_bundle: Path, tmp_path: Path, metrics: dict[str, object], hub: Hub
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "mine")
    card = json.loads((bundle / "model.json").read_text())
    recipe = {"epochs": ODD}
    training = {"recipe": recipe, "epoch": HUGE, "pictures": HUGE}
    card |= {"metrics": metrics, "training": training}
    (bundle / "model.json").write_text(json.dumps(card))
    hub.publish_folder("lab/odd", bundle)
    for command in (["info", "--model"], ["verify"]):
        done = run("--endpoint", hub.url, *command, "hf://lab/odd")
        assert done.exit_code == 0
        assert "\x1b" not in done.output
    listed = run("models")
    assert "cached" in listed.stdout
    assert "\x1b" not in listed.output
    assert len(listed.output) < 10**4
    shown = run("push", bundle, "lab/odd", "--dry-run")
    assert shown.exit_code == 0
    assert "\x1b" not in shown.output


MEASURED = Path(__file__).parents[3] / "docs" / "measured" / "fold-0.json"


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1e400", "NaN"])
def test_numbers_that_nothing_computes_with_make_no_model_card(tmp_path: Path, number: str) -> None:
    good = json.loads(MEASURED.read_text())
    path = tmp_path / "metrics.json"
    good["model"]["id"] = read_card(find_bundle("mobilenetv2-official").folder).id
    path.write_text(json.dumps(good))
    command = ("models", "--card", "mobilenetv2-official", "--metrics", path)
    assert run(*command).exit_code == 0
    path.write_text(json.dumps({**good, "accuracy": 7.25}).replace("7.25", number))
    with pytest.raises(DataError, match="the model card cannot be written"):
        run(*command)
