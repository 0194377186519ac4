"""From a trained run to a bundle: ``model.onnx``, ``model.json``, float weights beside.

Keras writes the ONNX graph, ONNX Runtime's tools quantise it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorlens.classifier import Classifier
from tumorlens.data.download import DATASET
from tumorlens.data.folder import CLASSES, Example
from tumorlens.data.published import TEST_FOLD, published
from tumorlens.data.split import Selection, select
from tumorlens.errors import ModelError, UnreadableImageError
from tumorlens.extras import require
from tumorlens.files import hash_file, new_folder
from tumorlens.images.prepare import PREPARATION
from tumorlens.models.bundle import ONNX_NAME, WEIGHTS_NAME
from tumorlens.models.card import CARD_NAME, Card, FeatureLayer, InputFormat
from tumorlens.models.engine import ort, part_of_engine
from tumorlens.models.head import HEAD_KEY, Head
from tumorlens.models.onnx_check import CLASSES_KEY
from tumorlens.models.probes import take_probes
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.networks.geometry import cell_grid
from tumorlens.networks.keras_backend import require_keras
from tumorlens.networks.network import (
    NETWORKS,
    NO_TUMOUR,
    convolution_outputs,
    feature_layer,
    novelty_output,
)
from tumorlens.networks.weights import save_weights
from tumorlens.progress import Progress, silent
from tumorlens.train.batches import as_tensors
from tumorlens.train.pictures import hash_files, load_pictures
from tumorlens.train.recipe import Recipe
from tumorlens.train.run import epochs_done, load_run, preparation_of, read_note
from tumorlens.trust.novelty import OUTPUT

__all__ = ["calibration_pictures", "export_run", "write_bundle"]

_CALIBRATION_COUNT = 320
_INTENDED = "Research and teaching on MRI slices of the head. Not a medical device."


def export_run(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    version: str = "1",
    precision: str = "int8",
    epoch: int | None = None,
    data: str | os.PathLike[str] | None = None,
    weights: bool = True,
    description: str = "",
    limitations: str = "",
    open_test_fold: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write the network of a run as a bundle, with the scores of that very bundle.

    Parameters
    ----------
    run
        A run folder.
    out
        The bundle to make; it appears whole or not at all.
    name, version
        What the model is called; the network's name when ``None``.
    precision
        ``"int8"`` (static, weights per channel) or ``"float32"``.
    epoch
        Which epoch, the last one when ``None``.
    data
        The data the run was trained on, when it has moved. Its training pictures
        calibrate int8; its test folds, or its ``Testing`` folder, give the card's scores.
    weights
        Whether to put the float weights, in half precision, beside them.
    description, limitations
        Sentences for the card: what the model is, and how far not to trust it.
    open_test_fold
        Whether to score the published test fold, when the run kept it for testing. To
        be done once, with the final model; until then its card has no scores.
    progress
        Told of pictures read and classified.

    Returns
    -------
    pathlib.Path
        The bundle.

    Raises
    ------
    RunError, ModelError, DataError, OutputError
        When the run, the data or the place is not as it should be.
    """
    if precision not in ("int8", "float32"):
        raise ModelError(f"`precision` must be int8 or float32, got {precision!r}")
    recipe, model = load_run(run, epoch)
    epoch = epochs_done(run) if epoch is None else epoch
    note = read_note(run)
    chosen = select(
        data if data is not None else note["data"],
        test_folds=note.get("selection", {}).get("test_folds", (TEST_FOLD,)),
        allow_leaks=True,  # refused or allowed when it was trained; here it is only told
    )
    note["leaky"] = note.get("leaky", False) or chosen.leaky
    preparation = preparation_of(Path(run))
    with new_folder(out) as bundle:
        samples = None
        if precision == "int8":
            samples = calibration_pictures(chosen.training, recipe, preparation, progress)
        card, session = write_bundle(
            model,
            recipe.network,
            bundle,
            calibration=samples,
            preparation=preparation,
            weights=weights,
            name=name or recipe.network,
            version=version,
            classes=CLASSES,
            training={**_training(recipe, epoch, note), **_datasets(chosen.training)},
            description=description,
            limitations=limitations,
        )
        if chosen.testing and (open_test_fold or not _holds_test_fold(chosen)):
            scores = _scores(session, chosen.testing, progress)
            card.metrics.update({**chosen.origin, "leaky": note["leaky"], **scores})
            (bundle / CARD_NAME).write_text(card.to_json())
    return Path(out)


