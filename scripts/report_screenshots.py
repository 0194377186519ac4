"""Draw the picture of docs/report.md: ``python scripts/report_screenshots.py docs/images``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "apps" / "web"))

from browser import chromium
from web_server import real_slices

from tumorlens.classifier import load
from tumorlens.files import find_files
from tumorlens.report.case import write_case
from tumorlens.sources.series import find_units

SIZE = (1280, 1560)


def draw_case(folder: Path) -> None:
    """Draw a picture, a volume with a lesion, noise, and a file that cannot be read."""
    folder.mkdir()
    plain, ill = real_slices()
    Image.fromarray(ill).save(folder / "head.png")
    noise = np.random.default_rng(0).integers(0, 256, (200, 260), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    planes = [np.zeros_like(plain) if i in (0, 23) else plain for i in range(24)]
    planes[9:15] = [ill] * 6
    values = np.stack([np.flipud(x).T for x in planes], -1).astype(np.int16)
    affine = np.diag([0.9, 0.9, 5.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / "volume.nii.gz")


def main(out: Path) -> None:
    """Draw the picture anew."""
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary, "scans")
        draw_case(folder)
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        names = ("head.png", "broken.png", "volume.nii.gz", "noise.png")
        units = list(find_units(list(find_files([str(folder / name) for name in names]))))
        written = Path(temporary, "case.html")
        write_case(units, written, classifier=load())
        text = written.read_text(encoding="utf-8").replace(f"{folder}/", "scans/")
        written.write_text(text, encoding="utf-8")
        page.goto(written.as_uri())
        shot = out / "report-light.png"
        page.screenshot(path=shot)
        with Image.open(shot) as image:
            image.quantize(256, Image.Quantize.MAXCOVERAGE).save(shot, optimize=True)
        print(shot, shot.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
