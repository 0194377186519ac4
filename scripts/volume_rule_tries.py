r"""Try rules for volumes on one half of fold 1, and say what they do on the other.

    python scripts/volume_rule_tries.py --data manifest.csv --slices slices.csv \
        --table TABLE.csv --cache ANSWERS.npz --figure OUT.png

The stacks are those of `volume_rule.py`, which says what of them is made up. Patients with a
tumour and families without are parted in halves. Each rule gives a stack one number; above its
threshold the stack is called a tumour. The threshold is the lowest with at most 5 % of the
healthy stacks of the first half above it. Beside `strangers` (each healthy slice is of another
person) there are `alike`: three pictures in a row of one person's family, copies for the most
part, which err together. Real neighbours lie between.

The network is asked once: its answers and the places of its evidence are kept in the cache.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from volume_rule import AROUND, NONE, Stack, find_stacks

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import Example
from tumorlens.data.manifest import read_manifest
from tumorlens.explain.cam import grad_cam
from tumorlens.images.read import read_slices
from tumorlens.report.style import COLOURS, FAINT, INK, figure_style, new_figure, to_png

Array = NDArray[np.float64]

FALSE_ALARMS = 0.05
HEADS = 400  # healthy stacks of a half
BATCH = 16
NEAR = 0.2  # of the head: how far the evidence of neighbours may lie apart
FLOOR = 0.01  # of a probability, where means are of logarithms
_COLOURS = (FAINT, *COLOURS[1:2], *COLOURS[:1], *COLOURS[2:6])
OLD, NEW = ("the mean of 3 slices", 0.5), ("the geometric mean of 3", 0.8)


@dataclass(frozen=True)
class Answers:
    """Of each picture the probabilities ``(n, classes)`` and the evidence's peaks, in shares."""

    row: dict[str, int]
    classes: tuple[str, ...]
    probabilities: Array
    peaks: Array

    @property
    def tumours(self) -> list[int]:
        """Which classes are tumours."""
        return [i for i, name in enumerate(self.classes) if name != NONE]


@dataclass(frozen=True)
class Case:
    """A stack: which pictures, and what it is."""

    label: str
    rows: list[int]


Rule = Callable[[Array, Array], Array]
"""From probabilities ``(n, classes)`` and peaks of a window to a number a class."""


def mean(p: Array, _: Array) -> Array:
    """Average the probabilities."""
    return p.mean(axis=0)


def least(p: Array, _: Array) -> Array:
    """Take the slice that agrees least."""
    return p.min(axis=0)


def odds(p: Array, _: Array) -> Array:
    """Average the log-odds, and turn them into a probability again."""
    q = np.clip(p, FLOOR, 1 - FLOOR)
    return 1 / (1 + np.exp(-np.log(q / (1 - q)).mean(axis=0)))


def geometric(p: Array, _: Array) -> Array:
    """Average the logarithms, and make the classes add up to 1 again: the rule of volumes."""
    joined = np.exp(np.log(np.maximum(p, FLOOR)).mean(axis=0))
    return np.asarray(joined / joined.sum())


def in_place(p: Array, peaks: Array) -> Array:
    """Do the same where the evidence of neighbours lies at one place."""
    steps = np.hypot(*np.moveaxis(np.diff(peaks, axis=0), -1, 0))
    return np.where(steps.max(axis=0, initial=0) <= NEAR, geometric(p, peaks), 0.0)


RULES: dict[str, tuple[Rule, int]] = {
    "one slice": (mean, 0),
    OLD[0]: (mean, 1),
    NEW[0]: (geometric, 1),
    "the geometric mean of 5": (geometric, 2),
    "the mean log-odds of 3": (odds, 1),
    "all 3 agree": (least, 1),
    "geometric, at one place": (in_place, 1),
}


