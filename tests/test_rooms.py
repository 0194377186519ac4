"""Data flows one way: a room imports only from rooms before it, and no files in a circle."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tumorlens

ROOMS = (
    "untrusted", "errors", "versions", "extras", "forks", "progress", "records", "walk", "locks",
    "files", "images", "data", "trust", "models", "networks", "prediction",
    "volume_answer", "publish", "sources",
    "explain", "classifier", "dicom_out", "train", "archive", "evaluate", "checkpoint", "report",
    "apps",
)  # fmt: skip
"""Early to late."""

PACKAGE = Path(tumorlens.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or not path.name.startswith("__")
}


def imports(path: Path) -> Iterator[str]:
    """Name what a file imports of the package, late imports and types among them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("tumorlens."))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module and node.module.split(".")[0] == "tumorlens":
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole.removeprefix("tumorlens.") in FILES else node.module


@functools.cache
def arrows() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, path in FILES.items():
        named = {i.removeprefix("tumorlens").removeprefix(".") for i in imports(path)}
        found[name.removesuffix(".__init__")] = {n for n in named if n}
    return found


def test_every_room_has_its_place() -> None:
    assert {name.split(".")[0] for name in arrows()} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room: str) -> None:
    place = {name: i for i, name in enumerate(ROOMS)}
    back = [
        f"{name} -> {other}"
        for name, others in arrows().items()
        if name.split(".")[0] == room
        for other in others
        if place[other.split(".")[0]] > place[room]
    ]
    assert not back


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = arrows()
    packages = {name for name in graph if f"{name}.__init__" in FILES}
    order = graphlib.TopologicalSorter(
        {name: others - packages - {name} for name, others in graph.items()}
    )
    order.prepare()  # raises CycleError, which names the circle
