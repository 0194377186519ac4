"""Float weights on disk: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tumorlens.errors import ModelError
from tumorlens.networks.network import build_network
from tumorlens.networks.weights import load_weights, parse_weights, read_weights, save_weights


@pytest.fixture
def fresh() -> Any:
    return build_network("tiny", size=64)


def test_single_precision_loses_nothing(tiny_model: Any, fresh: Any, tmp_path: Path) -> None:
    save_weights(tiny_model, tmp_path / "w.safetensors", half=False)
    load_weights(fresh, read_weights(tmp_path / "w.safetensors"))
    for one, other in zip(tiny_model.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_loses_little_and_halves_the_file(
    tiny_model: Any, fresh: Any, tmp_path: Path
) -> None:
    save_weights(tiny_model, tmp_path / "half.safetensors")
    save_weights(tiny_model, tmp_path / "full.safetensors", half=False)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.55 * sizes[1]
    arrays = read_weights(tmp_path / "half.safetensors")
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    load_weights(fresh, arrays)
    for one, other in zip(tiny_model.get_weights(), fresh.get_weights(), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=2**-10, atol=1e-7)


def test_arrays_are_named_after_layer_and_variable(tiny_model: Any, tmp_path: Path) -> None:
    save_weights(tiny_model, tmp_path / "w.safetensors")
    names = set(read_weights(tmp_path / "w.safetensors"))
    assert {"conv_1/kernel", "norm_1/moving_variance", "logits/kernel", "logits/bias"} <= names
    assert len(names) == len(tiny_model.get_weights())


def test_the_seeds_of_dropouts_are_no_weights(tmp_path: Path) -> None:
    model = build_network("mobilenetv2", size=32)
    save_weights(model, tmp_path / "w.safetensors")
    assert not [name for name in read_weights(tmp_path / "w.safetensors") if "drop" in name]


def test_without_the_head_it_keeps_its_values(tiny_model: Any, fresh: Any, tmp_path: Path) -> None:
    save_weights(tiny_model, tmp_path / "w.safetensors", half=False)
    arrays = read_weights(tmp_path / "w.safetensors")
    before = [np.array(w) for w in fresh.get_layer("logits").get_weights()]
    other = {name: a for name, a in arrays.items() if not name.startswith("logits/")}
    other["logits/kernel"] = np.zeros((1000, 7), np.float32)  # of other classes
    load_weights(fresh, other, head=False)
    for one, two in zip(before, fresh.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(
        np.asarray(fresh.get_layer("conv_2").kernel), arrays["conv_2/kernel"]
    )


def test_what_does_not_fit_is_refused_by_name(tiny_model: Any, fresh: Any, tmp_path: Path) -> None:
    save_weights(tiny_model, tmp_path / "w.safetensors")
    arrays = read_weights(tmp_path / "w.safetensors")
    lacking = {name: a for name, a in arrays.items() if name != "norm_3/gamma"}
    with pytest.raises(ModelError, match=r"lack 'norm_3/gamma'; are they of the network 'tiny'\?"):
        load_weights(fresh, lacking)
    with pytest.raises(ModelError, match="lack 'logits/kernel'"):
        load_weights(fresh, {n: a for n, a in arrays.items() if "logits" not in n})
    wrong = {**arrays, "conv_2/kernel": arrays["conv_2/kernel"][..., :-1]}
    with pytest.raises(ModelError, match=r"'conv_2/kernel' has shape \(3, 3, 16, 31\), the netw"):
        load_weights(fresh, wrong)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read the weights .*nothing: No such file"):
        read_weights(tmp_path / "nothing")
    with pytest.raises(ModelError, match="cannot read the weights"):
        read_weights(tmp_path)
    whole = tmp_path / "whole"
    save_file({"a": np.ones(100, np.float32)}, whole)
    for content in (b"", b"no weights at all", b"\xff" * 64, whole.read_bytes()[:-9]):
        path = tmp_path / "garbage"
        path.write_bytes(content)
        with pytest.raises(ModelError, match="garbage is not a safetensors file"):
            read_weights(path)


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        ("BF16", [2], 4),  # which NumPy does not know
        ("F8_E4M3", [2], 2),
        ("C64", [2], 16),
        ("BOOL", [2], 2),
        ("F32", [1] * 100, 4),  # more axes than an array may have
        ("F32", [0, 2**62, 2**62], 0),
    ],
)
def test_numbers_that_are_no_weights_are_refused(kind: str, shape: list[int], size: int) -> None:
    head = {"a\x1b": {"dtype": kind, "shape": shape, "data_offsets": [0, size]}}
    text = json.dumps(head).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(size)
    with pytest.raises(ModelError, match="here") as refused:
        parse_weights(content, source="here")
    assert str(refused.value).isprintable()