def write_bundle(
    model: Any,
    network: str,
    bundle: Path,
    *,
    calibration: NDArray[np.uint8] | None,
    weights: bool,
    preparation: str = PREPARATION,
    **card_fields: Any,
) -> tuple[Card, Session]:
    """Write a Keras network into a folder, with a card and probes.

    Parameters
    ----------
    model
        A network from `build_network`.
    network
        Its key in the registry.
    bundle
        A folder that is there.
    calibration
        Prepared pictures, uint8 ``(n, size, size)``, to calibrate int8 with; float32
        stays without.
    weights
        Whether to put the float weights, in half precision, beside the network.
    preparation
        The one that the network was trained with.
    **card_fields
        What only the caller knows: ``name``, ``version``, ``classes``, ``training``,
        ``description``, ``limitations``.

    Returns
    -------
    tuple
        The card as it was written, and the network ready to run.
    """
    onnx_path = bundle / ONNX_NAME
    write_onnx(model, network, onnx_path, keras_head(model, network), card_fields["classes"])
    if calibration is not None:
        quantise(onnx_path, calibration, network)
    if weights:
        save_weights(model, bundle / WEIGHTS_NAME)
    value_range = NETWORKS[network].value_range
    card = Card(
        network=network,
        input=InputFormat(model.input.shape[1], 3, "NHWC", value_range, preparation),
        features=_feature_layer(model, network),
        files={path.name: _describe(path) for path in sorted(bundle.iterdir())},
        precision="float32" if calibration is None else "int8",
        intended_use=_INTENDED,
        layers=convolution_outputs(model) if weights else (),
        **card_fields,
    )
    (bundle / CARD_NAME).write_text(card.to_json())
    session = Session(open_bundle(bundle))
    card = dataclasses.replace(card, probes=take_probes(session))
    (bundle / CARD_NAME).write_text(card.to_json())
    return card, session


def write_onnx(model: Any, network: str, path: Path, head: Head, classes: Sequence[str]) -> None:
    """Write a Keras network as ONNX with the outputs ``logits`` and ``features``.

    Networks of several levels have a third, ``novelty``: see `novelty_output`.

    The head goes along as metadata, so that explanations need nothing else, and so do
    the classes in the order of the logits, so that no card can exchange them.
    """
    keras = require_keras("exporting")
    onnx = require("onnx", "exporting", "train")
    features = model.get_layer(feature_layer(network)).output
    outputs = {"logits": model.output, "features": features}
    if (vectors := novelty_output(model, network)) is not None:
        outputs[OUTPUT] = vectors
    both = keras.Model(model.input, outputs)
    size = model.input.shape[1]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras's own exporter looks for attributes that newer NumPy has dropped.
        warnings.simplefilter("ignore")
        both(np.zeros((1, size, size, 3), np.float32))
        raw = Path(folder) / "raw.onnx"
        both.export(str(raw), format="onnx", verbose=False)
        graph = onnx.load(str(raw))
    graph.metadata_props.add(key=HEAD_KEY, value=head.to_text())
    graph.metadata_props.add(key=CLASSES_KEY, value=json.dumps(list(classes)))
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def quantise(path: Path, pictures: NDArray[np.uint8], network: str) -> None:
    """Turn an ONNX file into int8 in place, calibrated on prepared pictures.

    Weights are quantised per channel. The head stays in float: it costs nothing, and its
    rounding would go straight into the logits. So does the first quarter of the
    convolutions, which see fine grey values on large maps: they hold few weights, and half
    of the answers that int8 changed came from them. What is left of the rounding moves all
    logits of a class one way; its mean over the pictures is taken off
    (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
    Correction", ICCV 2019, section 4.2, here at the logits alone).
    """
    onnx = require("onnx", "exporting", "train")  # without which the engine's tools do not load
    tools = part_of_engine("quantization")
    shape_tools = part_of_engine("quantization.shape_inference")
    original = onnx.load(str(path))
    with tempfile.TemporaryDirectory() as folder:
        ready, done = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        shape_tools.quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        graph = onnx.load(str(ready)).graph
        name = graph.input[0].name
        tools.quantize_static(
            str(ready),
            str(done),
            _reader(tools, name, pictures, network),
            quant_format=tools.QuantFormat.QDQ,
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            nodes_to_exclude=_in_float(graph),
            op_types_to_quantize=["Conv", "Add", "Clip", "Relu", "MaxPool"],
        )
        result = onnx.load(str(done))
    del result.metadata_props[:]
    result.metadata_props.extend(original.metadata_props)
    moved = _mean_logits(result, pictures, network) - _mean_logits(original, pictures, network)
    _shift(onnx, result, -moved)
    onnx.checker.check_model(result)
    onnx.save(result, str(path))


