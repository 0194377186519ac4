"""Folders are walked in order, a few names at a time, from any place on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tumorlens import walk as module
from tumorlens.walk import count_files, walk


@pytest.fixture(params=[2, 50_000])
def tree(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[str]]:
    """A tree and its files in order; once with hardly any names held."""
    monkeypatch.setattr(module, "_HELD", request.param)
    names = [
        "a",
        "b.png",
        "c",
        "x/1",
        "x/2",
        "x/3",
        "x/y/0",
        "x/y/4",
        "x/z/5",
        "y/6",
        "z/deep/er/7",
    ]
    for name in [*names, ".hidden", ".git/config", "x/.DS_Store"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(tmp_path), [str(tmp_path / name) for name in names]


def test_the_order_is_that_of_the_names(tree: tuple[str, list[str]]) -> None:
    root, files = tree
    assert list(walk(root, [])) == files


def test_a_walk_goes_on_behind_any_file(tree: tuple[str, list[str]]) -> None:
    root, files = tree
    for i, file in enumerate(files):
        assert list(walk(root, [], after=file)) == files[i + 1 :]


def test_a_file_that_is_gone_keeps_its_place(tree: tuple[str, list[str]]) -> None:
    root, files = tree
    for i, file in enumerate(files):
        os.remove(file)  # noqa: PTH107
        assert list(walk(root, [], after=file)) == files[i + 1 :]


def test_files_are_counted(tree: tuple[str, list[str]]) -> None:
    root, files = tree
    assert sum(count_files([root, files[0]])) == len(files) + 1


def test_a_folder_that_goes_away_is_named_once(
    tree: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, files = tree
    closed, scandir = str(Path(root, "x", "y")), os.scandir

    def refuse(path: str) -> object:
        if path == closed:
            raise PermissionError(13, "closed", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    wanted = [*files[:6], closed, *files[8:]]
    assert list(walk(root, [])) == wanted
    assert list(walk(root, [], after=closed)) == wanted[7:]
