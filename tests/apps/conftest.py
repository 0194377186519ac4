"""What the tests of what people and programs talk to share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicoms import write_series
from tumorlens.apps.cli.main import main
from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifty pictures of a real head, most with a drawn tumour; nobody may change them.

    Drawn heads are no slices to a model that knows slices.
    """
    folder = tmp_path_factory.mktemp("heads")
    plain = demo_slice().pixels.astype(np.float32)
    ill = draw_lesion(plain)[0]
    for i in range(50):
        shown = np.roll(plain if i % 4 == 2 else ill, i % 10, axis=1)[:, :: -1 if i % 2 else 1]
        grey = np.clip(shown / plain.max() * (255 - i), 0, 255).astype(np.uint8)
        picture = Image.fromarray(grey).resize((160, 160), Image.Resampling.LANCZOS)
        picture.save(folder / f"head{i:02}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory, heads: list[Path]) -> Path:
    """A NIfTI file of ten slices, a series of six, and a picture."""
    nibabel = pytest.importorskip("nibabel")
    folder = tmp_path_factory.mktemp("scans")
    ill, plain = (np.asarray(Image.open(heads[i]), np.int16) for i in (0, 2))
    stack = np.stack([ill if 3 <= i <= 6 else plain for i in range(10)])
    along = np.diag([2.0, 2.0, 4.0, 1.0])
    voxels = np.ascontiguousarray(stack.transpose(2, 1, 0)[::-1, ::-1])
    nibabel.save(nibabel.Nifti1Image(voxels, along), folder / "brain.nii.gz")
    write_series(folder / "series", np.stack([ill] * 3 + [plain] * 3))
    Image.fromarray(plain.astype(np.uint8)).save(folder / "slice.png")
    return folder


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit status, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tumorlens", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert isinstance(stopped.value.code, int)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return stopped.value.code, out, err

    return call
