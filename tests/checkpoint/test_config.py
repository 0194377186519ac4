"""What honest files say of how they were built is read, whichever Keras wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tumorlens.checkpoint.config import read_config
from tumorlens.errors import UnsafeModelError


def config_of(package: str, whole: str, dtype: Any) -> dict[str, Any]:
    """A network of one layer, as Keras writes it down."""
    layers = [
        ("InputLayer", {"name": "entry", "batch_input_shape": [None, 64, 64, 3]}),
        ("Dense", {"name": "logits", "units": 4, "activation": "softmax", "dtype": dtype}),
    ]
    return {
        "module": whole,
        "class_name": "Functional",
        "registered_name": "Functional",
        "config": {
            "layers": [
                {
                    "module": f"{package}.layers",
                    "class_name": kind,
                    "registered_name": None,
                    "config": settings,
                }
                for kind, settings in layers
            ]
        },
    }


def policy(module: str, kind: str = "Policy") -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": {"name": "mixed_float16"}}


HONEST = [
    config_of("keras", "keras", "float32"),
    config_of("keras", "keras.src.models.functional", policy("keras", "DTypePolicy")),
    config_of("keras", "keras.src.engine.functional", policy("keras.mixed_precision")),
    config_of("keras", "tf_keras.src.engine.functional", "float32"),
    config_of("tf_keras", "tf_keras.src.engine.functional", policy("tf_keras.mixed_precision")),
]


@pytest.mark.parametrize("config", HONEST)
def test_every_keras_is_read(config: dict[str, Any]) -> None:
    found = read_config(json.dumps(config), source="here")
    assert [name for _, name, _ in found.layers] == ["entry", "logits"]
    assert found.size == 64


@pytest.mark.parametrize("module", ["tf_keras.src.evil", "keras_evil", "xkeras", "tf_keras.", "os"])
def test_no_other_module_is(module: str) -> None:
    for config in (
        config_of("keras", module, "float32"),
        config_of("keras", "keras", policy(module)),
    ):
        with pytest.raises(UnsafeModelError, match="none of Keras's own layers"):
            read_config(json.dumps(config), source="here")
