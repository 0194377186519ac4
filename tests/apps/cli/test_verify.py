"""``tumorlens verify``: one line a check, and an exit status that can be built on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from click.testing import CliRunner

from tumorlens.apps.cli.main import cli


def test_a_good_bundle_is_status_0(tiny_bundle: Path) -> None:
    done = CliRunner().invoke(cli, ["verify", str(tiny_bundle)])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 5
    told = json.loads(CliRunner().invoke(cli, ["verify", str(tiny_bundle), "--json"]).stdout)
    assert told["passed"] is True


def test_a_damaged_bundle_is_status_1(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "mine")
    (bundle / "weights.safetensors").write_bytes(b"other")
    done = CliRunner().invoke(cli, ["verify", str(bundle)])
    assert done.exit_code == 1
    assert "WRONG      weights.safetensors" in done.stdout
