"""Every number in the tables of README.md and docs/results.md is the one that was measured."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tumorlens.models.store import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "readme_numbers.py"))
PAGES = (SCRIPT["README"], SCRIPT["RESULTS"])
CONTENTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
EVERYTHING = SCRIPT["everything"]()


@pytest.mark.parametrize("page", PAGES)
def test_every_row_and_sentence_has_the_numbers_that_were_measured(page: str) -> None:
    wrong = [said.wrong(CONTENTS[page]) for said in EVERYTHING if said.page == page]
    told = "\n".join(filter(None, wrong))
    assert not told, f"{told}\n`python scripts/readme_numbers.py --write` puts the numbers in"


@pytest.mark.parametrize("page", PAGES)
def test_no_row_of_a_table_has_a_number_that_nothing_holds(page: str) -> None:
    held = {said.text() for said in EVERYTHING if said.page == page}
    rows = [line for line in CONTENTS[page].splitlines() if line.startswith("|")]
    assert [row for row in rows if re.search(r"\d", row) and row not in held] == []


def test_what_was_measured_is_the_default_model_as_it_ships() -> None:
    card = SCRIPT["card"](DEFAULT_MODEL)
    for name in ("fold-0", "fold-0-localisation", "fold-1-proxy"):
        model: Any = SCRIPT["measured"](name)["model"]
        told = model["id"] if isinstance(model, dict) else model
        assert told == f"{card['name']}@{card['version']}", f"docs/measured/{name}.json"


def test_a_number_that_drifts_is_told_with_the_right_one() -> None:
    said = next(one for one in EVERYTHING if one.words.startswith("| glioma "))
    right = CONTENTS[said.page]
    row = said.search(right)
    drifted = right.replace(row.group(), row.group().replace(said.values["right"], "0.999"))
    told = said.wrong(drifted)
    assert f"right 0.999, measured {said.values['right']}" in told
    assert said.text() in told
    assert said.put(drifted) == right
    assert "lacks: | glioma" in said.wrong("# nothing here")


def test_the_readme_stays_one_page() -> None:
    assert len(CONTENTS[SCRIPT["README"]].splitlines()) < 150
