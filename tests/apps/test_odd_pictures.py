"""One real slice in every disguise gets one answer; whatever is broken gets a typed error."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion
from tumorlens.images.display import display_grey


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    """The real slice that the demonstration uses, with its drawn tumour, as 8 bits."""
    healthy = demo_slice()
    ill = draw_lesion(healthy.pixels.astype(np.float32))[0]
    return display_grey(dataclasses.replace(healthy, pixels=ill))


def _with_alpha(mode: str) -> Callable[[Image.Image], Image.Image]:
    def make(plain: Image.Image) -> Image.Image:
        picture = plain.convert(mode)
        picture.putalpha(255)
        return picture

    return make


def _lab(plain: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(plain.convert("RGB"), srgb, lab, outputMode="LAB")


def _deep(dtype: str) -> Callable[[Image.Image], Image.Image]:
    return lambda plain: Image.fromarray(np.asarray(plain).astype(dtype) * 257)


def _turned(orientation: int) -> Callable[[Image.Image], Image.Image]:
    """Store the picture turned, with the EXIF note that turns it back."""
    undo = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    return lambda plain: plain.transpose(undo[orientation])


SAVED: dict[str, tuple[Callable[[Image.Image], Image.Image], dict[str, object]]] = {
    "l.png": (lambda p: p, {}),
    "rgb.png": (lambda p: p.convert("RGB"), {}),
    "rgba.png": (_with_alpha("RGBA"), {}),
    "la.png": (_with_alpha("LA"), {}),
    "p.png": (lambda p: p.convert("P"), {}),
    "p_of_colours.tif": (lambda p: p.convert("RGB").quantize(256), {}),
    "i16.png": (_deep("<u2"), {}),
    "i16_little.tif": (_deep("<u2"), {}),
    "i16_big.tif": (_deep(">u2"), {}),
    "i.tif": (_deep("<i4"), {}),
    "f.tif": (lambda p: Image.fromarray(np.asarray(p, np.float32) / 255), {}),
    "l.jpg": (lambda p: p, {"quality": 92}),
    "rgb.jpg": (lambda p: p.convert("RGB"), {"quality": 92}),
    "cmyk.jpg": (lambda p: p.convert("CMYK"), {"quality": 92}),
    "cmyk.tif": (lambda p: p.convert("CMYK"), {}),
    "ycbcr.tif": (lambda p: p.convert("YCbCr"), {}),
    "lab.tif": (_lab, {}),
    "l.bmp": (lambda p: p, {}),
    "l.gif": (lambda p: p, {}),
    "rgb.webp": (lambda p: p.convert("RGB"), {"quality": 92}),
    "l.pgm": (lambda p: p, {}),
    "l.jp2": (lambda p: p, {}),
    "upside_down.jpg": (_turned(3), {"exif": 3}),
    "on_its_side.jpg": (_turned(6), {"exif": 6}),
    "on_its_other_side.png": (_turned(8), {"exif": 8}),
    "large.png": (lambda p: p.resize((1900, 1900)), {}),
    "small.png": (lambda p: p.resize((150, 150)), {}),
    "wide_border.png": (lambda p: _bordered(p, 300), {}),
    "png_called.jpg": (lambda p: p, {"format": "PNG"}),
    "no_ending": (lambda p: p, {"format": "TIFF"}),
}


def _bordered(plain: Image.Image, width: int) -> Image.Image:
    canvas = Image.new("L", (plain.width + 2 * width, plain.height))
    canvas.paste(plain, (width, 0))
    return canvas


def predict(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Run the command line and read its lines."""
    command = [sys.executable, "-m", "tumorlens", "predict", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_every_disguise_gets_the_label_of_the_plain_picture(
    tmp_path: Path, grey: NDArray[np.uint8]
) -> None:
    plain = Image.fromarray(grey)
    for name, (disguise, options) in SAVED.items():
        given = dict(options)
        if orientation := given.pop("exif", None):
            exif = Image.Exif()
            exif[0x0112] = orientation
            given["exif"] = exif
        disguise(plain).save(tmp_path / name, **given)  # type: ignore[arg-type]
    status, answers, stderr = predict(str(tmp_path))
    assert status == 0, stderr
    labels = {Path(str(answer["path"])).name: answer["label"] for answer in answers}
    assert labels == dict.fromkeys(SAVED, labels["l.png"])


def test_several_frames_are_several_slices(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    plain = Image.fromarray(grey)
    plain.save(tmp_path / "stack.tif", save_all=True, append_images=[plain, plain])
    status, answers, _ = predict(str(tmp_path / "stack.tif"))
    assert status == 0
    assert [answer["slice"] for answer in answers] == [0, 1, 2]
    assert len({answer["label"] for answer in answers}) == 1


def test_broken_files_are_named_and_the_rest_goes_on(
    tmp_path: Path, grey: NDArray[np.uint8]
) -> None:
    whole = io.BytesIO()
    Image.fromarray(grey).save(whole, "PNG")
    broken = {
        "a_empty.png": b"",
        "b_truncated.png": whole.getvalue()[: len(whole.getvalue()) // 2],
        "c_text.jpg": b"this is no picture at all\n" * 9,
        "d_page.png": b"<!DOCTYPE html><html></html>",
        "e_dicom.dcm": b"\0" * 128 + b"DICM" + b"\0" * 64,
        "f_header_only.jpg": b"\xff\xd8\xff\xe0",
        "g_noise.tif": b"II*\0" + bytes(range(256)),
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "h_good.png").write_bytes(whole.getvalue())
    status, answers, stderr = predict(str(tmp_path), str(tmp_path / "missing.png"))
    assert status == 1
    assert "Traceback" not in stderr
    errors = [answer.get("error") for answer in answers]
    cut_off = errors[list(broken).index("b_truncated.png")]
    assert isinstance(cut_off, dict)
    assert "fetch or export it again" in cut_off["message"]  # not: save again what is left
    assert [Path(str(answer["path"])).name for answer in answers] == [
        *broken,
        "h_good.png",
        "missing.png",
    ]
    assert errors[len(broken)] is None
    for answer, error in zip(answers, errors, strict=True):
        if isinstance(error, dict):
            assert set(answer) == {"path", "error"}
            assert error["type"] == "UnreadableImageError"
            assert str(answer["path"]) in error["message"]
