"""Files that were sent become scans in the order in which they were sent."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from web_server import png

from dicoms import content, draw
from tumorlens.apps.web.intake import Upload
from tumorlens.apps.web.limits import WebLimits
from tumorlens.apps.web.scans import open_scans


def names(*uploads: Upload) -> list[str | None]:
    return [scan.name for scan in open_scans(uploads, WebLimits(), lambda: None)]


def dicom(name: str, height: float, series: str) -> Upload:
    pixels = np.random.default_rng(1).integers(0, 900, (32, 32)).astype(np.int16)
    place = [-60.0, -60.0, height]
    return Upload(name, content(draw(pixels, SeriesInstanceUID=series, ImagePositionPatient=place)))


def test_scans_stand_in_the_order_of_their_first_file() -> None:
    first, last = Upload("p.png", png()), Upload("q.png", png())
    alone = dicom("a.dcm", 0.0, "1.2.3")
    assert names(first, alone, last) == ["p.png", "a.dcm", "q.png"]
    low, high = dicom("low.dcm", 0.0, "1.2.4"), dicom("high.dcm", 3.0, "1.2.4")
    assert names(first, high, last, low, alone) == ["p.png", "low.dcm", "q.png", "a.dcm"]
    broken = Upload("b.dcm", alone.content[:200])
    assert names(first, broken, last, alone) == ["p.png", "b.dcm", "q.png", "a.dcm"]


def test_what_is_in_an_archive_stands_where_the_archive_was() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.png", png())
        archive.writestr("a.dcm", dicom("a.dcm", 0.0, "1.2.3").content)
    sent = Upload("p.png", png()), Upload("all.zip", packed.getvalue()), Upload("q.png", png())
    assert names(*sent) == ["p.png", "a.dcm", "x.png", "q.png"]
    assert names(sent[0], Upload("half.zip", sent[1].content[:-30])) == ["p.png", "half.zip"]
