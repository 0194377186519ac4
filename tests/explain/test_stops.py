"""Which layers a person is offered."""

from __future__ import annotations

from tumorlens.explain.stops import depth_stops


def test_some_layers_from_first_to_last() -> None:
    names = [f"block_{i}" for i in range(54)]
    stops = depth_stops(names)
    assert len(stops) == 8
    assert (stops[0], stops[-1]) == (names[0], names[-1])
    places = [names.index(stop) for stop in stops]
    assert places == sorted(places)
    assert depth_stops(names[:3]) == ("block_0", "block_1", "block_2")


def test_of_joined_networks_one_is_walked_through() -> None:
    names = [f"m{member}_block_{i}" for i in range(30) for member in (1, 2, 3)]
    stops = depth_stops([*names, "fused"])
    assert len(stops) == 8
    assert all(stop.startswith("m1_") for stop in stops[:-1])
    assert stops[-1] == "fused"
