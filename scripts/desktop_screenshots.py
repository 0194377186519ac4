"""Take pictures of the window, in every state, from pictures that anybody may show.

    python scripts/desktop_screenshots.py                 # docs/images/desktop-*.png
    python scripts/desktop_screenshots.py --all FOLDER    # every state, light, dark, 200 %

Starts a screen of its own (apt install xvfb). All heads are Matplotlib's sample slice, moved,
mirrored and dimmed, most with a tumour drawn into it. So is the volume: one slice again and
again, dimmer to both sides, a tumour in some.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageGrab
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion
from tumorlens.apps.desktop.commands import list_commands
from tumorlens.apps.desktop.screen import make_root
from tumorlens.apps.desktop.window import Window
from tumorlens.apps.session.settings import Settings
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.classifier import Classifier, load
from tumorlens.prediction import Prediction

DOCS = Path(__file__).parents[1] / "docs" / "images"


@contextmanager
def open_screen() -> Iterator[str]:
    """Start a display that is large enough for 200 %."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "2560x1600x24"]
    with subprocess.Popen(  # noqa: S603
        command, pass_fds=[write], stderr=subprocess.DEVNULL
    ) as server:
        os.close(write)
        with os.fdopen(read) as pipe:
            name = f":{int(pipe.readline())}"
        try:
            yield name
        finally:
            server.terminate()


def write_pictures(folder: Path) -> None:
    """Write heads, most with a drawn tumour, a blank picture and a file that is none."""
    plain = demo_slice().pixels.astype(np.float32)
    ill = draw_lesion(plain)[0]
    for i in range(40):
        shown = np.roll(plain if i % 4 == 2 else ill, i % 10, axis=1)[:, :: -1 if i % 2 else 1]
        grey = np.clip(shown / plain.max() * (255 - i), 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"drawn-{i + 1:02}.png")
    Image.new("L", (160, 160), 60).save(folder / "blank.png")
    (folder / "broken.png").write_text("no picture")


