"""Kill `tumorlens predict --out` at random moments, again and again, and count its rows.

    python scripts/kill_archive.py FOLDER --model BUNDLE [--times 10] [--formats .parquet]

For each format the command is started on the folder, killed (SIGKILL) after a random time, and
started again, until it was killed so often; then it may end. Every file of the folder must have
its row, in order, and none twice.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tumorlens.archive.parts import unfinished_folder
from tumorlens.archive.tables import ENDINGS
from tumorlens.extras import require
from tumorlens.files import find_files

CHILD = """
import sys
from tumorlens.archive import run
from tumorlens.classifier import load

folder, model, out = sys.argv[1:]
classifier = load(model, threads=1)
print("ready", flush=True)
run.answer_archive(classifier, [folder], out, lanes=2, part_rows=16)
"""


def paths_in(table: Path) -> list[str]:
    """Read the paths of a table, a row each."""
    if table.suffix == ".parquet":
        parquet = require("pyarrow.parquet", "reading Parquet", "archive")
        found: list[str] = parquet.read_table(table, columns=["path"])["path"].to_pylist()
        return found
    with table.open(newline="", encoding="utf-8") as file:
        if table.suffix == ".jsonl":
            return [json.loads(line)["path"] for line in file]
        return [row["path"] for row in csv.DictReader(file)]


def run_killed(command: list[str], seconds: float | None) -> bool:
    """Run a command, kill it so long after it is ready; say whether it was."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdout is not None
        child.stdout.readline()
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            return True
        if status:
            raise SystemExit(f"failed with status {status}")
    return False


def main() -> None:
    """Run the campaign for each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--model", required=True)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="*", default=ENDINGS, choices=ENDINGS)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    wanted = list(find_files([arguments.folder]))
    with tempfile.TemporaryDirectory() as folder:
        for ending in arguments.formats:
            out = Path(folder, f"out{ending}")
            command = [sys.executable, "-c", CHILD, arguments.folder, arguments.model, str(out)]
            began = time.monotonic()
            run_killed(command, None)
            whole = time.monotonic() - began
            out.unlink()
            killed = begun = 0
            while killed < arguments.times:
                begun += not unfinished_folder(out).exists()
                # Short beside the whole, so that the work is not at its end before the last.
                done = not run_killed(command, moments.uniform(0, 1.5 * whole / arguments.times))
                killed += not done
                if done:
                    _check(out, wanted)
                    out.unlink()
            run_killed(command, None)
            _check(out, wanted)
            print(f"{ending}: {len(wanted)} files, killed {killed} times in {begun} tables: whole")


def _check(out: Path, wanted: list[str]) -> None:
    found = paths_in(out)
    if found != wanted:
        raise SystemExit(f"{out}: {len(found)} rows, {len(set(found))} files of {len(wanted)}")


if __name__ == "__main__":
    main()
