"""Build the published manifest of the 7,023 pictures.

    python scripts/build_published_manifest.py DATA SLICES.csv MATCHES.csv OUT.csv

DATA holds ``Training`` and ``Testing``. SLICES.csv (columns ``slice``, ``patient``,
``label``) lists the slices of the source of most tumour pictures, MATCHES.csv (columns
``image``, ``slice``, ``patient``, ``label``) says which picture is which slice.

Pictures of one patient are one group, and so are pictures alike at `KIN`; where such a
pair joins two groups they become one. A label is put right where the source says so.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from pathlib import Path

from tumorlens.apps.cli.meter import Meter
from tumorlens.data.duplicates import COPY, KIN, Pair, clusters, find_pairs
from tumorlens.data.folder import find_examples
from tumorlens.data.folds import assign_folds, imbalance
from tumorlens.data.survey import Survey, survey
from tumorlens.files import write_whole


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def name_groups(found: Survey, patients: list[str | None], pairs: list[Pair]) -> list[str]:
    """Name each picture's group: ``P…`` where it has patients, ``C…`` otherwise."""
    links = [(pair.first, pair.second) for pair in pairs]
    for keys in (patients, [look.pixel_sha256 for look in found.looks]):
        first: dict[str, int] = {}
        links += [(first.setdefault(key, i), i) for i, key in enumerate(keys) if key]
    roots = clusters(len(found.looks), links)
    members: dict[int, set[str]] = {}
    for root, patient in zip(roots, patients, strict=True):
        members.setdefault(root, set()).update({patient} if patient else ())
    # Numbered by the smallest hash, so that neither paths nor their order matter.
    smallest: dict[int, str] = {}
    for root, look in zip(roots, found.looks, strict=True):
        smallest[root] = min(smallest.get(root, look.sha256), look.sha256)
    unnamed = sorted((root for root in members if not members[root]), key=smallest.__getitem__)
    names = {root: f"C{number:04d}" for number, root in enumerate(unnamed, start=1)}
    names.update({root: min(people) for root, people in members.items() if people})
    joined = [sorted(people) for people in members.values() if len(people) > 1]
    print(f"patients joined by look-alike pictures: {joined}")
    return [names[root] for root in roots]


def main() -> None:
    """Read all, group, split, check, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "slices", "matches", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    examples = find_examples(arguments.data)
    found = survey(examples, Meter())
    assert not found.unreadable, found.unreadable
    source = {row["slice"]: row for row in read_rows(arguments.slices)}
    match = {row["image"]: source[row["slice"]] for row in read_rows(arguments.matches)}
    rows = [
        match.get(look.example.path.relative_to(arguments.data).as_posix()) for look in found.looks
    ]
    labels = [
        row["label"] if row else look.example.label
        for row, look in zip(rows, found.looks, strict=True)
    ]
    wrong = [
        f"{look.example.path.name}: {look.example.label} -> {label}"
        for look, label in zip(found.looks, labels, strict=True)
        if look.example.label != label
    ]
    print(f"labels put right: {wrong}")
    pairs = find_pairs(found.fingerprints, least=KIN, progress=Meter())
    print(f"pairs alike: {len(pairs)}, copies: {sum(p.similarity >= COPY for p in pairs)}")
    groups = name_groups(found, [row["patient"] if row else None for row in rows], pairs)
    folds = assign_folds(labels, groups, folds=5, seed=0)

    crossing = [p for p in pairs if folds[p.first] != folds[p.second]]
    assert not crossing, crossing[:3]
    assert len({(g, f) for g, f in zip(groups, folds, strict=True)}) == len(set(groups))
    sizes = Counter(groups)
    print(f"groups: {len(sizes)}, largest: {sizes.most_common(3)}")
    none = Counter(g for g, label in zip(groups, labels, strict=True) if label == "notumor")
    print(f"groups of notumor: {len(none)}, largest: {none.most_common(3)}")
    mixed = [
        g
        for g in sizes
        if len({label for label, h in zip(labels, groups, strict=True) if h == g}) > 1
    ]
    print(f"groups of several labels: {mixed}")
    for fold in range(5):
        print(
            fold,
            dict(
                sorted(
                    Counter(
                        label for label, f in zip(labels, folds, strict=True) if f == fold
                    ).items()
                )
            ),
        )
    print(
        "largest over smallest fold, less 1:",
        {k: round(v, 4) for k, v in imbalance(labels, folds).items()},
    )

    # A row for each file: some are equal to the byte, and stand there as often.
    table = sorted(
        (look.sha256, label, group, fold)
        for look, label, group, fold in zip(found.looks, labels, groups, folds, strict=True)
    )
    print(f"rows: {len(table)}, different files: {len(set(table))}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("sha256", "label", "group", "fold"))
    writer.writerows(table)
    write_whole(arguments.out, text.getvalue())


if __name__ == "__main__":
    main()
