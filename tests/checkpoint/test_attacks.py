"""Checkpoints that attack: each refused with a typed error, and nothing of them run or followed.

The CVEs are those of Keras's own loaders. None of them is called here, so what is
tested is that the pattern of each is refused, and that it had no effect.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkpoints import WEIGHTS, change_config, change_weights, rewritten
from tumorlens.checkpoint import archive as archive_module
from tumorlens.checkpoint import config, hdf5, import_keras, reader
from tumorlens.checkpoint.import_keras import import_checkpoint, load_checkpoint_weights
from tumorlens.checkpoint.reader import look_through
from tumorlens.data.folder import CLASSES
from tumorlens.errors import ModelError, TumorLensError, UnsafeModelError

SECRET = b"the password is 1234" * 20


@pytest.fixture(scope="module")
def good(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The smallest network, saved by Keras in each of its formats; nobody may change it."""
    folder = tmp_path_factory.mktemp("good")
    x = entry = keras.Input((64, 64, 3))
    for channels in (16, 32, 48, 64):
        x = keras.layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(entry, keras.layers.Dense(4, activation="softmax")(x))
    files = {name: folder / f"good.{name}" for name in ("keras", "weights.h5", "h5")}
    model.save(files["keras"])
    model.save_weights(files["weights.h5"])
    model.save(files["h5"])
    return files


@pytest.fixture
def no_loader(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras's own loaders must not even be called."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("Keras's loader was called")

    for place, name in (
        (keras.models, "load_model"),
        (keras.saving, "load_model"),
        (keras.models, "model_from_json"),
        (keras.saving, "deserialize_keras_object"),
        (keras.layers, "deserialize"),
        (keras.Model, "load_weights"),
        (keras.Model, "from_config"),
        (pickle, "loads"),
        (pickle, "load"),
        (keras.src.utils.python_utils, "func_load"),  # what unpacks a Lambda's bytecode
    ):
        monkeypatch.setattr(place, name, never)


pytestmark = pytest.mark.usefixtures("no_loader")


@pytest.fixture
def file(good: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one's own to spoil."""
    return lambda kind: Path(shutil.copy(good[kind], tmp_path / f"mine.{kind}"))


def refuse(path: Path, match: str, kind: type[TumorLensError] = UnsafeModelError) -> None:
    out = path.parent / "bundle"
    with pytest.raises(kind, match=match) as caught:
        import_checkpoint(path, out, classes=CLASSES, network="tiny")
    assert str(path) in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "h5"])
def test_what_does_not_attack_is_read(good: dict[str, Path], kind: str) -> None:
    load_checkpoint_weights(good[kind], "tiny", classes=4)


# what a config can ask for


