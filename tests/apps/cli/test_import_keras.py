"""``tumorlens import-keras``: the order of the classes is given or confirmed, never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from checkpoints import change_config
from tumorlens.apps.cli.main import cli, main
from tumorlens.data.folder import CLASSES
from tumorlens.models.store import open_bundle

USUAL = ",".join(CLASSES)


@pytest.fixture(scope="module")
def file(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("elsewhere") / "best.keras"
    tiny_model.save(path)
    change_config(path, lambda c: c["config"]["layers"][-1]["config"].update(activation="softmax"))
    return path


def command(file: Path, out: Path, *more: str) -> list[str]:
    return ["import-keras", str(file), "--network", "tiny", "--out", str(out), *more]


def test_a_checkpoint_becomes_a_bundle(file: Path, tmp_path: Path) -> None:
    order = "pituitary, notumor, meningioma, glioma"
    done = CliRunner().invoke(
        cli,
        command(file, tmp_path / "b", "--classes", order, "--licence", "MIT"),
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.stderr
    assert "same probabilities as in Keras" in done.stdout
    assert "measure it before you trust it" in done.stdout
    card = open_bundle(tmp_path / "b").card
    assert (card.classes, card.licence) == (CLASSES[::-1], "MIT")


def test_without_an_order_and_a_terminal_it_is_asked_for(file: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, command(file, tmp_path / "b"))
    assert done.exit_code == 2
    assert f"--classes {USUAL}" in done.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(("answer", "made"), [("y\n", True), ("n\n", False)])
def test_on_a_terminal_the_usual_order_is_confirmed(
    file: Path, tmp_path: Path, answer: str, made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr("tumorlens.apps.cli.import_keras.sys", type("sys", (), {"stdin": Terminal}))
    done = CliRunner().invoke(cli, command(file, tmp_path / "b"), input=answer)
    assert f"Are the outputs, in this order, {USUAL}?" in done.stderr
    assert (tmp_path / "b").exists() is made
    assert (done.exit_code == 0) is made


def test_an_attack_is_one_sentence_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "best.keras").write_bytes(b"\x80\x04.")
    arguments = command(tmp_path / "best.keras", tmp_path / "b", "--classes", USUAL)
    monkeypatch.setattr("sys.argv", ["tumorlens", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "error: " in (said := capsys.readouterr().err)
    assert "is a pickle, which is a program" in said
    assert "Traceback" not in said
