"""A run folder whose files are damaged is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tumorlens.errors import RunError
from tumorlens.train.run import read_note, read_recipe

DAMAGED = [b"", b"null", b"[]", b"3", b'"x"', b"\xff\xfe{}", b"[" * 100_000, b"{", b'{"a": 1}']


@pytest.mark.parametrize("content", [*DAMAGED, b'{"augmentation": [1]}'])
def test_a_damaged_recipe(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_bytes(content)
    with pytest.raises(RunError, match="recipe"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_note(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match="start a new run"):
        read_note(tmp_path)
