"""The course runs from beginning to end, teaches what it says, and the page is up to date."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "train_step_by_step.ipynb"
CHECK = """
import json

print(json.dumps({
    "on both sides": leaky,
    "apart": honest,
    "stopped": [row["training"] for row in logs[0]],
    "unbroken": [row["training"] for row in logs[1]],
    "varied": list(varied.shape),
    "best": best,
    "leak": result.leak.leaky,
    "n": summary.n,
    "accuracy": summary.figures["accuracy"],
    "map": [list(why.map.shape), float(why.map.min()), float(why.map.max())],
    "flat": why.flat,
    "inner": [inner.layer, list(inner.cells.shape)],
    "pointing": measured["relu_4"]["methods"]["occlusion"]["all"]["pointing"],
    "chance": measured["relu_4"]["methods"]["chance"]["all"]["pointing"],
    "hidden": hidden["tumour"]["stayed"],
    "control": hidden["control"]["stayed"],
}))
"""


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runner", ROOT / "scripts" / "run_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(output: Any) -> list[str]:
    """Name the kinds of picture that an output holds."""
    return [kind for kind in output.get("data", {}) if kind.startswith("image/")]


def test_the_course_runs_and_teaches_what_it_says(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # not the reader's own settings
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    (tmp_path / "course").mkdir()
    executed = runner.execute(notebook, tmp_path / "course")  # a cell that fails raises
    found = json.loads(code_cells(executed)[-1].outputs[0].text)
    assert found["on both sides"] > 0.95  # the leak flatters what cannot learn
    assert found["apart"] < 0.8
    for stopped, unbroken in zip(found["stopped"], found["unbroken"], strict=True):
        assert stopped == pytest.approx(unbroken, rel=1e-3)
    assert found["varied"] == [12, 64, 64, 1]
    assert 1 <= found["best"] <= 20
    assert found["leak"] is False
    assert found["n"] == 48
    assert found["accuracy"] > 0.6  # of four classes
    assert found["map"] == [[128, 128], 0.0, 1.0]
    assert not found["flat"]
    assert found["inner"] == ["relu_2", [16, 16]]
    assert found["pointing"] > 5 * found["chance"]
    assert found["hidden"] < 0.5 < found["control"]
    assert sorted(path.name for path in (tmp_path / "course").iterdir()) == ["step_by_step"]


def test_the_page_shows_what_its_code_gave(runner: ModuleType, page: Any) -> None:
    cells = code_cells(page)
    assert page.metadata.tumorlens.code_sha256 == runner.hash_code(page), (
        "the code has changed since it ran; run scripts/run_notebook.py"
    )
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    words = [o.metadata[kind]["alt"] for cell in cells for o in cell.outputs for kind in kinds(o)]
    assert len(words) > 15
    assert all(words)


def test_the_page_is_light_and_tells_nothing_of_a_machine(page: Any) -> None:
    assert NOTEBOOK.stat().st_size < 1_500_000
    assert set(page.metadata) == {"kernelspec", "language_info", "tumorlens"}
    assert not any(cell.metadata for cell in page.cells)
    for cell in code_cells(page):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            data = {k: v for k, v in output.get("data", {}).items() if k not in kinds(output)}
            text = json.dumps([output.get("text"), data])
            assert not re.search(r"/(root|home|tmp|work|Users)\b|[A-Z]:\\\\|0x[0-9a-f]{6}", text)


def test_links_lead_somewhere(page: Any) -> None:
    text = "\n".join(cell.source for cell in page.cells if cell.cell_type == "markdown")
    headings = {
        line.lstrip("# ").replace(" ", "-") for line in re.findall(r"^##+ .*$", text, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 15
    for link in links:
        if link.startswith("#"):
            assert link[1:] in headings
        else:
            assert (NOTEBOOK.parent / link).is_file(), link