def main() -> None:
    """Try, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("data", "slices", "table", "cache", "figure"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--model", help="the default model if not given")
    given = parser.parse_args()
    manifest = read_manifest(given.data)
    examples = [e for e in manifest.examples(manifest.counted) if e.fold == 1]
    stacks = find_stacks(examples, given.slices, given.table)
    heads = sorted((e for e in examples if e.label == NONE), key=lambda e: e.path)
    if not given.cache.exists():
        paths = [path for stack in stacks for path in stack.paths] + [str(e.path) for e in heads]
        ask(load(given.model), list(dict.fromkeys(paths)), given.cache)
    answers = read_answers(given.cache)
    for path in set().union(*(stack.mirrored for stack in stacks)):
        answers.peaks[answers.row[path], :, 1] = 1 - answers.peaks[answers.row[path], :, 1]
    halves = [settings(*half, answers) for half in part(stacks, heads)]
    print(report(halves, answers))
    given.figure.write_bytes(draw(halves, answers))


def ask(classifier: Classifier, paths: Sequence[str], cache: Path) -> None:
    """Ask the network about each picture, and keep what it says."""
    rows, peaks = [], []
    card, head = classifier.card, classifier.head
    each = np.eye(len(card.classes), dtype=np.float32)
    for start in range(0, len(paths), BATCH):
        pictures = [read_slices(Path(path))[0] for path in paths[start : start + BATCH]]
        prepared = [card.input.prepare(picture) for picture in pictures]
        said, features = classifier.features(pictures, prepared)
        for answer, seen in zip(said, features, strict=True):
            rows.append([answer.probabilities[name] for name in card.classes])
            peaks.append([_peak(grad_cam(seen, head.gradient(seen, one))) for one in each])
    classes = card.classes
    np.savez(cache, paths=paths, classes=classes, probabilities=rows, peaks=peaks)


def _peak(cells: NDArray[np.float32]) -> list[float]:
    """Say where evidence is strongest, in shares of what the network saw."""
    row, column = np.unravel_index(int(cells.argmax()), cells.shape)
    return [(float(row) + 0.5) / cells.shape[0], (float(column) + 0.5) / cells.shape[1]]


def read_answers(cache: Path) -> Answers:
    """Read what was kept."""
    with np.load(cache, allow_pickle=False) as kept:
        rows = {path: i for i, path in enumerate(kept["paths"].tolist())}
        classes = tuple(kept["classes"].tolist())
        return Answers(rows, classes, kept["probabilities"], kept["peaks"])


def part(
    stacks: Sequence[Stack], heads: Sequence[Example]
) -> list[tuple[list[Stack], list[list[str]]]]:
    """Part patients and families in halves."""
    random = np.random.default_rng(0)
    families: dict[str, list[str]] = defaultdict(list)
    for head in heads:
        families[head.group].append(str(head.path))
    people, groups = sorted({s.patient for s in stacks}), sorted(families)
    random.shuffle(people)
    random.shuffle(groups)
    return [
        (
            [s for s in stacks if s.patient in set(people[i::2])],
            [families[name] for name in sorted(groups[i::2])],
        )
        for i in range(2)
    ]


def settings(
    stacks: Sequence[Stack], families: Sequence[Sequence[str]], answers: Answers
) -> dict[str, list[Case]]:
    """Make the stacks of a half."""
    random = np.random.default_rng(1)

    def draw_heads(count: int, each: int = 1) -> list[int]:
        """Take pictures of different people, of each so many in a row."""
        people = -(-count // each)
        chosen = random.choice(len(families), people, replace=people > len(families))
        names = [
            str(name)
            for i in chosen
            for name in random.choice(families[i], each, replace=each > len(families[i]))
        ]
        return [answers.row[name] for name in names[:count]]

    tumours = [Case(s.label, [answers.row[path] for path in s.paths]) for s in stacks]
    among = []
    for case in tumours:
        around = draw_heads(2 * AROUND)
        among.append(Case(case.label, [*around[:AROUND], *case.rows, *around[AROUND:]]))
    return {
        "alone": tumours,
        "among heads": among,
        "strangers": [Case(NONE, draw_heads(2 * AROUND)) for _ in range(HEADS)],
        "alike": [Case(NONE, draw_heads(2 * AROUND, 3)) for _ in range(HEADS)],
    }


def score(cases: Sequence[Case], rule: str, answers: Answers) -> tuple[Array, NDArray[np.bool_]]:
    """Give each stack its number, and whether the class behind it is the right one."""
    how, reach = RULES[rule]
    p, peaks, tumours = answers.probabilities, answers.peaks, answers.tumours
    numbers, right = [], []
    for case in cases:
        rows = case.rows
        near = [rows[max(0, i - reach) : i + reach + 1] for i in range(len(rows))]
        found = np.array([how(p[window], peaks[window])[tumours] for window in near])
        at, best = np.unravel_index(int(found.argmax()), found.shape)
        numbers.append(found[at, best])
        right.append(answers.classes[tumours[int(best)]] == case.label)
    return np.array(numbers), np.array(right)


def fit(half: dict[str, list[Case]], rule: str, answers: Answers) -> float:
    """Find the lowest threshold with few enough false alarms."""
    numbers = score(half["strangers"], rule, answers)[0]
    return float(np.quantile(numbers, 1 - FALSE_ALARMS, method="higher"))


def shares(
    half: dict[str, list[Case]], rule: str, threshold: float, answers: Answers
) -> dict[str, float]:
    """Say of each setting how many stacks are called a tumour, of tumours the right one."""
    found = {}
    for name, cases in half.items():
        numbers, right = score(cases, rule, answers)
        counts = numbers > threshold
        found[name] = float(np.mean(counts & right if cases[0].label != NONE else counts))
    return found


def report(halves: Sequence[dict[str, list[Case]]], answers: Answers) -> str:
    """Say it in lines."""
    sizes = [len(half["alone"]) for half in halves]
    names = list(halves[0])
    head = "".join(f"{name:>13}" for name in names)
    lines = [f"stacks with a tumour: {sizes[0]} and {sizes[1]}"]
    for first, other in ((0, 1), (1, 0)):
        lines += [f"chosen on half {first + 1}", f"{'':<28} thr. half{head}"]
        for rule in RULES:
            threshold = fit(halves[first], rule, answers)
            for where in (first, other):
                got = shares(halves[where], rule, threshold, answers)
                row = "".join(f"{got[name]:>13.3f}" for name in names)
                lines.append(f"{rule:<28}{threshold:>5.2f} {where + 1:>4}{row}")
    lines += [f"fixed thresholds, both halves\n{'':<28} thr. half{head}"]
    fixed = [OLD, *((NEW[0], t) for t in (0.6, 0.7, NEW[1], 0.9))]
    for rule, threshold in fixed:
        for where, half in enumerate(halves):
            got = shares(half, rule, threshold, answers)
            row = "".join(f"{got[name]:>13.3f}" for name in names)
            lines.append(f"{rule:<28}{threshold:>5.2f} {where + 1:>4}{row}")
    return "\n".join(lines)


def draw(halves: Sequence[dict[str, list[Case]]], answers: Answers) -> bytes:
    """Draw what is found against false alarms, for both halves."""
    with figure_style():
        figure = new_figure(
            9,
            4.6,
            "Tumours found against false alarms, by rule",
            "Each line is one rule at every threshold; up and to the left is better. "
            "Dotted: 5 %, to which thresholds were fitted on half 1.",
        )
        panels = figure.subplots(1, 2, sharey=True)
        lines = (":", "-", "-", "--", "-.", ":", "--")
        for i, (axes, half) in enumerate(zip(panels, halves, strict=True)):
            for rule, colour, line in zip(RULES, _COLOURS, lines, strict=True):
                false = score(half["strangers"], rule, answers)[0]
                numbers, right = score(half["among heads"], rule, answers)
                steps = np.unique([*false, *numbers])
                x = [float(np.mean(false > t)) for t in steps]
                y = [float(np.mean((numbers > t) & right)) for t in steps]
                wide = 2.4 if rule == NEW[0] else 1.4
                axes.plot(x, y, line, color=colour, label=rule, linewidth=wide)
            for mark, (rule, threshold), text in (("o", OLD, "before"), ("D", NEW, "now")):
                got = shares(half, rule, threshold, answers)
                colour = _COLOURS[list(RULES).index(rule)]
                place, name = (got["strangers"], got["among heads"]), f"{text}: from {threshold}"
                axes.plot(*place, mark, color=colour, markeredgecolor=INK, label=name, zorder=5)
            axes.axvline(FALSE_ALARMS, color=FAINT, linewidth=0.8, linestyle=":")
            axes.set_title(f"half {i + 1} of the people")
            axes.set_xlim(-0.01, 0.61)
            axes.set_ylim(0.7, 1.0)
            axes.set_xlabel("healthy stacks called a tumour")
        panels[0].set_ylabel("tumour stacks named rightly")
        panels[1].legend(loc="lower right", fontsize=8, frameon=False)
        return to_png(figure)


if __name__ == "__main__":
    main()
