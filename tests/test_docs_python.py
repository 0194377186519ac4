"""The page on Python does what it says, from top to bottom."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_every_snippet_runs(
    tiny_bundle: Path,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(picture, "scan.png")
    Path("broken.png").write_bytes(b"no picture")
    names: dict[str, object] = {"model": tiny_bundle}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("pituitary ")
    assert "reading 3 of 3" in said
    assert "unreadable: broken.png" in said
    assert "Grad-CAM++ for glioma rather than meningioma" in said
    assert (tmp_path / "record" / "manifest.json").is_file()
    assert (tmp_path / "figure.png").is_file()
    assert names["labels"] == ["pituitary"] * 4
    assert names["same"] is True
