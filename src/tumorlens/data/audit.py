"""What is wrong with a data set: copies, leaks, wrong labels, shortcuts, odd files."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tumorlens.data.candidates import MIRRORED
from tumorlens.data.copies import Curve, measure_curve
from tumorlens.data.duplicates import COPY, KIN, Pair, clusters, compare_all
from tumorlens.data.folder import Example, find_examples
from tumorlens.data.manifest import read_manifest
from tumorlens.data.odd import find_odd
from tumorlens.data.published import published
from tumorlens.data.shortcuts import Shortcuts, measure_shortcuts
from tumorlens.data.survey import Look, Survey, survey
from tumorlens.data.traits import Traits, measure_traits
from tumorlens.errors import DataError
from tumorlens.progress import Progress, silent

__all__ = ["Audit", "Finding", "Twins", "audit_data"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Two pictures that show the same.

    Parameters
    ----------
    first, second
        Their paths, from the data set's folder, with ``/``.
    labels
        Their labels.
    splits
        Their official splits; empty texts where there are none.
    similarity
        1 for equal pixels.
    exact
        Whether their decoded pixels are equal.
    way
        How the second must be turned to lie like the first: one of
        `tumorlens.data.candidates.WAYS`.
    """

    first: str
    second: str
    labels: tuple[str, str]
    splits: tuple[str, str]
    similarity: float
    exact: bool
    way: str

    @property
    def across(self) -> bool:
        """Whether one is for training and the other for testing."""
        return self.splits[0] != self.splits[1]

    @property
    def conflicting(self) -> bool:
        """Whether their labels differ."""
        return self.labels[0] != self.labels[1]


@dataclass(frozen=True, slots=True)
class Twins:
    """Test pictures of a class that have a twin in training."""

    pictures: int
    exact: int
    near: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole result.

    Parameters
    ----------
    name
        Of the data set's folder or manifest.
    examples
        The pictures that were read, in order.
    counts
        Pictures by split, then class.
    modes, sizes
        For each class the modes and the commonest sizes, with how often they occur.
    findings
        Every pair of copies.
    alike
        How many more pairs are alike without being copies.
    exact_groups
        Groups of pictures of equal pixels.
    twins
        By class; empty when the data has no official split.
    across_folds
        Pairs of copies, and of pictures merely alike, in different folds; ``None``
        when no folds are known.
    shortcuts
        ``None`` when there are too few pictures to tell.
    odd
        For each oddity the files that have it.
    unreadable
        Files, and why.
    traits
        By class: which way up, in which plane, with what marks its slices are.
    curve
        How the threshold was checked.
    seconds
        What each stage took.
    """

    name: str
    examples: tuple[Example, ...]
    counts: dict[str, dict[str, int]]
    modes: dict[str, dict[str, int]]
    sizes: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]
    alike: int
    exact_groups: tuple[tuple[str, ...], ...]
    twins: dict[str, Twins]
    across_folds: tuple[int, int] | None
    shortcuts: Shortcuts | None
    odd: dict[str, tuple[str, ...]]
    unreadable: dict[str, str]
    traits: dict[str, Traits]
    curve: Curve
    seconds: dict[str, float]

    def totals(self) -> dict[str, int]:
        """Count what was found."""
        exact = [f for f in self.findings if f.exact]
        near = [f for f in self.findings if not f.exact]
        split = any(example.split for example in self.examples)
        return {
            "pictures": len(self.examples),
            "unreadable": len(self.unreadable),
            "exact_groups": len(self.exact_groups),
            "exact_pictures": sum(map(len, self.exact_groups)),
            "exact_pairs": len(exact),
            "near_pairs": len(near),
            "near_pairs_mirrored": sum(f.way == MIRRORED for f in near),
            "near_pairs_turned": sum(f.way not in ("", MIRRORED) for f in near),
            "alike_pairs": self.alike,
            "pairs_across_splits": sum(f.across for f in self.findings) if split else 0,
            "pairs_of_different_labels": sum(f.conflicting for f in self.findings),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        values = asdict(self)
        del values["examples"]
        return {
            "name": self.name,
            "totals": self.totals(),
            "thresholds": {"copy": COPY, "alike": KIN},
            **values,
        }


def audit_data(
    source: str | os.PathLike[str],
    *,
    sample: int = 200,
    seed: int = 0,
    progress: Progress = silent,
) -> Audit:
    """Look for everything that makes results on a data set better than they are.

    Parameters
    ----------
    source
        A folder as `tumorlens.data.folder.find_examples` takes it, or a manifest.
    sample
        How many pictures to copy to check the threshold.
    seed
        Of that sample and of the shortcut baseline.
    progress
        Told of every stage.

    Raises
    ------
    DataError
        When the data is not laid out as expected, or nothing in it can be read.
    MissingExtraError
        When SciPy or scikit-learn is not installed.
    """
    root, examples = _open(Path(source))
    clock = _Clock()
    found = survey(examples, progress)
    clock("reading")
    pairs = compare_all(found.fingerprints, progress=progress)
    clock("comparing")
    kin = pairs.at_least(KIN)
    names = [_name(look.example.path, root) for look in found.looks]
    findings = _findings(found.looks, names, kin)
    groups = _groups(found, kin)
    shortcuts = _shortcuts(found.looks, groups, seed)
    clock("shortcuts")
    curve = measure_curve(found, pairs, sample=sample, seed=seed, progress=progress)
    clock("checking the threshold")
    return Audit(
        name=Path(source).resolve().name,
        examples=tuple(look.example for look in found.looks),
        counts=_counts(found.looks),
        modes=_tally(found.looks, lambda look: look.mode),
        sizes=_tally(found.looks, lambda look: f"{look.width} × {look.height}"),
        findings=findings,
        alike=sum(pair.similarity < COPY for pair in kin),
        exact_groups=_exact_groups(found.looks, names),
        twins=_twins(found.looks, names, findings),
        across_folds=_across_folds(found.looks, findings, kin, names),
        shortcuts=shortcuts,
        odd=find_odd(found.looks, names),
        unreadable={_name(bad.path, root): bad.reason for bad in found.unreadable},
        traits=measure_traits(found, kin),
        curve=curve,
        seconds=clock.seconds,
    )


class _Clock:
    """Notes how long each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] = round(now - self._last, 2)
        self._last = now


