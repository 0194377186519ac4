"""Small safetensors files are read as the library reads them, and damaged ones refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from tumorlens.errors import ModelError
from tumorlens.trust.tensors import parse_tensors

ARRAYS = {
    "half": np.linspace(-1, 1, 12, dtype=np.float16).reshape(3, 4),
    "single": np.arange(5, dtype=np.float32),
}


def test_the_same_as_the_library_reads() -> None:
    data = save(ARRAYS, metadata={"made": "here"})
    ours, theirs = parse_tensors(data, source="x"), load(data)
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, theirs[name].astype(np.float32))


def with_row(**row: object) -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **row}})
    return len(header).to_bytes(8, "little") + header.encode() + bytes(8)


WRONG = [
    b"",
    b"\x00" * 30,
    b"\xff" * 30,
    with_row(dtype="I64"),
    with_row(shape=[10**12]),
    with_row(shape=[-2]),
    with_row(shape=["2"]),
    with_row(data_offsets=[0, 80]),
    with_row(data_offsets=[-8, 0]),
    with_row(data_offsets=[0]),
    with_row(data_offsets=None),
    save({"a": np.array([np.nan], np.float32)}),
    save({"a": np.array([np.inf], np.float16)}),
    len(b"[]").to_bytes(8, "little") + b"[]",
]


@pytest.mark.parametrize("data", WRONG)
def test_what_is_damaged_or_lies_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="there is not a safetensors file of numbers"):
        parse_tensors(data, source="there")


@given(data=st.binary(max_size=200), at=st.integers(0, 150))
def test_any_bytes_give_arrays_or_our_error(data: bytes, at: int) -> None:
    whole = save(ARRAYS)
    for candidate in (data, whole[:at] + data, whole[:at] + data + whole[at + len(data) :]):
        try:
            arrays = parse_tensors(candidate, source="x")
        except ModelError:
            continue
        assert all(np.isfinite(array).all() for array in arrays.values())
