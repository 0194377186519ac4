"""What the tests of page and service share: the app, listening on a free port of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from web_server import Server, running

from tumorlens.classifier import Classifier, load


@pytest.fixture(scope="session")
def shipped() -> Classifier:
    """The model that ships."""
    return load()


@pytest.fixture(scope="session")
def server(shipped: Classifier) -> Iterator[Server]:
    """The service as anybody starts it."""
    with running(shipped) as started:
        yield started


@pytest.fixture
def spot_server(spot_bundle: Callable[..., Path]) -> Iterator[Server]:
    """A service whose network is so small that methods of many passes take no time."""
    with running(load(spot_bundle())) as started:
        yield started
