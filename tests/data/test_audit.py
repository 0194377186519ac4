"""An audit finds what is planted and nothing else, and its page shows it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn_heads import draw_head, write_heads
from tumorlens.data.audit import Audit, audit_data
from tumorlens.data.copies import ALTERATIONS, alter
from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.split import split_manifest
from tumorlens.errors import DataError, OutputError
from tumorlens.images.read import read_slices
from tumorlens.report.audit import draw_page, write_audit


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with one of everything that can be wrong."""
    root = write_heads(tmp_path_factory.mktemp("audit") / "heads", training=6, testing=3)
    training, testing = root / "Training", root / "Testing"
    copied = read_slices(training / "glioma" / "glioma_0.png")[0]
    (testing / "glioma" / "copy.jpg").write_bytes(
        alter(copied, ALTERATIONS["all at once and cut into"])
    )
    same = training / "meningioma" / "meningioma_1.png"
    Image.open(same).convert("RGB").save(testing / "meningioma" / "same.png")
    shutil.copy(training / "pituitary" / "pituitary_2.png", training / "notumor" / "wrong.png")
    Image.fromarray(draw_head("notumor", 77)).save(training / "notumor" / "other_person.png")
    (training / "glioma" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n<b>")
    odd = training / "pituitary"
    Image.new("RGBA", (40, 100), (9, 9, 9, 255)).save(odd / "tiny.png")
    deep = draw_head("pituitary", 55).astype(np.uint16) * 200
    Image.fromarray(deep).save(odd / "deep.png")
    Image.fromarray(draw_head("pituitary", 56)).save(odd / "named.jpg", "PNG")
    return root


@pytest.fixture(scope="module")
def audit(planted: Path) -> Audit:
    return audit_data(planted, sample=12)


def test_a_changed_copy_across_the_splits_is_found(audit: Audit) -> None:
    (found,) = (f for f in audit.findings if "copy.jpg" in f.second + f.first)
    assert {found.first, found.second} == {
        "Training/glioma/glioma_0.png",
        "Testing/glioma/copy.jpg",
    }
    assert found.way == "mirrored"
    assert found.across
    assert not found.exact
    assert not found.conflicting


def test_equal_pixels_in_another_container_are_found(audit: Audit) -> None:
    assert {frozenset(group) for group in audit.exact_groups} == {
        frozenset({"Training/meningioma/meningioma_1.png", "Testing/meningioma/same.png"}),
        frozenset({"Training/pituitary/pituitary_2.png", "Training/notumor/wrong.png"}),
    }
    assert sum(f.exact for f in audit.findings) == 2
    assert all(f.similarity == 1 for f in audit.findings if f.exact)


def test_copies_of_two_labels_come_first(audit: Audit) -> None:
    first, *others = audit.findings
    assert first.conflicting
    assert {*first.labels} == {"pituitary", "notumor"}
    assert not any(f.conflicting for f in others)


def test_nobody_else_is_called_a_copy(audit: Audit) -> None:
    assert len(audit.findings) == 3
    assert not any("other_person" in f.first + f.second for f in audit.findings)
    assert audit.alike == 0
    assert audit.across_folds is None


def test_twins_in_training_are_counted_by_class(audit: Audit) -> None:
    counted = {label: (t.pictures, t.exact, t.near) for label, t in audit.twins.items()}
    assert counted == {
        "glioma": (4, 0, 1),
        "meningioma": (4, 1, 1),
        "notumor": (3, 0, 0),
        "pituitary": (3, 0, 0),
    }


def test_odd_and_unreadable_files_are_listed(audit: Audit) -> None:
    tiny = "Training/pituitary/tiny.png"
    assert audit.odd == {
        "blank": (tiny,),
        "deeper than 8 bits": ("Training/pituitary/deep.png",),
        "more than 2 times as long as wide": (tiny,),
        "name of another format": ("Training/pituitary/named.jpg",),
        "smaller than 64 pixels": (tiny,),
        "stored in colour": (tiny, "Testing/meningioma/same.png"),
        "transparency": (tiny,),
    }
    assert list(audit.unreadable) == ["Training/glioma/broken.png"]


def test_totals_add_up(audit: Audit) -> None:
    assert audit.totals() == {
        "pictures": 43,
        "unreadable": 1,
        "exact_groups": 2,
        "exact_pictures": 4,
        "exact_pairs": 2,
        "near_pairs": 1,
        "near_pairs_mirrored": 1,
        "near_pairs_turned": 0,
        "alike_pairs": 0,
        "pairs_across_splits": 2,
        "pairs_of_different_labels": 1,
    }
    assert sum(sum(row.values()) for row in audit.counts.values()) == 43


def test_the_threshold_is_checked_on_the_pictures_themselves(audit: Audit) -> None:
    curve = audit.curve
    assert curve.sample == 12
    at = curve.thresholds.index(0.93)
    assert curve.copies["mirrored"][at] > 0.9
    for shares in (*curve.copies.values(), curve.strangers):
        assert list(shares) == sorted(shares, reverse=True), "a higher bar finds no more"
    assert curve.strangers[at] == 1, "the planted wrong label"


def test_the_report_is_json_and_one_page(audit: Audit, planted: Path, tmp_path: Path) -> None:
    page = write_audit(audit, planted, tmp_path / "report")
    assert sorted(p.name for p in page.parent.iterdir()) == ["audit.json", "index.html"]
    told = json.loads((tmp_path / "report" / "audit.json").read_text(encoding="utf-8"))
    assert told["totals"] == audit.totals()
    assert len(told["findings"]) == 3
    text = page.read_text(encoding="utf-8")
    assert text.count("<figcaption>") == 3, "each pair once"
    assert text.count("data:image/jpeg;base64,") == 2 * 3
    assert not re.search(r'(?:src|href)="(?!data:)', text), "it needs no other file"
    assert not re.search(r"https?://", text)
    assert "<script" not in text
    assert "$" not in text
    with pytest.raises(OutputError, match="not empty"):
        write_audit(audit, planted, tmp_path / "report")


@pytest.fixture
def no_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the shortcuts out, which have tests of their own."""

    def too_few(*_: object, **__: object) -> None:
        raise DataError("left out")

    monkeypatch.setattr("tumorlens.data.audit.measure_shortcuts", too_few)


@pytest.mark.usefixtures("no_forests")
def test_names_of_files_cannot_write_the_page(tmp_path: Path) -> None:
    root = write_heads(tmp_path / "data", training=2, testing=0)
    evil = root / "Training" / "glioma" / "<script>alert(1)<x>&.png"
    shutil.copy(root / "Training" / "glioma" / "glioma_0.png", evil)
    page = draw_page(audit_data(root, sample=2), root)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.usefixtures("no_forests")
def test_a_plain_folder_has_no_splits_to_cross(tmp_path: Path) -> None:
    root = write_heads(tmp_path / "data", training=2, testing=0) / "Training"
    audit = audit_data(root, sample=2)
    assert audit.twins == {}
    assert audit.totals()["pairs_across_splits"] == 0
    assert "across the splits" not in draw_page(audit, root)


@pytest.mark.usefixtures("no_forests")
def test_a_manifest_says_what_crosses_its_folds(planted: Path, tmp_path: Path) -> None:
    manifest = make_manifest(planted)
    clean = split_manifest(manifest, folds=2)
    write_manifest(clean, tmp_path / "clean.csv")
    assert audit_data(tmp_path / "clean.csv", sample=2).across_folds == (0, 0)
    torn = clean.with_folds([int(e.split == "Testing") for e in clean.entries])
    write_manifest(torn, tmp_path / "torn.csv")
    assert audit_data(tmp_path / "torn.csv", sample=2).across_folds == (2, 0)


def test_data_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a manifest"):
        audit_data(tmp_path / "nowhere")
