"""Give the pictures called "notumor" the groups and folds that they should have had.

    python scripts/refold_notumor.py FIRST.csv REVIEW.csv OUT.csv

FIRST.csv is what ``build_published_manifest.py`` writes. REVIEW.csv (columns ``sha256``,
``family``, ``modality``, ``sequence``, ``plane``, ``skull``, ``finding``, ``tumour_like``)
is what came of looking at every "notumor" picture: most are one of some 300 source
pictures, also upside down, turned, brightened or sharpened, and 53 such families lay in
several folds.

Tumour pictures keep group and fold. "notumor" families, joined with the groups they had,
are dealt out anew, so that sequence, plane and finding are spread alike. What is no MRI,
or looks like a tumour and is called none, is excluded, with the reason. What was seen on
the pictures is published beside the manifest.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tumorlens.data.duplicates import clusters
from tumorlens.files import write_whole

Row = dict[str, str]
FOLDS = 5
STEPS = 60_000
HEAT = 0.5
COPIES = {"32e58268a4a9d3f82caec378c1065311360f4212c2ab72a1ca6f1ef8ffcca92b"}
"""In fold 0, and with another border in fold 2; found after the folds had been dealt out."""


def read_rows(path: Path) -> list[Row]:
    """Read a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def why_excluded(sha256: str, label: str, known: Row | None) -> str:
    """Say why a picture neither trains nor counts; empty when it does."""
    if sha256 in COPIES:
        return "copy in another fold"
    if known is None:
        return ""
    if known["modality"] == "CT":
        return "CT"
    if label == "notumor" and known["tumour_like"] == "1":
        return "looks like a tumour"
    return ""


def kind(finding: str) -> str:
    """Put a finding into one of three kinds."""
    return {"lesion": "other finding", "uncertain": "uncertain"}.get(
        finding.partition(":")[0], "none"
    )


def families(rows: Sequence[Row], known: dict[str, Row]) -> list[str]:
    """Name the groups of "notumor" pictures: families, joined with the groups they had."""
    links = []
    for keys in (
        [row["group"] for row in rows],
        [known[row["sha256"]]["family"] for row in rows],
    ):
        first: dict[str, int] = {}
        links += [(first.setdefault(key, i), i) for i, key in enumerate(keys) if key]
    roots = clusters(len(rows), links)
    smallest: dict[int, str] = {}
    for root, row in zip(roots, rows, strict=True):
        smallest[root] = min(smallest.get(root, row["sha256"]), row["sha256"])
    order = {root: n for n, root in enumerate(sorted(smallest, key=smallest.__getitem__), 1)}
    return [f"N{order[root]:04d}" for root in roots]


def features(rows: Sequence[Row], known: dict[str, Row], groups: Sequence[str]) -> np.ndarray:
    """Count what is to be spread alike: a row for each group, in the order of their names.

    Its pictures that count, those of each sequence, plane and kind of finding, each as a
    share of all, and the group itself. The size weighs most.
    """
    names = sorted(set(groups))
    position = {name: n for n, name in enumerate(names)}
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(names)))
    for row, group in zip(rows, groups, strict=True):
        if row["excluded"]:
            continue
        fact, n = known[row["sha256"]], position[group]
        for key in (fact["sequence"], fact["plane"], kind(fact["finding"]), "size"):
            counts[key][n] += 1
        counts["groups"][n] = 1
    # Rare values weigh more than their share, or chance would rule them.
    columns = [value / value.sum() ** 0.7 for value in counts.values()]
    weights = [8.0 if key == "size" else 1.0 for key in counts]
    return np.stack([w * column for w, column in zip(weights, columns, strict=True)], axis=1)


def deal(counts: np.ndarray) -> np.ndarray:
    """Deal groups out to folds, by moving and swapping them while that evens the folds out."""
    random = np.random.default_rng(0)
    place = random.permutation(np.arange(len(counts)) % FOLDS)
    sums = np.stack([counts[place == fold].sum(0) for fold in range(FOLDS)])
    goal = counts.sum(0) / FOLDS
    cost = np.abs(sums - goal).sum()
    for step in range(STEPS):
        one, other = random.integers(len(counts), size=2)
        a, b = place[one], place[other]
        if a == b:
            continue
        change = counts[one] - (counts[other] if step % 2 else 0)
        tried = sums.copy()
        tried[a] -= change
        tried[b] += change
        wanted = np.abs(tried - goal).sum()
        heat = HEAT * (1 - step / STEPS)
        if wanted < cost or random.random() < np.exp((cost - wanted) / max(heat, 1e-9)):
            sums, cost, place[one] = tried, wanted, b
            if step % 2:
                place[other] = a
    return place


def refold(rows: list[Row], known: dict[str, Row]) -> None:
    """Set group and fold of "notumor" pictures."""
    groups = families(rows, known)
    folds = dict(zip(sorted(set(groups)), deal(features(rows, known, groups)), strict=True))
    for row, group in zip(rows, groups, strict=True):
        row.update(group=group, fold=str(folds[group]))


def main() -> None:
    """Read, deal out, check, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name in ("first", "review", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    rows = read_rows(given.first)
    known = {row["sha256"]: row for row in read_rows(given.review)}
    for row in rows:
        row["excluded"] = why_excluded(row["sha256"], row["label"], known.get(row["sha256"]))
    none = [row for row in rows if row["label"] == "notumor"]
    assert all(row["sha256"] in known for row in none)
    refold(none, known)
    folds = defaultdict(set)
    for row in rows:
        folds[row["group"]].add(row["fold"])
    assert {len(found) for found in folds.values()} == {1}
    for fold in range(FOLDS):
        here = [row for row in none if row["fold"] == str(fold) and not row["excluded"]]
        print(fold, len(here), len({row["group"] for row in here}))
        for column in ("sequence", "plane"):
            print("  ", dict(Counter(known[row["sha256"]][column] for row in here)))
        print("  ", dict(Counter(kind(known[row["sha256"]]["finding"]) for row in here)))
    print("excluded:", Counter((row["label"], row["excluded"]) for row in rows if row["excluded"]))
    columns = ("sha256", "label", "group", "fold", "excluded")
    write_rows(given.out, [{name: row[name] for name in columns} for row in rows])


if __name__ == "__main__":
    main()