def _open(source: Path) -> tuple[Path, list[Example]]:
    """Root, and pictures with the labels of their folders, right or wrong."""
    if source.is_dir():
        return source, find_examples(source)
    manifest = read_manifest(source)
    entries = zip(manifest.examples(), manifest.entries, strict=True)
    return manifest.root, [replace(example, label=entry.label) for example, entry in entries]


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _findings(looks: Sequence[Look], names: Sequence[str], kin: list[Pair]) -> tuple[Finding, ...]:
    """Give all copies, worst first: those of different labels, then across splits."""
    known = {(pair.first, pair.second): pair for pair in kin if pair.similarity >= COPY}
    same: dict[str, list[int]] = defaultdict(list)
    for position, look in enumerate(looks):
        for earlier in same[look.pixel_sha256]:
            known[earlier, position] = Pair(earlier, position, 1.0)
        same[look.pixel_sha256].append(position)
    findings = [
        Finding(
            first=names[one],
            second=names[other],
            labels=(looks[one].example.label, looks[other].example.label),
            splits=(looks[one].example.split, looks[other].example.split),
            similarity=pair.similarity,
            exact=looks[one].pixel_sha256 == looks[other].pixel_sha256,
            way=pair.way,
        )
        for (one, other), pair in sorted(known.items())
    ]
    return tuple(sorted(findings, key=lambda f: (not f.conflicting, not f.across, -f.similarity)))


def _exact_groups(looks: Sequence[Look], names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    same: dict[str, list[str]] = defaultdict(list)
    for look, name in zip(looks, names, strict=True):
        same[look.pixel_sha256].append(name)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)


def _groups(found: Survey, kin: list[Pair]) -> list[str]:
    """Patient where one is known, otherwise cluster of look-alikes."""
    known = published()
    keys = [
        look.example.group or (known[look.sha256].group if look.sha256 in known else "")
        for look in found.looks
    ]
    first: dict[str, int] = {}
    links = [(pair.first, pair.second) for pair in kin]
    links += [(first.setdefault(key, i), i) for i, key in enumerate(keys) if key]
    return [str(root) for root in clusters(len(found.looks), links)]


def _twins(
    looks: Sequence[Look], names: Sequence[str], findings: Sequence[Finding]
) -> dict[str, Twins]:
    """Count the test pictures with a twin in training."""
    exact, near = set(), set()
    for finding in findings:
        if finding.across:
            test = finding.first if finding.splits[0] == "Testing" else finding.second
            near.add(test)
            if finding.exact:
                exact.add(test)
    result: dict[str, Twins] = {}
    for label in sorted({look.example.label for look in looks}):
        of_class = {
            name
            for look, name in zip(looks, names, strict=True)
            if look.example.split == "Testing" and look.example.label == label
        }
        if of_class:
            result[label] = Twins(len(of_class), len(of_class & exact), len(of_class & near))
    return result


def _across_folds(
    looks: Sequence[Look],
    findings: Sequence[Finding],
    kin: Sequence[Pair],
    names: Sequence[str],
) -> tuple[int, int] | None:
    known = published()
    fold = [
        known[x.sha256].fold if x.example.fold is None and x.sha256 in known else x.example.fold
        for x in looks
    ]
    if None in fold:
        return None
    counts = [not (x.sha256 in known and known[x.sha256].excluded) for x in looks]
    of_name = dict(zip(names, zip(fold, counts, strict=True), strict=True))

    def leaks(one: tuple[int | None, bool], other: tuple[int | None, bool]) -> bool:
        return one[0] != other[0] and one[1] and other[1]  # what does not count leaks nothing

    return (
        sum(leaks(of_name[f.first], of_name[f.second]) for f in findings),
        sum(
            leaks((fold[p.first], counts[p.first]), (fold[p.second], counts[p.second]))
            for p in kin
            if p.similarity < COPY
        ),
    )


def _shortcuts(looks: Sequence[Look], groups: Sequence[str], seed: int) -> Shortcuts | None:
    try:
        return measure_shortcuts(looks, groups, seed=seed)
    except DataError:
        return None


def _counts(looks: Sequence[Look]) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for look in looks:
        row = result.setdefault(look.example.split or "all", {})
        row[look.example.label] = row.get(look.example.label, 0) + 1
    return result


def _tally(looks: Sequence[Look], key: Any) -> dict[str, dict[str, int]]:
    """Count something by class, commonest first, the rest together."""
    result = {}
    for label in sorted({look.example.label for look in looks}):
        counts = Counter(key(look) for look in looks if look.example.label == label)
        row = dict(counts.most_common(5))
        if len(counts) > len(row):
            row["other"] = sum(counts.values()) - sum(row.values())
        result[label] = row
    return result