def add_layer(layer: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"].append(layer)


def lambda_layer(marker: Path) -> dict[str, Any]:
    """A Lambda layer as Keras stores it: base64 of marshalled bytecode."""
    code = compile(f"open({str(marker)!r}, 'w')", "<evil>", "eval")
    packed = base64.b64encode(marshal.dumps(code)).decode()
    function = {"class_name": "__lambda__", "config": {"code": packed, "defaults": None}}
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "evil", "function": function},
        "registered_name": None,
        "name": "evil",
        "inbound_nodes": [],
    }


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_cve_2024_3660_and_2025_9905_lambda_layers(
    file: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    """3660: bytecode in a Lambda layer; 9905: the safe mode does not look into ``.h5``."""
    marker = tmp_path / "run"
    path = file(kind)
    change_config(path, add_layer(lambda_layer(marker)))
    refuse(path, "config holds code, .*(Lambda|__lambda__)")
    assert not marker.exists()


def test_a_lambda_layer_that_keras_itself_saved(keras: Any, tmp_path: Path) -> None:
    entry = keras.Input((64, 64, 3))
    x = keras.layers.Conv2D(4, 3)(keras.layers.Lambda(lambda x: x * 2)(entry))
    model = keras.Model(entry, x)
    for name in ("real.keras", "real.h5"):
        model.save(tmp_path / name)
        refuse(tmp_path / name, "config holds code")


def test_cve_2025_1550_any_function_of_any_module(
    file: Callable[[str], Path], tmp_path: Path
) -> None:
    marker = tmp_path / "run"
    for module, name in (("os", "system"), ("subprocess", "Popen"), ("builtins", "exec")):
        path = file("keras")
        inner = {"module": module, "class_name": name, "config": {"args": [f"touch {marker}"]}}
        change_config(path, add_layer({**inner, "registered_name": None, "name": "evil"}))
        refuse(path, f"'{module}.{name}' in its config is none of Keras's own layers")
        path = file("keras")
        function = {
            "module": module,
            "class_name": "function",
            "config": name,
            "registered_name": "function",
        }
        change_config(path, lambda c, f=function: c["config"].update(name=f))
        refuse(path, f"config holds code, '{module}.function'")
    assert not marker.exists()


def test_cve_2025_8747_functions_of_keras_that_fetch_and_unpack(
    file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = file("keras")
    function = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }
    arguments = {"fname": "x", "origin": "http://127.0.0.1:9/x", "cache_dir": str(tmp_path)}
    change_config(path, lambda c: c["compile_config"].update(loss=function, kwargs=arguments))
    refuse(path, r"config holds code, 'keras\.utils\.function'")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.keras"]


def test_cve_2025_9906_switching_the_safe_mode_off(
    file: Callable[[str], Path], tmp_path: Path, keras: Any
) -> None:
    for module in ("keras.config", "keras.src.saving.serialization_lib"):
        path = file("keras")
        off = {
            "module": module,
            "class_name": "enable_unsafe_deserialization",
            "config": {},
            "registered_name": None,
        }
        marker = tmp_path / "run"

        def change(config: dict[str, Any], off: Any = off, marker: Path = marker) -> None:
            config["config"]["layers"].insert(0, {**off, "name": "first"})
            config["config"]["layers"].append(lambda_layer(marker))

        change_config(path, change)
        refuse(path, "is not read: .*(enable_unsafe_deserialization|Lambda|__lambda__)")
        change_config(path, lambda c: c["config"]["layers"].pop())
        refuse(path, r"enable_unsafe_deserialization' in its config is none|config holds code")
        assert not marker.exists()
    assert keras.src.saving.serialization_lib.in_safe_mode() is not False


@pytest.mark.parametrize(
    "layer", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Lambda"]
)
def test_layers_that_bring_programs(file: Callable[[str], Path], layer: str) -> None:
    """TFSMLayer loads a SavedModel from a path (CVE-2026-1462)."""
    path = file("keras")
    config = {"name": "evil", "filepath": "/tmp/evil"}
    change_config(path, add_layer({"class_name": layer, "config": config, "name": "evil"}))
    refuse(path, f"config holds code, .*{layer}")


def test_custom_objects(file: Callable[[str], Path]) -> None:
    for entry in (
        {"module": None, "class_name": "Mine", "registered_name": "pack>Mine"},
        {"module": "my_layers", "class_name": "Mine", "registered_name": "Mine"},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": "pack>Dense"},
        {"module": "keras.layers.evil", "class_name": "Dense", "registered_name": None},
        {"module": 5, "class_name": "Dense", "registered_name": None},
    ):
        path = file("keras")
        change_config(path, add_layer({**entry, "config": {"name": "evil"}, "name": "evil"}))
        refuse(path, "in its config is none of Keras's own layers")
    for kind in ("os.system", "a b", ""):
        path = file("h5")
        change_config(path, add_layer({"class_name": kind, "config": {"name": "evil"}}))
        refuse(path, "config holds code")


def test_a_layer_of_keras_that_the_network_has_not(file: Callable[[str], Path]) -> None:
    path = file("keras")
    extra = {"class_name": "Rescaling", "config": {"name": "extra", "scale": 2.0}}
    change_config(path, add_layer({**extra, "module": "keras.layers", "registered_name": None}))
    refuse(path, "it has 1 layers of the kind Rescaling, tiny has 0", ModelError)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"5", b"null", b"[" * 100_000, b"\xff\xfe"])
