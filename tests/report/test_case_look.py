"""The case report in a browser: for every eye, at every width, and quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from PIL import Image
from playwright.sync_api import Browser

from drawn_heads import draw_head
from tumorlens.classifier import load
from tumorlens.data.folder import CLASSES
from tumorlens.report.case import write_case


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def written(
    spot_bundle: Callable[..., Path], change_card: Callable[..., None], tmp_path: Path
) -> Path:
    """A report of all there may be in one, under names as long as disks take."""
    bundle = spot_bundle((40.0, 1.0, -40.0, -2.0))
    change_card(bundle, classes=tuple(CLASSES), limitations="It was worked out by hand.")
    head = draw_head("glioma", 3, 96)
    long = tmp_path / f"{'long' * 50}.png"
    Image.fromarray(head).save(long)
    blank = tmp_path / "blank.png"
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(blank)
    volume = tmp_path / "head.nii"
    values = np.stack([head.T] * 30, -1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), volume)
    out = tmp_path / "case.html"
    sources = [str(x) for x in (long, blank, volume, *(tmp_path / f"no{i}" for i in range(25)))]
    made = write_case(sources, out, classifier=load(bundle))
    assert (made.shown, made.unread) == (3, 25)
    return out


def test_everybody_can_read_it(written: Path, browser: Browser) -> None:
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto(written.as_uri())
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (width, scheme, wide, said) == (width, scheme, 0, [])
        page.close()
