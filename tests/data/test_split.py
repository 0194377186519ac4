"""Folds that hold whole groups, and the check that refuses what leaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorlens.data.folder import CLASSES
from tumorlens.data.folds import assign_folds, imbalance
from tumorlens.data.manifest import Entry, Manifest, write_manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.data.published import published
from tumorlens.data.split import check_leaks, select, split_manifest
from tumorlens.errors import DataError


def entry(number: int, label: str = "glioma", group: str = "", fold: int | None = None) -> Entry:
    return Entry(
        path=f"{label}/{number}.png",
        sha256=f"{number:064x}",
        pixel_sha256=f"{number:064x}",
        label=label,
        corrected_label=label,
        width=8,
        height=8,
        mode="L",
        format="PNG",
        bytes=100,
        group=group or f"G{number}",
        fold=fold,
    )


def many(seed: int = 0, groups: int = 60) -> Manifest:
    """Groups of one to nine pictures, of all classes."""
    random = np.random.default_rng(seed)
    entries = []
    for group in range(groups):
        label = CLASSES[group % 4]
        entries += [
            entry(len(entries) + i, label, f"P{group:03d}") for i in range(random.integers(1, 10))
        ]
    return Manifest(tuple(entries), Path())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_folds_keep_groups_whole_and_classes_even(seed: int) -> None:
    split = split_manifest(many(groups=200), folds=5, seed=seed)
    fold_of = {e.group: e.fold for e in split.entries}
    assert all(fold_of[e.group] == e.fold for e in split.entries)
    assert set(fold_of.values()) == {0, 1, 2, 3, 4}
    folds = [e.fold for e in split.entries if e.fold is not None]
    assert max(imbalance(split.labels, folds).values()) <= 0.02


def test_the_same_seed_gives_the_same_folds() -> None:
    one, same, other = (split_manifest(many(), seed=seed).entries for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_the_order_of_the_pictures_does_not_matter() -> None:
    manifest = many()
    turned = replace(manifest, entries=manifest.entries[::-1])
    folds = {e.path: e.fold for e in split_manifest(manifest).entries}
    assert {e.path: e.fold for e in split_manifest(turned).entries} == folds


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=8, max_size=60),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_any_groups_get_a_fold_or_a_reason(
    groups: list[tuple[int, int]], folds: int, seed: int
) -> None:
    labels = [CLASSES[label] for label, size in groups for _ in range(size)]
    names = [f"g{i}" for i, (_, size) in enumerate(groups) for _ in range(size)]
    fewest = min(Counter(label for label, _ in groups).values())
    if fewest < folds:
        with pytest.raises(DataError, match="too few for"):
            assign_folds(labels, names, folds=folds, seed=seed)
        return
    found = assign_folds(labels, names, folds=folds, seed=seed)
    assert len({*zip(names, found, strict=True)}) == len(groups)
    for label in set(labels):  # no fold without a class
        assert {f for f, x in zip(found, labels, strict=True) if x == label} == set(range(folds))


def test_folds_that_are_there_can_be_kept() -> None:
    published = split_manifest(many(groups=40), seed=1)
    more = tuple(entry(10_000 + i, CLASSES[i % 4], f"L{i:03d}") for i in range(40))
    grown = replace(published, entries=published.entries + more)
    kept = split_manifest(grown, seed=5, keep=True)
    assert kept.entries[: len(published.entries)] == published.entries
    assert {e.fold for e in kept.entries[-40:]} == {0, 1, 2, 3, 4}
    assert split_manifest(grown, seed=5).entries[:40] != published.entries[:40]


def test_a_fold_needs_groups() -> None:
    bare = replace(many(), entries=(replace(entry(1), group=""),))
    with pytest.raises(DataError, match=r"1 pictures have no group, such as glioma/1.png"):
        split_manifest(bare)
    with pytest.raises(DataError, match="at least 2 folds"):
        split_manifest(many(), folds=1)
    torn = Manifest((entry(1, group="P", fold=0), entry(2, group="P", fold=1)), Path())
    with pytest.raises(DataError, match="group P lies in folds 0, 1"):
        split_manifest(torn, keep=True)


def test_clean_sides_share_nothing() -> None:
    split = split_manifest(many())
    train = [e for e in split.entries if e.fold]
    test = [e for e in split.entries if e.fold == 0]
    leaks = check_leaks(train, test)
    assert not leaks
    assert not str(leaks)


@pytest.mark.parametrize(
    ("test", "pairs", "said"),
    [
        (entry(9, group="G1"), [], r"1 groups on both sides \(such as G1\)"),
        (replace(entry(9), pixel_sha256=f"{1:064x}"), [], "in training, pixel by pixel"),
        (entry(9), [("glioma/9.png", "glioma/1.png")], "a near-duplicate in training"),
        (entry(9), [("glioma/1.png", "glioma/9.png")], "a near-duplicate in training"),
    ],
)
def test_a_leak_is_refused_and_named(test: Entry, pairs: list[tuple[str, str]], said: str) -> None:
    train = [entry(1), entry(2)]
    with pytest.raises(DataError, match=said):
        check_leaks(train, [test], pairs=pairs)
    leaks = check_leaks(train, [test], pairs=pairs, allow_leaks=True)
    assert leaks
    assert check_leaks(train, [entry(9)], pairs=[("glioma/1.png", "glioma/2.png")]) == type(leaks)()


def test_a_manifest_is_trained_on_without_its_test_fold(tmp_path: Path) -> None:
    written = write_manifest(split_manifest(many()), tmp_path / "m.csv")
    chosen = select(tmp_path / "m.csv", test_folds=[1, 2])
    folds = {e.path: e.fold for e in written.entries}
    train = {folds[e.path.relative_to(tmp_path).as_posix()] for e in chosen.training}
    test = {folds[e.path.relative_to(tmp_path).as_posix()] for e in chosen.testing}
    assert (train, test) == ({0, 3, 4}, {1, 2})
    assert not chosen.leaky
    assert chosen.origin["test_folds"] == [1, 2]
    assert chosen.origin["manifest_sha256"] == written.sha256
    assert all(example.group and example.sha256 for example in chosen.training)


def test_a_leaking_manifest_is_refused_unless_allowed(tmp_path: Path) -> None:
    torn = Manifest((entry(1, group="P", fold=0), entry(2, group="P", fold=1)), tmp_path)
    write_manifest(torn, tmp_path / "m.csv")
    with pytest.raises(DataError, match="--allow-leaks"):
        select(tmp_path / "m.csv")
    assert select(tmp_path / "m.csv", allow_leaks=True).leaky


@pytest.mark.parametrize(("folds", "said"), [([7], "has no fold 7"), ([0], "has no fold 0")])
def test_folds_that_are_not_there_are_named(tmp_path: Path, folds: list[int], said: str) -> None:
    write_manifest(Manifest((entry(1), entry(2, fold=1)), tmp_path), tmp_path / "m.csv")
    with pytest.raises(DataError, match=said):
        select(tmp_path / "m.csv", test_folds=folds)
    with pytest.raises(DataError, match="nothing left to train on"):
        select(tmp_path / "m.csv", test_folds=[1])


def test_pictures_without_a_fold_are_left_out_and_counted(tmp_path: Path) -> None:
    entries = (entry(1, fold=0), entry(2, fold=1), entry(3))
    write_manifest(Manifest(entries, tmp_path), tmp_path / "m.csv")
    chosen = select(tmp_path / "m.csv")
    assert (len(chosen.training), len(chosen.testing)) == (1, 1)
    assert chosen.origin["without_fold"] == 1


def test_it_is_noted_which_published_folds_training_left_alone(tmp_path: Path) -> None:
    rows = list(published().values())
    seen = next(row for row in rows if row.fold == 3)
    pictures = (
        replace(entry(1, fold=1), sha256=seen.sha256, group=seen.group),
        entry(2, fold=0),
    )
    write_manifest(Manifest(pictures, tmp_path), tmp_path / "m.csv")
    assert select(tmp_path / "m.csv").origin["published_folds_kept"] == [0, 1, 2, 4]
    more = (*pictures, entry(3, fold=2))  # it may be anybody, re-encoded
    write_manifest(Manifest(more, tmp_path), tmp_path / "m.csv")
    assert select(tmp_path / "m.csv").origin["published_folds_kept"] == []


def test_a_folder_is_leaky_whatever_it_holds(tmp_path: Path) -> None:
    root = write_phantoms(tmp_path / "data", training=2, testing=1, size=32)
    official = select(root)
    assert (len(official.training), len(official.testing)) == (8, 4)
    assert official.leaky
    plain = select(root / "Training")
    assert (len(plain.training), plain.testing, plain.leaky) == (8, (), True)
    (root / "masks").mkdir()
    with pytest.raises(DataError, match="holds masks beside Testing; move it"):
        select(root)
