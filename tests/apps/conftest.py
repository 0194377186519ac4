"""What the tests of what people and programs talk to share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tumorlens.apps.cli.main import main
from tumorlens.data.phantom import draw_phantom


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifty drawn heads; nobody may change them."""
    folder = tmp_path_factory.mktemp("heads")
    labels = ("glioma", "meningioma", "notumor", "pituitary")
    for i in range(50):
        seed = (5, 4, 2, 3)[i] if i < 4 else i  # the first ones are like enough to a slice
        picture = Image.fromarray(draw_phantom(labels[i % 4], seed, 160).pixels)
        picture.save(folder / f"head{i:02}.png")
    return sorted(folder.iterdir())


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
