"""EfficientNet-Lite: as wide and deep as it was published."""

from __future__ import annotations

from typing import Any

import pytest

from tumorlens.errors import ModelError
from tumorlens.networks.efficientnet_lite import SCALES, blocks, efficientnet_lite
from tumorlens.networks.network import NETWORKS, build_network


def test_depth_grows_with_size() -> None:
    assert [len(blocks(name)) for name in SCALES] == [16, 21, 21]
    assert [block.channels for block in blocks("EfficientNetLite0")][::5] == [16, 80, 112, 320]
    assert blocks("EfficientNetLite2")[-1].channels == 352
    for name in SCALES:
        assert sum(block.stride == 2 for block in blocks(name)) == 4


def test_the_picture_shrinks_to_a_thirty_second(keras: Any) -> None:
    model = efficientnet_lite(keras, "EfficientNetLite0", keras.Input((96, 96, 3)))
    assert model.output.shape == (None, 3, 3, 1280)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert not kinds & {"Multiply", "GlobalAveragePooling2D"}  # no squeeze-and-excite
    assert all(layer.max_value == 6 for layer in model.layers if hasattr(layer, "max_value"))


@pytest.mark.parametrize("name", sorted(n for n in NETWORKS if n.startswith("efficientnet")))
def test_evidence_is_fused_from_an_eighth_on(name: str) -> None:
    model = build_network(name, size=96)
    levels = [model.get_layer(level).output.shape[1] for level in NETWORKS[name].pyramid]
    assert levels == [12, 6, 3]


def test_its_weights_are_imported_and_not_downloaded() -> None:
    with pytest.raises(ModelError, match="safetensors"):
        build_network("efficientnet-lite0-fpn", imagenet=True)
