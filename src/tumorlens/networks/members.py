"""Several networks that were trained apart, joined into one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tumorlens.errors import ModelError
from tumorlens.networks.network import build_network, find_network, member_name

__all__ = ["join_members"]


def join_members(members: Sequence[Any], network: str) -> Any:
    """Join networks that were trained apart into one whose evidence is the mean of theirs.

    The evidence of each place is averaged before it is pooled, so that one map of
    evidence is still what the answer is computed from.

    Parameters
    ----------
    members
        Networks from `build_network`, of the kind that `network` has several of, of one
        size and with the same classes.
    network
        A key of `NETWORKS` with as many members.

    Returns
    -------
    keras.Model
        The network, in float32.

    Raises
    ------
    ModelError
        When they are too few or too many, or of another kind.
    """
    spec = find_network(network)
    alone = dataclasses.replace(spec, members=1)
    if len(members) != spec.members or spec.members < 2:
        raise ModelError(f"{network} joins {spec.members} networks, not {len(members)}")
    for member in members:
        if find_network(member.name) != alone or member.input.shape != members[0].input.shape:
            raise ModelError(
                f"{network} cannot hold {member.name} at {member.input.shape[1]} pixels; its "
                "members are alike and of one size"
            )
    heads = [member.get_layer("evidence") for member in members]
    joined = build_network(network, classes=heads[0].filters + 1, size=members[0].input.shape[1])
    for number, member in enumerate(members, start=1):
        for layer in member.layers:
            if layer.weights and layer.name != "evidence":
                joined.get_layer(member_name(number, layer.name)).set_weights(layer.get_weights())
    kernels, biases = zip(*(head.get_weights() for head in heads), strict=True)
    joined.get_layer("evidence").set_weights(
        [np.concatenate(kernels, axis=2) / len(heads), np.mean(biases, axis=0)]
    )
    return joined
