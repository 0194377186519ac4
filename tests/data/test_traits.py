"""What one class alone looks like is said; what all share is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from drawn_heads import draw_head, write_heads
from tumorlens.data.audit import audit_data
from tumorlens.data.fingerprint import fingerprint
from tumorlens.data.traits import LOPSIDED, Traits, describe_traits, symmetry
from tumorlens.images.read import read_slices
from tumorlens.report.audit import draw_page


def test_an_audit_says_which_class_has_which_traits(tmp_path: Path) -> None:
    root = write_heads(tmp_path / "set", training=3, testing=0) / "Training"
    head = draw_head("notumor", 0)
    Image.fromarray(np.ascontiguousarray(head[::-1])).save(root / "notumor" / "turned.png")
    mirrored = np.ascontiguousarray(draw_head("glioma", 0)[:, ::-1])
    Image.fromarray(mirrored).save(root / "glioma" / "mirrored.png")
    captioned = Image.fromarray(np.pad(draw_head("pituitary", 7), 30))
    ImageDraw.Draw(captioned).text((6, 6), "SE 4 IM 12", fill=255)
    captioned.save(root / "pituitary" / "captioned.png")
    audit = audit_data(root, sample=2)
    assert {label: t.turned for label, t in audit.traits.items()} == {
        "glioma": 0,
        "meningioma": 0,
        "notumor": 2,
        "pituitary": 0,
    }
    assert {label: t.marked for label, t in audit.traits.items() if t.marked} == {"pituitary": 1}
    assert audit.totals()["near_pairs_turned"] == 1
    assert audit.totals()["near_pairs_mirrored"] == 1
    page = draw_page(audit, root)
    assert "upside down exist in notumor alone (2 pictures)" in page
    assert "outside the head exist in pituitary alone (1 pictures)" in page


def test_a_head_seen_from_the_side_is_less_its_own_mirror_image() -> None:
    heads = [draw_head("notumor", seed) for seed in range(3)]
    even = [np.maximum(head, head[:, ::-1]) for head in heads]
    prints = [fingerprint(read_slices(p)[0]) for p in (*even, *heads)]
    found = symmetry(np.stack(prints))
    assert found[:3] == pytest.approx(np.ones(3), abs=0.05)
    assert (found[3:] < found[:3]).all()
    random = np.random.default_rng(0).integers(0, 255, (2, 96, 96), np.uint8)
    assert (symmetry(random) < LOPSIDED).all()


def test_what_all_classes_share_is_not_said() -> None:
    same = Traits(pictures=100, turned=5, lopsided=20, marked=3)
    assert describe_traits({"glioma": same, "notumor": same}) == []
    assert describe_traits({"notumor": same}) == []
    more = Traits(pictures=100, turned=5, lopsided=80, marked=3)
    (said,) = describe_traits({"glioma": same, "notumor": more})
    assert said.endswith("as sagittal ones, are 80% of notumor, 20% elsewhere at most.")
