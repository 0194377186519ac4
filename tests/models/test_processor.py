"""Which processors add int8 without overflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tumorlens.models.processor import adds_int8_exactly


@pytest.mark.parametrize(
    ("flags", "exact"),
    [
        (["fpu avx2 avx512f avx512_vnni"], True),
        (["fpu avx2 avx_vnni", "fpu avx2 avx_vnni"], True),
        (["fpu avx2 avx_vnni", "fpu avx2"], False),  # cores of two kinds
        (["fpu avx2 avx512f"], False),
        ([], False),  # not x86
    ],
)
def test_all_cores_must_have_vnni(tmp_path: Path, flags: list[str], *, exact: bool) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("".join(f"processor\t: 0\nflags\t\t: {one}\n\n" for one in flags))
    assert adds_int8_exactly(told) is exact


def test_where_nothing_is_told_nothing_is_believed(tmp_path: Path) -> None:
    assert not adds_int8_exactly(tmp_path / "missing")
