"""What may be trained on when what is to be tested: nothing of the same group.

Everything that trains or evaluates comes through `select`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorlens.data.folder import CLASSES, Example, find_examples
from tumorlens.data.folds import assign_folds
from tumorlens.data.manifest import Entry, Manifest, read_manifest
from tumorlens.data.published import TEST_FOLD, VERSION, published
from tumorlens.errors import DataError

__all__ = ["Leaks", "Selection", "check_leaks", "select", "split_manifest"]


@dataclass(frozen=True, slots=True)
class Leaks:
    """What training and test pictures share. False when that is nothing.

    Parameters
    ----------
    groups
        Patients or clusters on both sides.
    twins
        Test pictures whose decoded pixels are also in training.
    near
        Test pictures with a near-duplicate in training.
    """

    groups: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    near: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups or self.twins or self.near)

    def __str__(self) -> str:
        parts = (
            (self.groups, "groups on both sides"),
            (self.twins, "test pictures that are in training, pixel by pixel"),
            (self.near, "test pictures with a near-duplicate in training"),
        )
        return ", ".join(f"{len(what)} {text} (such as {what[0]})" for what, text in parts if what)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pictures of a data set to train on, and which to keep for testing.

    Parameters
    ----------
    training, testing
        The pictures of each.
    leaky
        Whether the test pictures, or twins of them, may be among the training ones;
        every figure made with such a selection must say so.
    origin
        How it was chosen, for a run's record.
    """

    training: tuple[Example, ...]
    testing: tuple[Example, ...]
    leaky: bool
    origin: dict[str, Any]


def split_manifest(
    manifest: Manifest, *, folds: int = 5, seed: int = 0, keep: bool = False
) -> Manifest:
    """Give every picture a fold: stratified by class, whole groups only.

    Parameters
    ----------
    manifest
        Its pictures must have groups.
    folds
        How many.
    seed
        The same seed gives the same folds.
    keep
        Whether groups that have a fold stay in it, such as the published ones.

    Raises
    ------
    DataError
        When pictures have no group, a group lies in two folds already, or a class has
        fewer groups than there are folds.
    """
    bare = [entry.path for entry in manifest.entries if not entry.group]
    if bare:
        raise DataError(
            f"{len(bare)} pictures have no group, such as {bare[0]}; "
            "make the manifest with `--groups auto`"
        )
    fixed: dict[str, int] = {}
    for entry in manifest.entries if keep else ():
        if entry.fold is not None and fixed.setdefault(entry.group, entry.fold) != entry.fold:
            raise DataError(f"group {entry.group} lies in folds {fixed[entry.group]}, {entry.fold}")
    groups = [entry.group for entry in manifest.entries]
    return manifest.with_folds(
        assign_folds(manifest.labels, groups, folds=folds, seed=seed, fixed=fixed)
    )


def check_leaks(
    train: Sequence[Entry],
    test: Sequence[Entry],
    *,
    pairs: Iterable[tuple[str, str]] = (),
    allow_leaks: bool = False,
) -> Leaks:
    """Refuse to test on what was trained on.

    Parameters
    ----------
    train, test
        The pictures of each side.
    pairs
        Near-duplicates where they are known, as an audit lists them: two paths each.
    allow_leaks
        Whether to go on all the same; what is made then must say that it is leaky.

    Returns
    -------
    Leaks
        What the two sides share; false when that is nothing.

    Raises
    ------
    DataError
        When they share anything and that is not allowed.
    """
    groups = {e.group for e in train if e.group} & {e.group for e in test if e.group}
    pixels = {e.pixel_sha256 for e in train}
    sides = ({e.path for e in train}, {e.path for e in test})
    crossing = {
        other
        for pair in pairs
        for one, other in (pair, pair[::-1])
        if one in sides[0] and other in sides[1]
    }
    leaks = Leaks(
        tuple(sorted(groups)),
        tuple(sorted(e.path for e in test if e.pixel_sha256 in pixels)),
        tuple(sorted(crossing)),
    )
    if leaks and not allow_leaks:
        raise DataError(
            f"the test pictures leak into training: {leaks}; split anew with `tumorlens data "
            "split`, or allow it with --allow-leaks and have every result called leaky"
        )
    return leaks


def select(
    data: str | os.PathLike[str],
    *,
    test_folds: Sequence[int] = (TEST_FOLD,),
    allow_leaks: bool = False,
) -> Selection:
    """Choose what to train on.

    Parameters
    ----------
    data
        A manifest: everything that has a fold is for training but the test folds and what
        is excluded. Or a folder: ``Training`` is, or all of it when it is not split, and
        what else there is is for testing; since nothing is known of patients there, such a
        selection counts as leaky.
    test_folds
        The folds to keep for testing; of a manifest only.
    allow_leaks
        See `check_leaks`.

    Raises
    ------
    DataError
        When the data is not as it should be, a fold is empty, or it leaks.
    """
    source = Path(data)
    if source.is_dir():
        return _select_folder(source)
    manifest = read_manifest(source)
    chosen = sorted(set(test_folds))
    test = [entry for entry in manifest.counted if entry.fold in chosen]
    train = [e for e in manifest.counted if e.fold is not None and e.fold not in chosen]
    known = sorted({e.fold for e in manifest.counted if e.fold is not None})
    absent = [fold for fold in chosen if fold not in known]
    if absent or not train:
        what = f"no fold {absent[0]}" if absent else "nothing left to train on"
        raise DataError(
            f"{source} has {what} (its folds: {', '.join(map(str, known)) or 'none'}); "
            "run `tumorlens data split` on it, or name other folds with --test-fold"
        )
    leaks = check_leaks(train, test, allow_leaks=allow_leaks)
    origin = {
        "manifest_sha256": manifest.sha256,
        "test_folds": chosen,
        "without_fold": len(manifest.counted) - len(train) - len(test),
        "excluded": manifest.excluded,
        "published_folds_kept": _published_folds_kept(train),
        "published_version": VERSION,
    }
    return Selection(
        tuple(manifest.examples(train)), tuple(manifest.examples(test)), bool(leaks), origin
    )


def _published_folds_kept(train: Iterable[Entry]) -> list[int]:
    """Name the published folds of which nothing is trained on.

    No group crosses those folds, so that none of their patients is, either. Only where all
    that is trained on is of the published set can that be known.
    """
    rows = published()
    used = [rows.get(entry.sha256) for entry in train]
    if None in used:
        return []
    return sorted({row.fold for row in rows.values()} - {row.fold for row in used if row})


def _select_folder(root: Path) -> Selection:
    examples = find_examples(root)
    train = tuple(e for e in examples if e.split in ("", "Training"))
    test = tuple(e for e in examples if e.split not in ("", "Training"))
    missing = sorted(set(CLASSES) - {example.label for example in train})
    if missing:
        raise DataError(f"{root} holds no pictures of {', '.join(missing)} to train on")
    return Selection(train, test, leaky=True, origin={"split": "official" if test else "random"})
