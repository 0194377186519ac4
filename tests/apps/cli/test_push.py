"""``tumorlens push``: shown first, written then."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hub_server import serve, use_cache
from tumorlens.apps.cli.main import cli


def test_dry_run_shows_and_push_writes(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_cache(monkeypatch, tmp_path)
    with serve() as hub:
        monkeypatch.setenv("HF_TOKEN", hub.token)
        command = ["--endpoint", hub.url, "push", str(tiny_bundle), "lab/tiny"]
        shown = CliRunner().invoke(cli, [*command, "--dry-run"], catch_exceptions=False)
        assert shown.exit_code == 0
        assert "model-index:" in shown.stdout
        assert hub.requests == []
        done = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert done.exit_code == 0
        assert done.stdout == f"published: hf://lab/tiny@{hub.refs['lab/tiny']['main']}\n"
