"""The door to Keras: late, with a backend that is there, and plain words when there is none."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Any

import pytest

from tumorlens.errors import MissingExtraError, RunError
from tumorlens.networks.keras_backend import BACKENDS, require_keras


def pretend(monkeypatch: pytest.MonkeyPatch, installed: set[str]) -> None:
    """A process that has not imported Keras and finds only some packages."""
    for name in [n for n in sys.modules if n == "keras" or n.startswith("keras.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name in installed else None
    )
    monkeypatch.setattr(importlib, "import_module", Stand.named)


class Stand:
    """Stands in for Keras: runs on what the environment says when it is imported."""

    @classmethod
    def named(cls, name: str) -> Stand:
        assert name == "keras"
        return cls()

    def __init__(self) -> None:
        backend = os.environ["KERAS_BACKEND"]
        self.config = Settings(backend)


class Settings:
    """What a user's keras.json has set."""

    def __init__(self, backend: str) -> None:
        self.layout, self.numbers = "channels_first", "float16"
        self.backend = lambda: backend
        self.image_data_format = lambda: self.layout
        self.floatx = lambda: self.numbers

    def set_image_data_format(self, layout: str) -> None:
        self.layout = layout

    def set_floatx(self, numbers: str) -> None:
        self.numbers = numbers


def test_the_start_up_notes_of_tensorflow_are_held_back_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, {"keras", "tensorflow"})
    notes = (
        b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        b"I0000 00:00:1795715758.431903   22732 port.cc:153] oneDNN custom operations are on.\n"
        b"E0000 00:00:1795715758.431903   22732 gpu.cc:1] the driver is broken\n"
    )

    def noisy(name: str) -> Stand:
        os.write(2, notes)
        return Stand.named(name)

    monkeypatch.setattr(importlib, "import_module", noisy)
    require_keras("training")
    assert capfd.readouterr().err.encode() == notes.splitlines(keepends=True)[2]


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        ({"keras", "torch", "tensorflow", "jax"}, "tensorflow"),
        ({"keras", "torch", "jax"}, "jax"),
        ({"keras", "torch"}, "torch"),
    ],
)
def test_the_first_backend_installed_is_chosen(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], wanted: str
) -> None:
    pretend(monkeypatch, installed)
    assert require_keras("training").config.backend() == wanted


def test_a_backend_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"keras", *BACKENDS})
    assert require_keras("training", backend="torch").config.backend() == "torch"


def test_settings_for_other_programs_change_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"keras", *BACKENDS})
    config = require_keras("training").config
    assert (config.image_data_format(), config.floatx()) == ("channels_last", "float32")


def test_a_program_that_has_set_keras_otherwise_is_told(keras: Any) -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(RunError, match="training needs Keras with channels_last and float32"):
            require_keras("training")
    finally:
        keras.config.set_image_data_format("channels_last")


def test_the_environment_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"keras", *BACKENDS})
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert require_keras("training").config.backend() == "jax"
    assert require_keras("training", backend="torch").config.backend() == "torch"


@pytest.mark.parametrize(
    ("installed", "backend", "message"),
    [
        (set(), None, r"^training needs more packages: pip install 'tumorlens\[train\]'"),
        ({"keras"}, None, "^training with tensorflow or jax or torch needs more packages"),
        ({"keras", "jax"}, "torch", "^training with torch needs more packages"),
    ],
)
def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], backend: str | None, message: str
) -> None:
    pretend(monkeypatch, installed)
    with pytest.raises(MissingExtraError, match=message):
        require_keras("training", backend=backend)


def test_keras_cannot_change_its_backend(keras: Any) -> None:
    running = keras.config.backend()
    assert require_keras("training", backend=running) is keras
    other = next(name for name in BACKENDS if name != running)
    with pytest.raises(RunError, match=f"already runs on {running} in this process"):
        require_keras("training", backend=other)


def test_importing_the_training_modules_imports_no_framework() -> None:
    code = """
import sys
import tumorlens.train.augment, tumorlens.train.export, tumorlens.train.fit
import tumorlens.networks.geometry, tumorlens.networks.network, tumorlens.networks.weights
assert not {"keras", "tensorflow", "torch", "jax"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
