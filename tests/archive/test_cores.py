"""The cores that a process may use, as control groups of both versions say it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tumorlens.archive.cores import usable_cores


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {}, 12),
        ("0::/\n", {"cpu.max": "max 100000"}, 12),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        (
            "4:memory:/x\n3:cpu,cpuacct:/job\n",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "400000",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        ("", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 12),
        ("nonsense", {"cpu.max": "nonsense"}, 12),
    ],
)
def test_the_least_limit_counts(
    groups: str, files: dict[str, str], cores: int, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.write_text(groups)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert usable_cores(own, tmp_path / "groups") == cores


def test_without_control_groups_all_are_used(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "none", tmp_path / "none") == 12
