"""The file of a novelty score is read back, and damaged ones are refused in a sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from tumorlens.errors import ModelError
from tumorlens.trust.novelty import Novelty

ARRAYS = {
    "axes": np.linspace(-1, 1, 12, dtype=np.float16).reshape(3, 4),
    "mean": np.arange(4, dtype=np.float32),
}


def test_both_precisions_are_read() -> None:
    novelty = Novelty.from_bytes(save(ARRAYS, metadata={"made": "here"}), source="x")
    for name, array in ARRAYS.items():
        assert getattr(novelty, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(novelty, name), array.astype(np.float32))


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
        Novelty.from_bytes(data, source="there")


@given(data=st.binary(max_size=200), at=st.integers(0, 150))
def test_any_bytes_give_arrays_or_our_error(data: bytes, at: int) -> None:
    whole = save(ARRAYS)
    for candidate in (data, whole[:at] + data, whole[:at] + data + whole[at + len(data) :]):
        try:
            novelty = Novelty.from_bytes(candidate, source="x")
        except ModelError:
            continue
        assert np.isfinite(novelty.mean).all()
        assert np.isfinite(novelty.axes).all()


def test_other_kinds_travel_along() -> None:
    other = np.linspace(-3, 3, 5, dtype=np.float32)
    novelty = Novelty(ARRAYS["mean"], ARRAYS["axes"].astype(np.float32), {"CT": other})
    again = Novelty.from_bytes(novelty.to_bytes(), source="x")
    np.testing.assert_array_equal(again.others["CT"], other)
    vectors = np.eye(4, dtype=np.float32)
    np.testing.assert_allclose(again.log_odds(vectors)["CT"], other[:4] + other[4], rtol=1e-6)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match=r"weights of CT are \(4,\) for 4 features"):
        Novelty.from_bytes(save({**ARRAYS, "other: CT": np.zeros(4, np.float32)}), source="x")
