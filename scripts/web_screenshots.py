"""Draw the pictures of docs/web.md: ``python scripts/web_screenshots.py docs/images``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "apps" / "web"))

from browser import chromium
from web_server import real_volume, running

from tumorlens.classifier import load

SHOTS = {
    "web-desktop-light": (1280, 1300, "light", "/"),
    "web-phone-dark": (390, 1900, "dark", "/"),
    "web-trust-light": (1280, 900, "light", "/trust"),
}


def main(out: Path) -> None:
    """Draw each picture anew."""
    with running(load()) as server, chromium() as browser:
        for name, (width, height, scheme, path) in SHOTS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(f"http://127.0.0.1:{server.port}{path}")
            if path == "/":
                file = {
                    "name": "head.nii",
                    "mimeType": "application/octet-stream",
                    "buffer": real_volume(),
                }
                page.locator("#files").set_input_files(file)
                expect(page.locator("#status")).to_contain_text("5 slices", timeout=60_000)
                page.locator("#slice").fill("2")
                expect(page.locator("#name")).to_contain_text("3 of 5")
                page.locator("#method1").select_option("layercam")
                expect(page.locator("#caption1")).to_contain_text("LayerCAM", timeout=60_000)
            page.mouse.click(2, 2)
            page.evaluate("scrollTo(0, 0)")
            shot = out / f"{name}.png"
            page.screenshot(path=shot)
            with Image.open(shot) as image:
                image.quantize(256, Image.Quantize.MAXCOVERAGE).save(shot, optimize=True)
            print(shot, shot.stat().st_size)
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
