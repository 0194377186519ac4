"""Measure how well copies are found, against families that people found by eye.

    python scripts/copies_by_family.py DATA REVIEW.csv

REVIEW.csv has the columns ``sha256`` and ``family`` (empty: no copy is known). Nothing
here is fitted to it. Pictures that are equal to the byte count once. Pairs found across
families are listed: some are copies that the eye missed.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from tumorlens.apps.cli.meter import Meter
from tumorlens.data.duplicates import COPY, KIN, clusters, compare_all
from tumorlens.data.folder import find_examples
from tumorlens.data.survey import Survey, survey
from tumorlens.data.table import Row, read_table
from tumorlens.data.traits import LOPSIDED, symmetry


def measure_planes(found: Survey, rows: list[Row]) -> None:
    """Print which share of each plane is lopsided."""
    plane = {row["sha256"]: row["plane"] for row in rows}
    planes = np.array([plane.get(look.sha256, "") for look in found.looks])
    lopsided = symmetry(found.fingerprints) < LOPSIDED
    for name in np.unique(planes[planes != ""]):
        of_plane = lopsided[planes == name]
        print(f"lopsided of {len(of_plane)} {name} pictures: {of_plane.mean():.3f}")


def main() -> None:
    """Read, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "review"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    rows = read_table(arguments.review, "a review", ("sha256", "family"), "name them so")
    family = {row["sha256"]: row["family"] for row in rows}
    began = time.monotonic()
    found = survey(find_examples(arguments.data), Meter())
    read = time.monotonic()
    pairs = compare_all(found.fingerprints, progress=Meter())
    print(f"{len(found.looks)} pictures: reading {read - began:.0f} s, ", end="")
    print(f"comparing all pairs {time.monotonic() - read:.0f} s, {len(pairs.first)} looked at")

    first: dict[str, int] = {}
    for position, look in enumerate(found.looks):
        if look.sha256 in family:
            first.setdefault(look.sha256, position)
    chosen = set(first.values())
    names = [family.get(look.sha256) or f"alone {look.sha256}" for look in found.looks]
    sizes = Counter(names[i] for i in chosen)
    within = sum(n * (n - 1) // 2 for n in sizes.values())
    print(f"reviewed: {len(chosen)} different files, {within} pairs within families")
    for least in (COPY, KIN):
        these = [p for p in pairs.at_least(least) if {p.first, p.second} <= chosen]
        right = [p for p in these if names[p.first] == names[p.second]]
        strange = [p for p in these if names[p.first] != names[p.second]]
        roots = clusters(len(names), [(p.first, p.second) for p in these])
        joined = Counter((names[i], roots[i]) for i in chosen)
        together = sum(n * (n - 1) // 2 for n in joined.values())
        share = f"{len(right) / within:.4f}, {together / within:.4f} by way of others"
        print(f"similarity of {least} and more: recall of pairs {share}; ", end="")
        print(f"{len(strange)} pairs across families")
        print(f"  ways: {dict(Counter(p.way or 'straight' for p in right).most_common())}")
        between = Counter(
            tuple(sorted(names[i].split()[0] for i in (p.first, p.second))) for p in strange
        )
        print(f"  across: {dict(between.most_common(12))}")
    measure_planes(found, rows)
    others = np.array([look.sha256 not in family for look in found.looks])
    mixed = sum(others[p.first] != others[p.second] for p in pairs.at_least(COPY))
    print(f"copies between reviewed pictures and others: {mixed}")


if __name__ == "__main__":
    main()
