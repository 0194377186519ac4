"""What the tests share: drawn pictures, one small network trained on them, its bundles."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tumorlens.classifier import Classifier, load
from tumorlens.data.phantom import write_phantoms
from tumorlens.images.prepare import PREPARATION
from tumorlens.models.card import CARD_NAME, Card, FeatureLayer, InputFormat
from tumorlens.models.head import HEAD_KEY, Head
from tumorlens.networks.keras_backend import require_keras
from tumorlens.train.export import export_run
from tumorlens.train.fit import train
from tumorlens.train.recipe import Augmentation, Recipe
from tumorlens.train.run import load_run

pytest_plugins = ("evaluations",)  # labelled sets and evaluations, for two rooms

SLOWEST = (
    "test_notebook.py",
    "archive/test_ray.py",
    "train/test_fit.py",
    "apps/desktop/test_window.py",
    "apps/cli/test_main.py",
    "apps/session/test_view_model.py",
    "checkpoint/test_import_keras.py",
    "networks/test_network.py",
    "train/test_kill.py",
    "apps/cli/test_data.py",
    "apps/cli/test_streams.py",
    "apps/session/test_keras_process.py",
    "checkpoint/test_attacks.py",
    "networks/test_geometry.py",
    "apps/desktop/test_gui_command.py",
    "evaluate/test_localise.py",
    "evaluate/test_epochs.py",
    "report/test_evaluation.py",
    "data/test_audit.py",
    "data/test_download.py",
    "report/test_data_set_figures.py",
)
"""Files of ten seconds and more, longest first: ``pytest --durations=40`` says which they are."""


def pytest_configure(config: pytest.Config) -> None:
    """Give each process one thread, where there are several: they would wait for each other."""
    if (config.getoption("numprocesses", 0) or 0) > 1:  # before they start, and read this
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no long file is left to one process at the end."""
    folder = Path(__file__).parent
    places = {folder / name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras, through the package's own door."""
    return require_keras("the tests")


@pytest.fixture(scope="session")
def phantom_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of drawn heads; nobody may change it."""
    return write_phantoms(tmp_path_factory.mktemp("data") / "phantoms", training=40, testing=12)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """Settings with which the smallest network learns the drawn heads whatever the seed."""
    mild = Augmentation(rotation=5, shift=0.03, zoom=0.05, brightness=(0.9, 1.1))
    return Recipe(
        network="tiny",
        size=64,
        epochs=20,
        batch=16,
        learning_rate=6e-3,
        validation=0.2,
        augmentation=mild,
    )


@pytest.fixture(scope="session")
def tiny_run(
    phantom_data: Path, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The one training that most tests live on; nobody may change it."""
    return train(tiny_recipe, phantom_data, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path) -> Any:
    """The trained Keras network."""
    return load_run(tiny_run)[1]


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained network as a float bundle."""
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    return export_run(tiny_run, out, precision="float32", name="tiny-float")


@pytest.fixture(scope="session")
def tiny_bundle_int8(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained network as an int8 bundle."""
    return export_run(tiny_run, tmp_path_factory.mktemp("bundles") / "tiny-int8", name="tiny-int8")


@pytest.fixture(scope="session")
def classifier(tiny_bundle: Path) -> Classifier:
    """The trained network, ready to answer."""
    return load(tiny_bundle, threads=1)


@pytest.fixture(scope="session")
def testing(phantom_data: Path) -> dict[str, list[Path]]:
    """The drawn pictures that no training saw, by class."""
    folder = phantom_data / "Testing"
    return {sub.name: sorted(sub.iterdir()) for sub in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def picture(testing: dict[str, list[Path]]) -> Path:
    """One of them: a pituitary tumour."""
    return testing["pituitary"][0]


MakeBundle = Callable[..., Path]


@pytest.fixture
def spot_bundle(tmp_path: Path) -> MakeBundle:
    """Makes bundles whose network is worked out by hand.

    Its only feature is how bright the input is at every fourth pixel (the mean of two by
    two), its logits are that feature's mean times the weights. What lies where in its
    explanations is therefore known.
    """

    def make(
        weights: tuple[float, ...] = (1.0, -1.0), layout: str = "NHWC", head: Head | None = None
    ) -> Path:
        size, out = 64, tmp_path / f"spot{len(list(tmp_path.iterdir()))}"
        kernel = np.array([weights], dtype=np.float32)
        head = head or Head("avg", ((kernel, np.zeros(len(weights), np.float32)),))
        content = _spot_onnx(size, kernel, layout, head)
        card = Card(
            name="spot",
            version="3",
            network="by-hand",
            classes=tuple("abcdefgh"[: len(weights)]),
            input=InputFormat(size, 1, layout, (0.0, 1.0), PREPARATION),
            features=FeatureLayer("dots", 4.0, 0.5, layout),
            files={"model.onnx": {"sha256": hashlib.sha256(content).hexdigest()}},
            precision="float32",
        )
        out.mkdir()
        (out / "model.onnx").write_bytes(content)
        (out / CARD_NAME).write_text(card.to_json())
        return out

    return make


def _spot_onnx(size: int, kernel: NDArray[np.float32], layout: str, head: Head) -> bytes:
    channels_last = layout == "NHWC"
    shape = ["n", size, size, 1] if channels_last else ["n", 1, size, size]
    dots = ["n", 16, 16, 1] if channels_last else ["n", 1, 16, 16]
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2] if channels_last else [0, 1, 2, 3]),
        node("AveragePool", ["t"], ["dots"], kernel_shape=[2, 2], strides=[4, 4]),
        node("Transpose", ["dots"], ["features"], perm=[0, 2, 3, 1])
        if channels_last
        else node("Identity", ["dots"], ["features"]),
        node("GlobalAveragePool", ["dots"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
        node("MatMul", ["flat", "kernel"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "spot",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", kernel.shape[1]]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, dots),
        ],
        [helper.make_tensor("kernel", TensorProto.FLOAT, kernel.shape, kernel.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model.metadata_props.add(key=HEAD_KEY, value=head.to_text())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def change_card() -> Callable[..., None]:
    """Rewrites fields of a bundle's card."""

    def change(bundle: Path, **fields: Any) -> None:
        path = bundle / CARD_NAME
        card = Card.from_json(path.read_bytes(), source=str(path))
        path.write_text(dataclasses.replace(card, **fields).to_json())

    return change