def test_a_config_that_is_none(file: Callable[[str], Path], text: bytes) -> None:
    path = file("keras")
    rewritten(path, path, {"config.json": text})
    refuse(path, "config", ModelError)


def test_a_config_without_end(file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = file("keras")
    monkeypatch.setattr(config, "_MOST_VALUES", 50)
    refuse(path, "config is larger than that of any network")


# what an HDF5 file can lead to


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no checkpoint may read, at a place that an attacker can guess."""
    place = tmp_path / "secret"
    place.write_bytes(SECRET)
    return place


KERNEL = "layers/dense/vars/1"
"""The bias of the last layer: 4 numbers, whose content anybody could ask for."""


def replace(weights: h5py.File, name: str, put: Callable[[h5py.Group, str], object]) -> None:
    del weights[name]
    group, _, last = name.rpartition("/")
    put(weights[group] if group else weights, last)


@pytest.mark.parametrize("kind", ["keras", "weights.h5"])
def test_cve_2026_1669_arrays_kept_in_other_files(
    file: Callable[[str], Path], secret: Path, kind: str
) -> None:
    path = file(kind)

    def put(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, (4,), "f4", external=[(str(secret), 0, 16)])

    change_weights(path, lambda weights: replace(weights, KERNEL, put))
    refuse(path, f"/{KERNEL} is kept in another file")


@pytest.mark.parametrize("kind", ["keras", "weights.h5"])
def test_cve_2026_1669_links_to_other_files(
    file: Callable[[str], Path], good: dict[str, Path], kind: str
) -> None:
    path = file(kind)
    link = h5py.ExternalLink(str(good["weights.h5"]), "/layers/dense/vars/1")
    change_weights(path, lambda w: replace(w, KERNEL, lambda g, n: g.__setitem__(n, link)))
    refuse(path, f"/{KERNEL} is a link")


@pytest.mark.parametrize("name", ["model_weights", "model_weights/dense"])
@pytest.mark.parametrize("soft", [True, False])
def test_cve_2026_12480_links_in_the_groups_of_older_files(
    file: Callable[[str], Path], good: dict[str, Path], name: str, soft: bool
) -> None:
    path = file("h5")

    def change(weights: h5py.File) -> None:
        weights.move(name, "elsewhere")
        weights[name] = (
            h5py.SoftLink("/elsewhere") if soft else h5py.ExternalLink(str(good["h5"]), name)
        )

    change_weights(path, change)
    refuse(path, "/model_weights.* is a link")


def test_links_where_nothing_is_read(file: Callable[[str], Path]) -> None:
    """Also beside the weights: a file with links in it is not what it says."""
    path = file("weights.h5")
    change_weights(path, lambda w: w.__setitem__("optimizer/x", h5py.SoftLink("/layers")))
    refuse(path, "/optimizer/x is a link")


def test_arrays_put_together_from_other_files(
    file: Callable[[str], Path], good: dict[str, Path]
) -> None:
    path = file("weights.h5")
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(good["weights.h5"]), KERNEL, (4,))
    change_weights(
        path, lambda w: replace(w, KERNEL, lambda g, n: g.create_virtual_dataset(n, layout))
    )
    refuse(path, f"/{KERNEL} is put together from other files")


def test_circles(file: Callable[[str], Path]) -> None:
    path = file("weights.h5")
    change_weights(path, lambda w: w.__setitem__("layers/dense/vars/round", w["layers"]))
    refuse(path, "is there under two names")


def test_one_array_under_many_names(file: Callable[[str], Path]) -> None:
    path = file("weights.h5")
    change_weights(path, lambda w: w.__setitem__("layers/dense/vars/7", w[KERNEL]))
    refuse(path, "is there under two names")


@pytest.mark.parametrize(
    "dtype",
    [
        h5py.string_dtype(),
        h5py.vlen_dtype(np.float32),
        h5py.ref_dtype,
        np.dtype([("a", "f4"), ("b", "i4")]),
        np.dtype("S8"),
        np.dtype("V8"),
        np.dtype("complex64"),
    ],
    ids=str,
)
def test_objects_instead_of_numbers(file: Callable[[str], Path], dtype: Any) -> None:
    """Objects are where pickles would hide."""
    path = file("weights.h5")
    change_weights(
        path, lambda w: replace(w, KERNEL, lambda g, n: g.create_dataset(n, (4,), dtype))
    )
    refuse(path, f"/{KERNEL} holds objects, text or links instead of numbers")


def test_a_type_in_the_place_of_a_layer(file: Callable[[str], Path]) -> None:
    path = file("weights.h5")
    change_weights(path, lambda w: w.__setitem__("layers/type", np.dtype("f8")))
    refuse(path, "/layers/type is neither a group nor an array")


def test_filters_that_need_a_plug_in(file: Callable[[str], Path]) -> None:
    path = file("weights.h5")

    def put(group: h5py.Group, name: str) -> None:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((4,))
        plan.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL, ())  # Zstandard, which is not there
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)

    change_weights(path, lambda w: replace(w, KERNEL, put))
    refuse(path, f"/{KERNEL} needs a plug-in to be read")


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20, 2**20)])
def test_arrays_that_claim_more_than_there_is(
    file: Callable[[str], Path], shape: tuple[int, ...]
) -> None:
    """A few bytes on disk, a terabyte in memory (CVE-2026-0897)."""
    path = file("weights.h5")
    chunks = (1024,) * len(shape) if len(shape) == 1 else (64, 64, 64)

    def put(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, shape, "f4", chunks=chunks, compression="gzip")

    change_weights(path, lambda w: replace(w, KERNEL, put))
    assert path.stat().st_size < 2**20
    refuse(path, f"/{KERNEL} claims .* bytes")


def test_an_array_that_is_only_larger_than_wanted_is_not_read(
    file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file("weights.h5")

    def put(group: h5py.Group, name: str) -> None:
        group.create_dataset(name, (2**27,), "f4", chunks=(2**20,), compression="gzip")

    change_weights(path, lambda w: replace(w, KERNEL, put))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("arrays were read")

    monkeypatch.setattr(import_keras, "take_arrays", never)
    refuse(path, r"has weights of the shapes .*134217728", ModelError)


def test_more_groups_than_any_network(
    file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file("weights.h5")
    change_weights(path, lambda w: w.create_group("a/" * 20 + "b"))
    refuse(path, "holds more than the weights of any network")
    monkeypatch.setattr(hdf5, "_MOST_OBJECTS", 10)
    with pytest.raises(UnsafeModelError, match="holds more than the weights of any network"):
        hdf5.open_hdf5(str(file("h5")))


# a library that crashes


@pytest.mark.parametrize(
    "code", ["import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "while True: pass"]
)
def test_a_crash_or_an_endless_loop_is_one_error(
    good: dict[str, Path], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(reader, "_SECONDS", 1.0)
    with pytest.raises(ModelError, match="damaged so that the library that reads it fails"):
        load_checkpoint_weights(good["keras"], "tiny", classes=4)


def test_the_reading_process_has_neither_keras_nor_what_lies_beside_the_file(
    good: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("h5py", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    look_through(good["weights.h5"], source="it")
    assert not (tmp_path / "run").exists()
    code = "import sys, tumorlens.checkpoint.hdf5; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"keras", "tensorflow", "pickle5", "huggingface_hub"} & set(done.stdout.split())


def test_names_and_configs_that_are_no_text(file: Callable[[str], Path]) -> None:
    path = file("weights.h5")
    change_weights(path, lambda w: w["layers/dense/vars"].attrs.__setitem__("name", np.zeros(1000)))
    load_checkpoint_weights(path, "tiny", classes=4)  # as if it had none
    change_weights(path, lambda w: w["layers/dense/vars"].attrs.__setitem__("name", "x" * 1000))
    refuse(path, "a layer has a name of 1000 letters", ModelError)


# what an archive can hold


def archive_with(path: Path, name: str, content: bytes = b"x", **options: Any) -> Path:
    """Add a member to an archive."""
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        for key, value in options.items():
            setattr(info, key, value)
        archive.writestr(info, content)
    return path


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "/etc/cron.d/evil", "a/../../evil", "..\\evil", "\\evil", "C:\\evil", "C:evil"],
)
def test_names_that_leave_the_folder(
    file: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    before = {p.name for p in tmp_path.parent.iterdir()}
    refuse(archive_with(file("keras"), name), "holds a file that would leave its folder")
    assert {p.name for p in tmp_path.parent.iterdir()} == before


@pytest.mark.parametrize(
    "name", ["data.pkl", "archive/data.pkl", "model.weights.npz", "assets/", "a.py", "\x1b[31m"]
)
def test_members_that_no_checkpoint_has(file: Callable[[str], Path], name: str) -> None:
    refuse(archive_with(file("keras"), name), "which no plain .keras file has")


def test_links_in_an_archive(file: Callable[[str], Path]) -> None:
    path = archive_with(file("keras"), "link", b"/etc/passwd", external_attr=0o120777 << 16)
    refuse(path, "holds a link: link")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_two_members_of_one_name(file: Callable[[str], Path]) -> None:
    refuse(archive_with(file("keras"), "config.json", b"{}"), "holds two files of one name")


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_members_that_are_missing(good: dict[str, Path], tmp_path: Path, name: str) -> None:
    path = tmp_path / "half.keras"
    with zipfile.ZipFile(good["keras"]) as whole, zipfile.ZipFile(path, "w") as half:
        for member in whole.namelist():
            if member != name:
                half.writestr(member, whole.read(member))
    refuse(path, "it lacks model.weights.h5 or config.json", ModelError)


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_a_zip_bomb_by_its_ratio(good: dict[str, Path], tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.keras"
    with (
        zipfile.ZipFile(good["keras"]) as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for member in whole.namelist():
            bomb.writestr(member, bytes(64 * 2**20) if member == name else whole.read(member))
    assert path.stat().st_size < 2**20
    refuse(path, f"{name} would grow from .* to 67108864 bytes")


@pytest.mark.parametrize(("name", "limit"), [(WEIGHTS, "_LARGEST"), ("config.json", "_LONGEST")])
def test_a_zip_bomb_by_its_size(
    file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str, limit: str
) -> None:
    """The count of what really comes out decides, not what the archive says."""
    path = file("keras")
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(name).file_size
    copied = archive_module._copy
    monkeypatch.setattr(
        archive_module,
        "_copy",
        lambda a, n, t, most, s: copied(a, n, t, size - 1 if n == name else most, s),
    )
    assert hasattr(archive_module, limit)
    refuse(path, f"{name} is larger than")


def test_an_archive_that_lies_about_its_sizes(file: Callable[[str], Path]) -> None:
    path = file("keras")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        struct.pack_into("<I", content, start + 24, 100)  # the size that is claimed
        start += 4
    path.write_bytes(content)
    refuse(path, "is damaged|is no|larger", ModelError)


def test_encrypted_and_oddly_packed_members(good: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "odd.keras"
    with (
        zipfile.ZipFile(good["keras"]) as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as odd,
    ):
        for member in whole.namelist():
            odd.writestr(member, whole.read(member))
    refuse(path, "is encrypted or packed in an unusual way")


# what is no checkpoint


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.weights.h5", "model.pkl"])
def test_pickles_under_any_name(tmp_path: Path, name: str) -> None:
    marker, path = tmp_path / "run", tmp_path / name
    path.write_bytes(pickle.dumps(Evil(marker)))
    refuse(path, "is a pickle, which is a program")
    assert not marker.exists()


def test_pickles_in_numpy_s_clothes(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    np.save(buffer := io.BytesIO(), np.array([Evil(tmp_path / "run")], dtype=object))
    path.write_bytes(buffer.getvalue())
    refuse(path, "a NumPy array, which may hold pickles")
    np.savez(tmp_path / "weights.npz", a=np.zeros(3))
    refuse(tmp_path / "weights.npz", "which no plain .keras file has")


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "saved_model.keras").mkdir()
    (tmp_path / "saved_model.keras" / "saved_model.pb").write_bytes(b"x")
    refuse(tmp_path / "saved_model.keras", "is a folder: a SavedModel is a program")


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.keras")
    refuse(tmp_path / "model.keras", "is no regular file", ModelError)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"PK" * 9])
def test_what_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.keras").write_bytes(content)
    refuse(tmp_path / "x.keras", "is no Keras checkpoint|is damaged", ModelError)
    refuse(tmp_path / "missing.keras", "cannot read .*: No such file", ModelError)


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "h5"])
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_never_a_traceback(
    good: dict[str, Path],
    tmp_path: Path,
    kind: str,
    data: st.DataObject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "_SECONDS", 20.0)  # some damage makes HDF5 go round
    content = bytearray(good[kind].read_bytes())
    cut = data.draw(st.integers(0, len(content)))
    if data.draw(st.booleans()):
        content = content[:cut]
    for _ in range(data.draw(st.integers(0, 5))):
        if content:
            at = data.draw(st.integers(0, min(len(content) - 1, 4000)))
            content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "broken"
    path.write_bytes(content)
    try:
        load_checkpoint_weights(path, "tiny", classes=4)
    except ModelError:
        return


def test_the_config_of_a_good_file_is_plain_json(good: dict[str, Path]) -> None:
    """What the checks above look at is really what Keras writes."""
    with zipfile.ZipFile(good["keras"]) as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", WEIGHTS}
        config = json.loads(archive.read("config.json"))
    assert config["class_name"] == "Functional"


# numbers and names that no program can take


def setting(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "BatchNormalization":
                layer["config"][key] = value

    return change


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan")], ids=str)
def test_a_number_beyond_computing_is_no_traceback(
    file: Callable[[str], Path], value: float
) -> None:
    path = file("keras")
    change_config(path, setting("epsilon", value))
    refuse(path, "too large to compute with|is no JSON", ModelError)


def nested(depth: int) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("depth", [60, 300, 900])
def test_a_setting_nested_without_end_is_no_traceback(
    file: Callable[[str], Path], depth: int
) -> None:
    path = file("keras")
    change_config(path, setting("epsilon", nested(depth)))
    refuse(path, "has epsilon|nested too deeply", ModelError)


ESCAPE = "\x1b]0;owned\x07"


def renamed(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][2]["config"].update(name=name, epsilon=5)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a size": lambda c: c["config"]["layers"][0]["config"].update(
        batch_shape=[None, ESCAPE, ESCAPE, 3]
    ),
    "a name": renamed(ESCAPE),
    "a long name": renamed("n" * 10**6),
    "a long class": lambda c: c["config"]["layers"][2].update(class_name="C" * 10**6),
    "a long setting": setting("epsilon", "e" * 10**6),
    "the class of the whole": lambda c: c.update(class_name="M" * 99),
}


@pytest.mark.parametrize("which", CHANGES)
def test_what_a_config_says_cannot_command_a_terminal(
    file: Callable[[str], Path], which: str
) -> None:
    path = file("keras")
    change_config(path, CHANGES[which])
    with pytest.raises(ModelError) as caught:
        load_checkpoint_weights(path, "tiny", classes=4)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_the_layers_of_a_bare_file_cannot_either(file: Callable[[str], Path]) -> None:
    path = file("weights.h5")
    change_weights(path, lambda w: w.move("layers/dense", f"layers/{ESCAPE}"))
    with pytest.raises(ModelError) as caught:
        load_checkpoint_weights(path, "tiny", classes=4, size=64)
    assert "owned" in str(caught.value)
    assert str(caught.value).isprintable()
