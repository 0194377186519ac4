"""Look at the evidence in a viewer: ``python scripts/volume_picture.py NIIVUE OUT.png``.

NIIVUE is ``niivue.umd.js`` of the package ``@niivue/niivue`` (``npm pack`` fetches it), which runs
in the system's Chromium. With ``--scan FILE --evidence FILE`` it shows those; else a head that is
made of the demonstration's slice, larger and smaller, with a tumour drawn into some, turned in
space. The crosshair stands at the peak of the evidence, as nibabel reads it.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Route

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "apps" / "web"))

from browser import chromium

from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion
from tumorlens.classifier import load

SLICES, STEP, PIXEL = 40, 4.0, 0.9  # mm
ILL = range(16, 24)
PAGE = """<!doctype html><body style="margin:0;background:#000">
<canvas id="gl" width="1080" height="420"></canvas><script src="/niivue.js"></script>
<script>
async function show(colour, most, point) {
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1], show3Dcrosshair: true, crosshairColor: [0.35, 0.86, 1, 0.8],
    crosshairWidth: 0.5, isColorbar: true, textHeight: 0.035, isRadiologicalConvention: true,
  });
  await viewer.attachTo("gl");
  await viewer.loadVolumes([
    { url: "/scan.nii.gz" },
    { url: "/evidence.nii.gz", colormap: colour, opacity: 0.6, cal_min: most / 4, cal_max: most },
  ]);
  viewer.setSliceType(viewer.sliceTypeMultiplanar);
  viewer.opts.multiplanarShowRender = niivue.SHOW_RENDER.NEVER;
  viewer.setMultiplanarLayout(3);
  viewer.scene.crosshairPos = viewer.mm2frac(point);
  viewer.updateGLVolume();
  return viewer.volumes.map((volume) => Array.from(volume.hdr.dims.slice(1, 4)).join(" x "));
}
</script>"""


def main() -> None:
    """Explain, show and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("niivue", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--evidence", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        scan, evidence = given.scan, given.evidence
        if scan is None or evidence is None:
            scan = draw_head(Path(place, "head.nii.gz"))
            evidence = (
                load().explain_volume(scan, plane="sagittal").save(Path(place, "why"))
                / "evidence.nii.gz"
            )
        given.out.write_bytes(picture(given.niivue, scan, evidence))


def draw_head(path: Path) -> Path:
    """Make sagittal slices of one, smaller towards both ends, that lie turned in space."""
    healthy = demo_slice().pixels.astype(np.float32)
    ill = draw_lesion(healthy)[0]
    planes = [
        scaled(ill if i in ILL else healthy, np.sqrt(1.02 - ((2 * i + 1) / SLICES - 1) ** 2))
        for i in range(SLICES)
    ]
    turn = np.array([[0.98, -0.2, 0.0], [0.2, 0.98, 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    ways = np.array([[0, 0, -STEP], [-PIXEL, 0, 0], [0, -PIXEL, 0]])  # of columns, rows, slices
    affine[:3, :3] = turn @ ways
    affine[:3, 3] = -affine[:3, :3] @ np.divide((*healthy.shape[::-1], SLICES), 2)
    values = np.stack(planes).transpose(2, 1, 0).astype(np.float32)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def scaled(pixels: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Make a picture smaller and leave its size."""
    side = max(8, round(pixels.shape[0] * float(factor)))
    small = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
    out, start = np.zeros_like(pixels), (pixels.shape[0] - side) // 2
    room = min(side, pixels.shape[0])
    start = max(start, 0)
    out[start : start + room, start : start + room] = small[:room, :room]
    return out


def picture(niivue: Path, scan: Path, evidence: Path) -> bytes:
    """Show a scan and its evidence, and give what the viewer shows as PNG."""
    image = nib.load(evidence)
    values = image.get_fdata()
    voxel = np.unravel_index(int(values.argmax()), values.shape)
    point = (image.affine @ (*voxel, 1.0))[:3].tolist()
    files = {"/niivue.js": niivue, "/scan.nii.gz": scan, "/evidence.nii.gz": evidence}

    def serve(route: Route) -> None:
        path = "/" + route.request.url.split("/", 3)[3]
        if path in files:
            route.fulfill(body=files[path].read_bytes())
        else:
            route.fulfill(body=PAGE, content_type="text/html")

    with chromium("--enable-unsafe-swiftshader", "--use-angle=swiftshader") as browser:
        page: Any = browser.new_page(viewport={"width": 1080, "height": 420})
        page.route("**/*", serve)
        page.goto("http://viewer.invalid/")
        said = page.evaluate(
            "([c, m, p]) => show(c, m, p)", ["inferno", float(values.max()), point]
        )
        print(f"{scan}: {said}; peak at {np.round(point, 1).tolist()} mm (RAS)")
        page.wait_for_timeout(3000)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    content = io.BytesIO()
    shot.save(content, "PNG", optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    main()
