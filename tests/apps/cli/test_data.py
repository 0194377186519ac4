"""``tumorlens data manifest|split|audit`` and training from a manifest, as a user runs them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drawn_heads import write_heads
from tumorlens.apps.cli.main import cli
from tumorlens.data.manifest import read_manifest
from tumorlens.errors import DataError, OutputError, TumorLensError

SMALL = ["--network", "tiny", "--size", "32", "--epochs", "1", "--weights", "random"]
NO_TEXT = os.fsdecode(b"b\xe9b\xe9.png")


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    if isinstance(result.exception, TumorLensError):
        raise result.exception
    return result


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    return write_heads(tmp_path / "heads", training=5, testing=2)


@pytest.fixture
def odd_set(tmp_path: Path) -> Path:
    """Twelve pictures, one with a name that is no text, and a file that is none."""
    root = write_heads(tmp_path / "odd", training=2, testing=1)
    folder = root / "Training" / "glioma"
    next(folder.iterdir()).rename(folder / NO_TEXT)
    (folder / "\x1b[2J\nfake.png").write_bytes(b"no picture")
    return root


@pytest.fixture
def manifest(heads: Path, tmp_path: Path) -> Path:
    path = tmp_path / "m.csv"
    assert run("data", "manifest", heads, "--out", path).exit_code == 0
    return path


def test_the_group_names_its_commands() -> None:
    result = run("data", "--help")
    for name in ("audit", "check", "download", "manifest", "plot", "split"):
        assert f"\n  {name} " in result.output
        assert run("data", name, "--help").exit_code == 0


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tumorlens.apps.cli.main import cli\n"
        "try:\n    cli(['data', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'PIL', 'scipy', 'sklearn', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_manifest_then_split(manifest: Path) -> None:
    before = read_manifest(manifest)
    assert len(before.entries) == 28
    assert {e.fold for e in before.entries} == {None}
    content = manifest.read_bytes()
    result = run("data", "split", manifest, "--folds", "3", "--seed", "1")
    assert result.exit_code == 2  # nobody said that it may be written over
    assert "--overwrite" in result.stderr
    for command in (("manifest", manifest.parent / "heads"), ("split", manifest)):
        result = run("data", *command, "--out", manifest)
        assert result.exit_code == 2
        assert "is there already: name another, or give --overwrite" in result.stderr
    assert manifest.read_bytes() == content
    result = run("data", "split", manifest, "--folds", "3", "--seed", "1", "--overwrite")
    assert result.exit_code == 0
    assert "no tumour" in result.output
    assert "notumor" not in result.output
    assert "28 pictures, 28 groups" in result.output
    assert "most uneven class" in result.output
    assert {e.fold for e in read_manifest(manifest).entries} == {0, 1, 2}


def test_split_can_write_elsewhere_and_keep(manifest: Path, tmp_path: Path) -> None:
    content = manifest.read_bytes()
    assert run("data", "split", manifest, "--out", tmp_path / "other.csv").exit_code == 0
    assert manifest.read_bytes() == content
    assert (
        run(
            "data", "split", tmp_path / "other.csv", "--seed", "9", "--keep", "--overwrite"
        ).exit_code
        == 0
    )
    run("data", "split", manifest, "--overwrite")
    assert (tmp_path / "other.csv").read_bytes() == manifest.read_bytes()


def test_names_that_are_no_text_survive(odd_set: Path, tmp_path: Path) -> None:
    assert run("data", "manifest", odd_set, "--out", tmp_path / "m.csv").exit_code == 1
    split = ["data", "split", tmp_path / "m.csv", "--folds", "2", "--overwrite"]
    assert run(*split).exit_code == 0
    (path,) = (e.path for e in read_manifest(tmp_path / "m.csv").entries if NO_TEXT in e.path)
    assert (tmp_path / path).is_file()
    result = run("data", "audit", tmp_path / "m.csv", "--out", tmp_path / "report")
    assert result.exit_code == 0, "what cannot be read is in no manifest"
    assert "pictures                          12" in result.stdout
    assert "glioma       test pictures with a twin in training: 0 exact" in result.stdout
    json.loads((tmp_path / "report" / "audit.json").read_text(encoding="utf-8"))
    (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_a_folder_that_is_taken_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "x").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for out in ("report", "file"):
        with pytest.raises(OutputError, match=out):
            run("data", "audit", "no data: it would be looked at later", "--out", tmp_path / out)


@pytest.mark.parametrize("command", ["manifest", "audit"])
def test_an_unreadable_file_is_named_and_the_rest_is_done(
    command: str, odd_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    done = run("data", command, odd_set, "--out", out, *["--json"] * (command == "audit"))
    assert done.exit_code == 1
    assert "�[2J�fake.png" in done.stderr, "a name cannot command a terminal"
    assert "\x1b" not in done.output
    if command == "audit":
        assert json.loads(done.stdout)["pictures"] == 12
        assert (out / "index.html").is_file()
    else:
        assert len(read_manifest(out).entries) == 12


def test_an_unknown_class_is_named_with_the_accepted_ones(heads: Path, tmp_path: Path) -> None:
    (heads / "Training" / "glioma").rename(heads / "Training" / "gliomas")
    with pytest.raises(DataError, match=r"stand for no class: gliomas; name them"):
        run("data", "manifest", heads, "--out", tmp_path / "m.csv")


def train(data: Path, out: Path, *more: str) -> dict[str, object]:
    result = run("train", "--data", data, "--out", out, *SMALL, *more)
    assert result.exit_code == 0, result.output
    note: dict[str, object] = json.loads((out / "run.json").read_text())
    return note


def test_training_from_a_manifest_keeps_the_test_fold_out(
    manifest: Path, tmp_path: Path, keras: object
) -> None:
    del keras
    run("data", "split", manifest, "--folds", "4", "--overwrite")
    note = train(manifest, tmp_path / "run", "--test-fold", "1", "--test-fold", "2")
    entries = read_manifest(manifest).entries
    assert note["pictures"] == sum(e.fold not in (1, 2) for e in entries)
    assert note["leaky"] is False
    assert note["selection"]["test_folds"] == [1, 2]  # type: ignore[index]
    bundle = tmp_path / "bundle"
    assert run("export", tmp_path / "run", "--out", bundle, "--precision", "float32").exit_code == 0
    card = json.loads((bundle / "model.json").read_text())
    assert card["training"]["leaky"] is False
    assert card["metrics"]["leaky"] is False
    assert card["metrics"]["n"] == sum(e.fold in (1, 2) for e in entries)


def test_training_across_a_leak_is_refused_or_called_leaky(
    manifest: Path, tmp_path: Path, keras: object
) -> None:
    del keras
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["fold"], row["group"] = str(number % 2), "P1"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataError, match=r"1 groups on both sides \(such as P1\).*--allow-leaks"):
        train(manifest, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert train(manifest, tmp_path / "run", "--allow-leaks")["leaky"] is True


def test_training_from_the_official_split_is_called_leaky(
    heads: Path, tmp_path: Path, keras: object
) -> None:
    del keras
    note = train(heads, tmp_path / "run")
    assert note["leaky"] is True
    assert note["selection"] == {"split": "official"}
    bundle = tmp_path / "bundle"
    assert run("export", tmp_path / "run", "--out", bundle, "--precision", "float32").exit_code == 0
    card = json.loads((bundle / "model.json").read_text())
    assert card["training"]["leaky"] is card["metrics"]["leaky"] is True


def test_a_file_that_changed_since_is_left_out_and_named(
    manifest: Path, heads: Path, tmp_path: Path, keras: object
) -> None:
    del keras
    run("data", "split", manifest, "--folds", "2", "--overwrite")
    changed = next(e for e in read_manifest(manifest).entries if e.fold == 1)
    other = next(p for p in heads.rglob("*.png") if p != tmp_path / changed.path)
    (tmp_path / changed.path).write_bytes(other.read_bytes())
    note = train(manifest, tmp_path / "run")
    (bad,) = note["unreadable"]  # type: ignore[misc, attr-defined]
    assert "not the file that the manifest lists" in bad