def _in_float(graph: Any) -> list[str]:
    """Name the nodes that stay in float: the head, and the first quarter of convolutions."""
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    first = convolutions[: max(1, len(convolutions) // 4)]
    head = [
        node.name
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm") or "/evidence" in node.name
    ]
    return [*head, *first]


def _mean_logits(model: Any, pictures: NDArray[np.uint8], network: str) -> NDArray[np.float32]:
    engine = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = engine.get_inputs()[0].name
    found = [
        engine.run(["logits"], {name: as_tensors(pictures[i : i + 16], network)})[0]
        for i in range(0, len(pictures), 16)
    ]
    return np.asarray(np.concatenate(found).mean(axis=0), np.float32)


def _shift(onnx: Any, model: Any, by: NDArray[np.float32]) -> None:
    """Add a number to each logit, and to the head that travels along."""
    text = next(entry for entry in model.metadata_props if entry.key == HEAD_KEY)
    text.value = Head.from_text(text.value).shifted(by).to_text()
    graph = model.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == "logits":
                    names[i] = "logits_as_rounded"
    graph.initializer.append(onnx.numpy_helper.from_array(by[None], "logits_shift"))
    graph.node.append(
        onnx.helper.make_node("Add", ["logits_as_rounded", "logits_shift"], ["logits"])
    )


def keras_head(model: Any, network: str) -> Head:
    """Collect the dense layers of a Keras network's head."""
    if NETWORKS[network].pooling == "lse":
        evidence = model.get_layer("evidence")
        kernel, bias = (np.asarray(x.numpy(), np.float32) for x in (evidence.kernel, evidence.bias))
        # No tumour has no evidence: a column of zeros.
        layer = np.insert(kernel[0, 0], NO_TUMOUR, 0, axis=1), np.insert(bias, NO_TUMOUR, 0)
        return Head("lse", (layer,))
    names = [layer.name for layer in model.layers]
    dense = [x for x in model.layers[names.index("pool") :] if hasattr(x, "kernel")]
    layers = tuple(
        (np.asarray(x.kernel.numpy(), np.float32), np.asarray(x.bias.numpy(), np.float32))
        for x in dense
    )
    return Head(NETWORKS[network].pooling, layers)


def _reader(tools: Any, name: str, pictures: NDArray[np.uint8], network: str) -> Any:
    def batches() -> Iterator[dict[str, NDArray[np.float32]]]:
        for start in range(0, len(pictures), 16):
            yield {name: as_tensors(pictures[start : start + 16], network)}

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc]  # imported late
        def __init__(self) -> None:
            self._batches = batches()

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._batches, None)

    return Reader()


def calibration_pictures(
    examples: Sequence[Example], recipe: Recipe, preparation: str, progress: Progress
) -> NDArray[np.uint8]:
    """Prepare some training pictures to calibrate int8 with: uint8, ``(n, size, size)``."""
    random = np.random.default_rng((recipe.seed, 4))
    chosen = random.permutation(len(examples))[:_CALIBRATION_COUNT]
    some = [examples[i] for i in chosen]
    return load_pictures(some, recipe.size, progress, preparation=preparation).pixels


def _holds_test_fold(chosen: Selection) -> bool:
    """Say whether the test pictures are of the fold that is opened once."""
    return TEST_FOLD in chosen.origin.get("test_folds", ())


def _training(recipe: Recipe, epoch: int, note: dict[str, Any]) -> dict[str, Any]:
    """Say how the network was trained, without the paths of somebody's disk."""
    asked = recipe.to_dict()
    asked["weights"] = Path(recipe.weights).name
    known = {key: value for key, value in note.items() if key not in ("data", "unreadable")}
    return {"recipe": asked, "epoch": epoch, **known, "unreadable": len(note["unreadable"])}


def _datasets(examples: Sequence[Example]) -> dict[str, list[str]]:
    """Name the data set that pictures come from, when their files are known."""
    known = published()
    for example in examples:
        try:
            digest = example.sha256 or hash_file(example.path)
        except OSError:  # it could not be trained on either
            continue
        if digest in known:
            return {"datasets": [DATASET]}
    return {}


def _feature_layer(model: Any, network: str) -> FeatureLayer:
    name = feature_layer(network)
    grid = cell_grid(model, name)
    return FeatureLayer(name, grid.jump, grid.start, "NHWC")


def _describe(path: Path) -> dict[str, Any]:
    return {"sha256": hash_file(path), "bytes": path.stat().st_size}


def _scores(session: Session, examples: Sequence[Example], progress: Progress) -> dict[str, Any]:
    """Classify test pictures with the bundle itself, the way a user would, and count."""
    classifier = Classifier(session)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    unreadable = 0
    for i, example in enumerate(examples):
        progress("classifying", i + 1, len(examples))
        try:
            label = next(classifier.predict_batch([example.path])).label
        except UnreadableImageError:
            unreadable += 1
            continue
        confusion[CLASSES.index(example.label), CLASSES.index(label)] += 1
    right = np.diagonal(confusion)
    return {
        "data": "Testing" if examples[0].split == "Testing" else "test folds",
        "data_sha256": hash_files(examples),
        "n": int(confusion.sum()),
        "unreadable": unreadable,
        "accuracy": float(right.sum() / max(1, confusion.sum())),
        "recall": {
            name: float(right[i] / max(1, confusion[i].sum())) for i, name in enumerate(CLASSES)
        },
        "confusion_matrix": confusion.tolist(),
    }
