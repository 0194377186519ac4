"""The page of errors quotes them as they are: a text that has changed fails here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tumorlens

PAGE = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
PACKAGE = Path(tumorlens.__file__).parent
QUOTED = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def texts(path: Path) -> Iterator[str]:
    """Give every text in a file's code, with ``…`` for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def source() -> str:
    found = [text for path in PACKAGE.rglob("*.py") for text in texts(path)]
    return "\n".join(" ".join(text.split()) for text in found)


def test_the_page_quotes_enough() -> None:
    assert len(QUOTED) >= 20
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_error_stands_in_the_source(quoted: str, source: str) -> None:
    assert quoted in source
