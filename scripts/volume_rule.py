r"""Measure the rule of volumes on stacks of neighbouring slices, since there are no volumes.

    python scripts/volume_rule.py --data manifest.csv --slices slices.csv \
        --table TABLE.csv --out rule.json

`slices.csv` and the table are those of Cheng's collection: which slice is of which scan, and
which picture is which slice. Its slices are 6 mm thick and 1 mm apart, and each shows the
tumour. Slices of one scan in one plane, in order, are a stack. There is no healthy volume, so:

- **alone**: the stack as it is. It cannot fail by a false alarm.
- **among heads**: eight slices of other people without a tumour before it and eight behind.
- **heads**: sixteen slices of people without a tumour. Each is another person, so that wrong
  answers have no neighbour that errs alike; in a real volume they do.

Answered by the rule, by the mean of all slices' probabilities, and by the one slice where a
tumour is most probable. On fold 1, which trains nothing; fold 0 is refused.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import Example
from tumorlens.data.manifest import read_manifest
from tumorlens.data.table import read_table
from tumorlens.images.prepare import prepare
from tumorlens.images.read import read_slices
from tumorlens.models.card import Card
from tumorlens.prediction import Prediction
from tumorlens.sources.failure import Failure
from tumorlens.sources.stream import answer_units
from tumorlens.volume_answer import VolumeAnswer, agree

SPACING = 7.0  # mm, of Cheng's slices
BREAK = 0.75  # correlation of thumbnails below which the next slice is of another plane
LEAST = 3  # slices of a stack
AROUND = 8  # slices without a tumour on each side
HEADS = 200  # stacks of them
DRAWS = 2000
NONE = "notumor"


@dataclass(frozen=True)
class Stack:
    """Slices in order, of whom, and what is known of them."""

    patient: str
    label: str
    paths: tuple[str, ...]
    mirrored: frozenset[str] = frozenset()  # which of them are flipped left to right


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("data", "slices", "table", "out"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--model", help="the default model if not given")
    parser.add_argument("--fold", type=int, default=1)
    given = parser.parse_args()
    if given.fold == 0:
        parser.error("fold 0 is for the final test; the rule is not chosen by it")
    manifest = read_manifest(given.data)
    examples = [e for e in manifest.examples(manifest.counted) if e.fold == given.fold]
    stacks = find_stacks(examples, given.slices, given.table)
    heads = sorted((e for e in examples if e.label == NONE), key=lambda e: e.path)
    classifier = load(given.model)
    wanted = [path for stack in stacks for path in stack.paths] + [str(e.path) for e in heads]
    rows = answer(classifier, wanted)
    found = measure(stacks, heads, rows, classifier.card)
    given.out.write_text(json.dumps(found | {"fold": given.fold}, indent=1) + "\n")
    print(report(found))


def find_stacks(examples: Sequence[Example], slices: Path, table: Path) -> list[Stack]:
    """Put the slices of each scan and plane in order, each slice once."""
    known = {"/".join(e.path.parts[-3:]): e for e in examples}
    of_slice = read_table(slices, "slices", ("slice", "scan", "patient"), "take Cheng's")
    scans = {row["slice"]: row for row in of_slice}
    found: dict[str, dict[int, tuple[Example, bool]]] = defaultdict(dict)
    for row in read_table(table, "a table", ("image", "slice", "mirrored"), "take that of Cheng"):
        example, mirrored = known.get(row["image"]), row["mirrored"] == "1"
        if example is None:
            continue
        place = found[scans[row["slice"]]["scan"]]
        if int(row["slice"]) not in place or not mirrored:
            place[int(row["slice"])] = (example, mirrored)
    return [
        Stack(
            scans[str(run[0])]["patient"],
            place[run[0]][0].label,
            tuple(paths),
            frozenset(str(place[i][0].path) for i in run if place[i][1]),
        )
        for place in found.values()
        for run in runs(place)
        if len(paths := [str(place[i][0].path) for i in run]) >= LEAST
    ]


def runs(place: dict[int, tuple[Example, bool]]) -> list[list[int]]:
    """Part the slices of a scan where the plane changes, or where more than one is missing."""
    order = sorted(place)
    seen = {i: thumbnail(*place[i]) for i in order}
    parts = [[order[0]]]
    for before, i in itertools.pairwise(order):
        if i - before > 2 or float((seen[before] * seen[i]).mean()) < BREAK:
            parts.append([])
        parts[-1].append(i)
    return parts


def thumbnail(example: Example, mirrored: bool) -> NDArray[np.float32]:  # noqa: FBT001
    """Show the head in 32 × 32 pixels of mean 0 and spread 1, the right way round."""
    pixels = prepare(read_slices(example.path)[0], 32).pixels
    pixels = pixels[:, :: -1 if mirrored else 1]
    return np.asarray((pixels - pixels.mean()) / max(float(pixels.std()), 1e-6))


def answer(classifier: Classifier, paths: Sequence[str]) -> dict[str, Prediction]:
    """Answer each picture once."""
    rows: dict[str, Prediction] = {}
    for item in answer_units(classifier, list(dict.fromkeys(paths))):
        if isinstance(item, Failure):
            raise item.error
        if isinstance(item, tuple):
            rows[str(item[0].path)] = item[0]
    return rows


def measure(
    stacks: Sequence[Stack], heads: Sequence[Example], rows: dict[str, Prediction], card: Card
) -> dict[str, Any]:
    """Answer the stacks in each setting and each way."""
    random = np.random.default_rng(0)
    families: dict[str, list[str]] = defaultdict(list)
    for head in heads:
        families[head.group].append(str(head.path))
    names = sorted(families)

    def draw(count: int) -> list[str]:
        """Take a picture of so many different people."""
        chosen = random.choice(len(names), count, replace=count > len(names))
        return [str(random.choice(families[names[i]])) for i in chosen]

    alone = [(stack, list(stack.paths)) for stack in stacks]
    among = []
    for stack in stacks:
        around = draw(2 * AROUND)
        among.append((stack, [*around[:AROUND], *stack.paths, *around[AROUND:]]))
    none = [(Stack(f"{i}", NONE, ()), draw(2 * AROUND)) for i in range(HEADS)]
    slices = [rows[path].label == stack.label for stack, paths in alone for path in paths]
    false = [np.mean([rows[path].label != NONE for path in family]) for family in families.values()]
    return {
        "model": card.id,
        "patients": len({stack.patient for stack in stacks}),
        "stacks": len(stacks),
        "slices": len(slices),
        "accuracy_of_slices": float(np.mean(slices)),
        "heads": len(heads),
        "families": len(families),
        "false_alarms_of_slices_by_family": float(np.mean(false)),
        "alone": judge(alone, rows, card),
        "among heads": judge(among, rows, card),
        "heads only": judge(none, rows, card),
    }


def judge(
    cases: Sequence[tuple[Stack, list[str]]], rows: dict[str, Prediction], card: Card
) -> dict[str, Any]:
    """Say how often each way is right, with intervals over patients."""
    ways: dict[str, Callable[[Sequence[Prediction], Card], tuple[str | None, tuple[str, ...]]]] = {
        "rule": by_rule,
        "mean": by_mean,
        "single slice": by_slice,
    }
    patients = [stack.patient for stack, _ in cases]
    found: dict[str, Any] = {"stacks": len(cases)}
    for name, way in ways.items():
        said = [way([rows[path] for path in paths], card) for _, paths in cases]
        truth = [stack.label for stack, _ in cases]
        right = [label == known for (label, _), known in zip(said, truth, strict=True)]
        found[name] = {
            "accuracy": share(right, patients),
            "called": {
                str(one): float(np.mean([label == one for label, _ in said]))
                for one in (*card.classes, None)
            },
        }
        if name == "rule":
            found[name]["undecided"] = float(
                np.mean([is_open(rows, paths, card) for _, paths in cases])
            )
            held = [known in chosen for (_, chosen), known in zip(said, truth, strict=True)]
            found[name]["in set"] = share(held, patients)
            found[name]["classes in set"] = float(np.mean([len(chosen) for _, chosen in said]))
    return found


def by_rule(stack: Sequence[Prediction], card: Card) -> tuple[str | None, tuple[str, ...]]:
    """Answer as volumes are."""
    said = by_agreement(stack, card)
    return said.label, said.prediction_set


def by_agreement(stack: Sequence[Prediction], card: Card) -> VolumeAnswer:
    """Take the stack for a volume."""
    answers = [replace(row, slice=i) for i, row in enumerate(stack)]
    same = [1.0] * len(stack)  # pictures of several scanners: no head is small beside another
    return agree(answers, same, card, slices=len(stack), spacing=SPACING)


def is_open(rows: dict[str, Prediction], paths: Sequence[str], card: Card) -> bool:
    """Say whether the rule leaves a stack undecided."""
    return by_agreement([rows[path] for path in paths], card).suspect is not None


def by_mean(stack: Sequence[Prediction], card: Card) -> tuple[str | None, tuple[str, ...]]:
    """Answer by the mean of the probabilities of all slices that are assessable."""
    used = [row.probabilities for row in stack if row.assessable]
    if not used:
        return None, ()
    means = {name: float(np.mean([p[name] for p in used])) for name in card.classes}
    return max(means, key=means.__getitem__), ()


def by_slice(stack: Sequence[Prediction], card: Card) -> tuple[str | None, tuple[str, ...]]:
    """Answer by the slice where a tumour is most probable."""
    used = [row.probabilities for row in stack if row.assessable]
    tumours = [name for name in card.classes if name != NONE]
    pairs = [(p[name], name) for p in used for name in tumours]
    if not pairs:
        return None, ()
    best, name = max(pairs)
    return (name if best >= 0.5 else NONE), ()


def share(right: Sequence[bool], patients: Sequence[str]) -> list[float]:
    """Give a share with its 95 % interval, drawing whole patients."""
    units = np.unique(patients, return_inverse=True)[1]
    hits, sizes = np.bincount(units, weights=right), np.bincount(units)
    drawn = np.random.default_rng(0).integers(len(sizes), size=(DRAWS, len(sizes)))
    shares = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return [float(np.mean(right)), float(low), float(high)]


def report(found: dict[str, Any]) -> str:
    """Say it in lines."""
    lines = [
        (
            f"{found['model']}: {found['stacks']} stacks, {found['slices']} slices, "
            f"{found['patients']} patients; {found['heads']} pictures without a tumour, "
            f"{found['families']} families"
        ),
        (
            f"single slices: {found['accuracy_of_slices']:.3f} right; called a tumour, families "
            f"counted once: {found['false_alarms_of_slices_by_family']:.3f}"
        ),
    ]
    for setting in ("alone", "among heads", "heads only"):
        for way in ("rule", "mean", "single slice"):
            here = found[setting][way]
            mid, low, high = here["accuracy"]
            line = f"{setting:<12} {way:<13} {mid:.3f}"
            if setting != "heads only":  # those stacks share their pictures
                line += f" ({low:.3f} to {high:.3f})"
            line += f"; called no tumour {here['called'][NONE]:.3f}"
            if "in set" in here:
                line += f"; undecided {here['undecided']:.3f}; in set {here['in set'][0]:.3f}"
                line += f", {here['classes in set']:.2f} classes"
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