def write_series(folder: Path, count: int = 24) -> None:
    """Write a DICOM series without a patient: sagittal, 4 mm apart."""
    folder.mkdir()
    plain = demo_slice().pixels.astype(np.float32)
    ill = draw_lesion(plain)[0]
    for i in range(count):
        aside = abs(i - count / 2) / (count / 2)
        shown = (ill if aside < 0.3 else plain) * (1 - 0.35 * aside**2)
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        one.Modality, one.InstanceNumber = "MR", i + 1
        one.Rows, one.Columns = shown.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 0
        one.PixelSpacing, one.SliceThickness = [1.0, 1.0], 4.0
        one.ImagePositionPatient = [(i - count // 2) * 4.0, -128.0, 128.0]
        one.ImageOrientationPatient = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
        one.PixelData = (shown / plain.max() * 900).astype(np.uint16).tobytes()
        one.save_as(folder / f"{i:03}.dcm", enforce_file_format=True)


class Photographer:
    """Brings a window into a state and takes its picture."""

    def __init__(self, display: str, appearance: str, scale: float) -> None:
        self.display = display
        self.root = make_root(display)
        self.go = threading.Event()
        self.model = ViewModel(self.load_held, Settings(appearance=appearance))
        self.window = Window(self.root, self.model, scale, list_commands)
        menu = round(34 * scale)
        self.root.geometry(f"{round(1280 * scale)}x{round(800 * scale) - menu}+0+0")
        self.root.update()
        self.size = (round(1280 * scale), round(800 * scale))

    def load_held(self) -> Classifier:
        """Load a model that stops in the midst of a batch, to have its picture taken."""
        classifier = load()
        answer, count = classifier.predict_prepared, itertools.count()

        def hold(*arguments: Any) -> list[Prediction]:
            if next(count) > 3:
                self.go.wait()
            return answer(*arguments)

        classifier.predict_prepared = hold
        return classifier

    def until(self, condition: Callable[[], object], turns: int = 20) -> None:
        """Let the window live until something holds, and is drawn."""
        end = time.monotonic() + 120
        while not condition():
            if time.monotonic() > end:
                raise SystemExit("the window does not get there")
            self.window.refresh()
            self.root.update()
            time.sleep(0.01)
        for _ in range(turns):
            self.window.refresh()
            self.root.update()
            time.sleep(0.01)

    def explained(self) -> bool:
        """Say whether the selected slice stands with its overlay."""
        done = self.model.explanation is not None and not self.model.view.busy
        return done and self.model.progress is None

    def take(self) -> Image.Image:
        """Take the picture."""
        return ImageGrab.grab(bbox=(0, 0, *self.size), xdisplay=self.display).convert("RGB")

    def named(self, name: str) -> int:
        """Find a row by its name."""
        return next(row.id for row in self.model.rows if row.name == name)

    def close(self) -> None:
        """Close the window."""
        self.go.set()
        self.window.close()
        self.model.close(10)


def states(one: Photographer, folder: Path) -> Iterator[str]:
    """Bring the window from state to state; gives the name of each."""
    model, window = one.model, one.window
    one.until(lambda: True)
    yield "empty"
    model.start()
    one.until(lambda: model.card)
    model.add_slice("s1045", demo_slice())
    one.until(one.explained)
    model.open([str(folder)])
    one.until(lambda: model.progress is not None and model.progress.done > 4, turns=1)
    yield "batch"
    one.go.set()
    one.until(one.explained)
    model.select(one.named("drawn-14.png"))  # a healthy head has no evidence to be seen
    one.until(one.explained)
    yield "overlay"
    window.toggle_beside()
    model.view.choose(replace(model.view.choice, method="gradcam++"))
    one.until(one.explained)
    yield "beside"
    yield from looks(one)
    yield from volume(one, folder.parent / "a head")
    yield from troubles(one)


def volume(one: Photographer, folder: Path) -> Iterator[str]:
    """Look at a volume: a slice to look at first, its greys, another plane."""
    model, window = one.model, one.window
    model.view.choose(replace(model.view.choice, method=None, target=None, versus=None))
    model.open([str(folder)])
    one.until(lambda: any(row.stack for row in model.rows))
    model.select(next(row.id for row in model.rows if row.stack))
    one.until(lambda: model.volumes.stack and model.volumes.stack.summary and one.explained())
    model.volumes.look_first()
    window.toggle_contrast()
    one.until(one.explained)
    yield "volume"
    window.toggle_contrast()
    window.toggle_contour()
    model.view.compare("eigencam")
    window.toggle_beside()
    one.until(lambda: model.view.shown and model.view.shown.second)
    yield "methods"
    model.view.compare(None)
    window.toggle_beside()
    window.toggle_contour()


def looks(one: Photographer) -> Iterator[str]:
    """Change how the picture and the list are shown."""
    model, window = one.model, one.window
    window.toggle_alone()
    one.until(one.explained)
    yield "alone"
    window.toggle_alone()
    window.toggle_beside()
    window.toggle_contour()
    window.list.sort_by("confidence")
    window.list.sort_by("confidence")
    one.until(one.explained)
    yield "contour"
    window.toggle_contour()
    window.list.sort_by("confidence")
    window.list.filter.insert(0, "glioma")
    model.view.choose(replace(model.view.choice, method="scorecam"))
    one.until(lambda: model.view.computing)
    yield "computing"
    model.view.choose(
        replace(model.view.choice, method="gradcam++", target="pituitary", versus="glioma")
    )
    window.list.show_all()
    model.select(one.named("drawn-13.png"))
    one.until(one.explained)
    yield "versus"


def troubles(one: Photographer) -> Iterator[str]:
    """Show what cannot be shown, and pages beside the window."""
    model, window = one.model, one.window
    model.select(one.named("broken.png"))
    one.until(lambda: model.row and model.row.error)
    yield "broken"
    model.select(one.named("blank.png"))
    one.until(one.explained)
    yield "not-assessable"
    model.saver.save_overlay("nowhere.jpg")
    one.until(lambda: model.message.trouble)
    yield "trouble"
    model.tell("")
    for name, show in (("model", window.about), ("keys", window.show_keys)):
        show()
        one.until(lambda: True)
        yield name
        for child in window.root.winfo_children():
            if child.winfo_class() == "Toplevel":
                child.destroy()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every state, into a folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, open_screen() as display:
        folder = Path(temporary) / "heads"
        folder.mkdir()
        write_pictures(folder)
        write_series(folder.parent / "a head")
        wanted = {
            ("dark", 1.0, "overlay"): "desktop-dark",
            ("light", 1.0, "beside"): "desktop-light",
            ("dark", 1.0, "volume"): "desktop-volume",
        }
        scales = (1.0, 2.0) if arguments.all else (1.0,)
        for appearance in ("dark", "light"):
            for scale in scales:
                one = Photographer(display, appearance, scale)
                for name in states(one, folder):
                    if arguments.all:
                        arguments.all.mkdir(parents=True, exist_ok=True)
                        path = arguments.all / f"{name}-{appearance}-{scale:.0f}.png"
                        one.take().save(path)
                    elif file := wanted.get((appearance, scale, name)):
                        path = DOCS / f"{file}.png"
                        one.take().save(path, optimize=True)
                        print(path)
                one.close()


if __name__ == "__main__":
    main()
