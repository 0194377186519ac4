"""Who a patient is comes out of no command: not on screen, in logs, in names, in files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorlens.data.folder import CLASSES

pydicom: Any = pytest.importorskip("pydicom")

from dicoms import SECRETS, content, draw, write_series  # noqa: E402
from drawn_heads import draw_head  # noqa: E402

Run = Callable[..., tuple[int, str, str]]
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
HIDDEN = [secret.encode() for secret in SECRETS] + [
    word.encode(codec)
    for word in ("Yamada", "Tarou", "山田", "太郎", "Łoś", "Żółć")
    for codec in ("ascii", "utf-8", "iso2022_jp")
    if word.isascii() or (codec != "ascii" and (codec == "utf-8" or word not in ("Łoś", "Żółć")))
]

ODD = {0x00100030: "DA", 0x00200052: "UI", 0x00180015: "CS", 0x00080008: "CS"}
"""Elements that hold what they may not: libraries like to quote it."""

PIXELS = b"Quixote, Castle Hospital"
"""Pixels that are none. Of all that is here they alone stay: de-identification leaves pixels."""


@pytest.fixture
def bundle(spot_bundle: Callable[..., Path], change_card: Callable[..., None]) -> Path:
    made = spot_bundle((1.0, 0.5, -1.0, -2.0))
    change_card(made, classes=tuple(CLASSES))
    return made


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A folder of a labelled set: good files in three scripts, and broken ones."""
    folder = tmp_path / "set" / "Testing" / "glioma"
    planes = np.stack([draw_head("glioma", seed, 96) for seed in (3, 4)]).astype(np.int16) * 4
    write_series(folder, planes)
    for label in ("meningioma", "pituitary", "notumor"):
        head = draw_head(label, 5, 96).astype(np.int16) * 4
        scripts: list[tuple[Any, str]] = [
            ("ISO_IR 192", "Łoś^Żółć"),
            (["", "ISO 2022 IR 87"], JAPANESE),
        ]
        (folder.parent / label).mkdir()
        for i, (charset, name) in enumerate(scripts):
            dataset = draw(head, SpecificCharacterSet=charset, PatientName=name)
            dataset.StudyInstanceUID = f"1.2.{i}"
            dataset.PatientComments = dataset.ImageComments = name
            dataset.private_block(0x0099, "Castle Hospital", create=True).add_new(1, "LO", name)
            (folder.parent / label / f"{i}.dcm").write_bytes(content(dataset))
    odd = draw(planes[0])
    for tag, vr in ODD.items():
        odd[tag] = pydicom.DataElement(tag, vr, "Quixote 19010203", validation_mode=0)
    (folder / "odd").write_bytes(content(odd).replace(b"2.0\\2.0 ", b"Quixote "))
    whole = content(draw(planes[0]))
    (folder / "short").write_bytes(whole[:-400])
    (folder / "shorter").write_bytes(whole[:500])
    compressed = draw(planes[0])
    compressed.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    compressed.PixelData = pydicom.encaps.encapsulate([PIXELS])
    compressed["PixelData"].is_undefined_length = True
    (folder / "packed").write_bytes(content(compressed))
    return tmp_path / "set"


COMMANDS = {
    "predict": "predict SCAN",
    "json": "predict SCAN --json",
    "csv": "predict SCAN --csv OUT/table.csv",
    "archive": "predict SCAN --out OUT/answers.jsonl",
    "explain": "explain SCAN --out OUT/records",
    "depth": "explain SCAN --out OUT/records --method eigencam",
    "dicom": "explain SCAN --dicom-out OUT/dicom",
    "report": "report SCAN --out OUT/case.html",
    "deidentify": "deidentify SCAN --out OUT/clean",
    "evaluate": "evaluate SCAN --out OUT/measured --split testing --bootstrap 50",
    "external": "evaluate --external SCAN/Testing --out OUT/measured --bootstrap 50",
    "audit": "data audit SCAN --out OUT/audit",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_tells_who_a_patient_is(
    name: str,
    run: Run,
    bundle: Path,
    scan: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    out = tmp_path / "out"
    words = [w.replace("SCAN", str(scan)).replace("OUT", str(out)) for w in COMMANDS[name].split()]
    if name not in ("deidentify", "audit"):
        words += ["--model", str(bundle)]
    caplog.set_level(logging.DEBUG)
    _, said, told = run(*words)
    warned = "".join(str(warning.message) for warning in recwarn)
    shown = {"standard output": said, "standard error": told, "log": caplog.text, "warned": warned}
    for where, text in shown.items():
        assert not [x for x in HIDDEN if x in text.encode()], (where, text[:2000])
    files = [path for path in out.rglob("*") if path.is_file()]
    assert name in ("predict", "json") or files, (said, told)
    for path in files:
        place = str(path.relative_to(out)).encode()
        assert not [x for x in HIDDEN if x in place]
        if name == "dicom" and path.suffix == ".dcm":
            continue  # they stay in the study of the patient
        whole = path.read_bytes().replace(PIXELS, b"")
        assert not [x for x in HIDDEN if x in whole], path
