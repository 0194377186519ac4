"""What the package shows to the world, and what using it does not drag in."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import tumorlens
from tumorlens import errors

HEAVY = (
    *("keras", "tensorflow", "torch", "jax", "matplotlib", "scipy", "sklearn", "onnx", "pandas"),
    *("huggingface_hub", "h5py", "yaml"),
)


def modules_after(code: str, *arguments: str) -> set[str]:
    """Run code in a fresh process and say what it imported."""
    tail = "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_public_names_are_exactly_these_and_sorted() -> None:
    assert tumorlens.__all__ == [
        "Classifier",
        "DataError",
        "Explanation",
        "Failure",
        "MissingExtraError",
        "ModelError",
        "OutputError",
        "Prediction",
        "RunError",
        "Slice",
        "TumorLensError",
        "UnreadableImageError",
        "UnsafeModelError",
        "Volume",
        "VolumeAnswer",
        "VolumeExplanation",
        "load",
        "read_slices",
        "read_volume",
        "to_frame",
    ]
    assert sorted(tumorlens.__all__) == tumorlens.__all__
    assert dir(tumorlens) == sorted([*tumorlens.__all__, "__version__"])


@pytest.mark.parametrize("name", tumorlens.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(tumorlens, name)
    assert thing.__name__ == name
    assert thing.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'magic'"):
        tumorlens.magic  # noqa: B018
    assert not hasattr(tumorlens, "classify_everything")


def test_every_error_is_public() -> None:
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert kinds <= set(tumorlens.__all__)


def test_importing_the_package_loads_nothing_that_costs() -> None:
    assert not modules_after("import tumorlens") & {"numpy", "PIL", "onnxruntime", *HEAVY}


def test_answering_and_explaining_load_no_framework(
    tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    code = """
import sys, tumorlens
_, bundle, picture, out = sys.argv
classifier = tumorlens.load(bundle)
assert classifier.predict(picture).label == "pituitary"
classifier.explain(picture).save(out)
from tumorlens.explain.cam import METHODS
for method in METHODS:
    classifier.explain(picture, method=method, layer=classifier.layers[-1]).overlay(0.5, "viridis")
"""
    loaded = modules_after(code, str(tiny_bundle), str(picture), str(tmp_path / "record"))
    assert "onnxruntime" in loaded
    assert not loaded & set(HEAVY)
    assert (tmp_path / "record" / "manifest.json").is_file()


ERRORS = [
    errors.TumorLensError("all"),
    errors.UnreadableImageError("a.png", "an empty file", "fetch it again"),
    errors.ModelError("no model"),
    errors.UnsafeModelError("no safe model"),
    errors.DataError("no data"),
    errors.RunError("no run"),
    errors.OutputError("no room"),
    errors.MissingExtraError("training", "train"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_errors_survive_being_copied_and_sent(error: errors.TumorLensError) -> None:
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
        assert isinstance(twin, tumorlens.TumorLensError)


def test_messages_say_what_where_and_how_to_mend() -> None:
    unreadable, extra = ERRORS[1], ERRORS[-1]
    assert str(unreadable) == "a.png: an empty file; fetch it again"
    assert str(extra) == (
        "training needs more packages: pip install 'tumorlens[train]', or '.[train]' in a clone"
    )
