"""``tumorlens models``, and models on the hub in every command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub_server import Hub, serve, use_cache
from tumorlens.apps.cli import cli
from tumorlens.models import hub as hub_module
from tumorlens.models.store import DEFAULT_MODEL


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
    assert before.stdout.startswith(f"ships   {DEFAULT_MODEL}\n")
    assert "accuracy 0.98" in before.stdout
    assert "cached" not in before.stdout
    commit = hub.publish_folder("lab/tiny", tiny_bundle)
    run("--endpoint", hub.url, "info", "--model", "hf://lab/tiny")
    after = run("models").stdout
    assert f"cached  hf://lab/tiny@{commit}  (main)\n        tiny-float@1, tiny, float32" in after
    told = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    assert [row["kind"] for row in told] == ["ships", "cached"]
    assert told[1]["model"] == f"hf://lab/tiny@{commit}"
    assert told[1]["names"] == ["main"]
    assert told[1]["bytes"] == sum(
        (tiny_bundle / name).stat().st_size for name in ("model.onnx", "weights.safetensors")
    )


def test_models_without_the_extra_lists_what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module.importlib.util, "find_spec", lambda _: None)
    done = run("models")
    assert done.exit_code == 0
    assert DEFAULT_MODEL in done.stdout
    assert "tumorlens[hub]" in done.stderr
