"""Whatever the package writes into a folder, it knows again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drawn_heads import write_heads
from tumorlens.classifier import load
from tumorlens.data.audit import audit_data
from tumorlens.evaluate.evaluation import evaluate
from tumorlens.records import is_our_file, is_our_folder, read_record
from tumorlens.report.audit import write_audit
from tumorlens.report.case import write_case
from tumorlens.report.data_set import plot_data
from tumorlens.report.evaluation import write_evaluation


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heads(tmp_path_factory.mktemp("data") / "heads", training=3, testing=2)


def test_runs_and_models_are_known(tiny_run: Path, tiny_bundle: Path, phantom_data: Path) -> None:
    assert is_our_folder(tiny_run)
    assert is_our_folder(tiny_bundle)
    assert not is_our_folder(phantom_data)


def test_reports_are_known(heads: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    write_audit(audit_data(heads, sample=2), heads, tmp_path / "audit")
    plot_data(heads, tmp_path / "plot")
    (tmp_path / "evaluation").mkdir()
    found = evaluate(heads, model=tiny_bundle, bootstrap=0)
    write_evaluation(found, tmp_path / "evaluation")
    for name in ("audit", "plot", "evaluation"):
        assert is_our_folder(tmp_path / name), name
    (tmp_path / "plot" / "index.html").rename(tmp_path / "plot" / "other.html")
    assert not is_our_folder(tmp_path / "plot")


@pytest.mark.parametrize("form", ["html", "pdf"])
def test_a_case_report_is_a_file_among_scans(tiny_bundle: Path, tmp_path: Path, form: str) -> None:
    if form == "pdf":
        pytest.importorskip("reportlab", reason="a PDF needs the report extra")
    write_case([], tmp_path / f"report.{form}", classifier=load(tiny_bundle))
    assert is_our_file(tmp_path / f"report.{form}")
    assert not is_our_folder(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        json.dumps({"method": "x", "model": "y"}).encode(),
        b'{"a":' * 5000,
        b"1" * 10_000,
    ],
)
def test_somebody_elses_manifest_is_not_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    assert read_record(tmp_path) is None
    assert not is_our_folder(tmp_path)
    assert not is_our_folder(tmp_path / "missing")
    assert not is_our_file(tmp_path / "missing.csv")
