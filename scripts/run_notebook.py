"""Run a notebook from beginning to end and write it with what its cells gave.

python scripts/run_notebook.py [NOTEBOOK] [--out NOTEBOOK]

It runs in a folder of its own, which is gone afterwards, so that nobody's files matter and
no path of this machine gets into the page. What only tells of this machine (times, versions,
start-up notes of libraries) is taken out; so that the page can be checked for being up to
date, a hash of the code that ran is put in.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "train_step_by_step.ipynb"
SECONDS = 3600  # for one cell
START_UP = re.compile(
    r"^(WARNING: All log messages before absl|[IW]0000 .*oneDNN).*\n?", re.MULTILINE
)
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def hash_code(notebook: Any) -> str:
    """Hash the code of a notebook, cell by cell."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\n# next cell\n".join(code).encode()).hexdigest()


def execute(notebook: Any, folder: Path) -> Any:
    """Run all cells in a folder; a cell that fails raises what it raised.

    Parameters
    ----------
    notebook
        As nbformat reads it; it is changed.
    folder
        Where it runs.

    Returns
    -------
    nbformat.NotebookNode
        The same notebook with its outputs.
    """
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    return tidy(client.execute())


def tidy(notebook: Any) -> Any:
    """Take out what only tells of the machine, and put in a hash of the code."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "tumorlens": {"code_sha256": hash_code(notebook)},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := _tidy_output(output))]
    return notebook


def _tidy_output(output: Any) -> Any:
    if output.output_type == "stream" and output.name == "stderr":
        output.text = START_UP.sub("", output.text)
        return output if output.text.strip() else None
    if "data" in output and "text/plain" in output.data:
        output.data["text/plain"] = ADDRESS.sub("", output.data["text/plain"])
    return output


def main() -> None:
    """Run the notebook named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebook", type=Path, nargs="?", default=NOTEBOOK)
    parser.add_argument("--out", type=Path, help="where to write it; over the notebook itself")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(nbformat.read(asked.notebook, as_version=4), Path(folder))
    out = asked.out or asked.notebook
    nbformat.write(notebook, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
