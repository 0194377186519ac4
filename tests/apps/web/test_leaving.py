"""A client that leaves midway leaves no work behind, and its place is free."""

from __future__ import annotations

import io
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import nibabel
import numpy as np
import pytest
from web_server import Server, png, running, wait_for

from tumorlens.apps.web import scans
from tumorlens.apps.web.limits import WebLimits
from tumorlens.classifier import Classifier

COUNT = 200


@pytest.fixture(scope="module")
def alone(shipped: Classifier) -> Iterator[Server]:
    """A service for one request at a time."""
    with running(shipped, WebLimits(requests=1, per_client=1)) as started:
        yield started


class Slowly:
    """Does something slowly, and counts how often."""

    def __init__(self, work: Callable[..., Any], size: Callable[..., int]) -> None:
        self.count = 0
        self.begun = threading.Event()
        self._work = work
        self._size = size

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.count += self._size(*arguments)
        self.begun.set()
        time.sleep(0.05)
        return self._work(*arguments, **options)


def slow_network(monkeypatch: pytest.MonkeyPatch) -> Slowly:
    slowly = Slowly(Classifier.predict_prepared, lambda _, pictures, *__: len(pictures))
    method = lambda *parts: slowly(*parts)  # noqa: E731, PLW0108  # bound to its classifier
    monkeypatch.setattr(Classifier, "predict_prepared", method)
    return slowly


def volume() -> bytes:
    voxels = np.random.default_rng(1).integers(0, 255, (48, 48, COUNT)).astype(np.int16)
    return nibabel.Nifti1Image(voxels, np.eye(4)).to_bytes()


def leave_midway(server: Server, path: str, content: bytes, slowly: Slowly) -> None:
    """Send something and go away once it is worked on; then look what goes on."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream"
        client.sendall(f"{head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        assert slowly.begun.wait(30)
    wait_for(server, b"tumorlens_requests_at_work 0.0")
    wait_for(server, b"tumorlens_bytes_held 0.0")
    wait_for(server, b"tumorlens_slices_waiting 0.0")
    assert server.send("/api/v1/predict", png()).status == 200  # the one place is free
    time.sleep(0.2)  # whoever was at a slice is done with it
    done = slowly.count
    time.sleep(0.4)
    assert slowly.count == done < COUNT


@pytest.mark.parametrize("route", ["predict", "report"])
def test_a_volume_is_given_up_at_the_next_slices(
    alone: Server, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    slowly = slow_network(monkeypatch)
    leave_midway(alone, f"/api/v1/{route}", volume(), slowly)


@pytest.mark.parametrize("route", ["predict", "report", "explain"])
def test_an_archive_is_given_up_at_the_next_file(
    alone: Server, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    slowly = Slowly(scans.open_slices, lambda *_: 1)
    monkeypatch.setattr(scans, "open_slices", slowly)
    packed, one = io.BytesIO(), png(size=32)
    with zipfile.ZipFile(packed, "w") as file:
        for i in range(COUNT):
            file.writestr(f"{i}.png", one)
    leave_midway(alone, f"/api/v1/{route}", packed.getvalue(), slowly)


def test_a_page_that_is_closed_is_answered_no_further(
    alone: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = slow_network(monkeypatch)
    case = alone.send("/page/cases", volume(), "application/octet-stream").json()["case"]
    with socket.create_connection(("127.0.0.1", alone.port), timeout=20) as client:
        client.sendall(
            f"GET /page/cases/{case}/answers HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        assert slowly.begun.wait(30)
    wait_for(alone, b"tumorlens_slices_waiting 0.0")
    time.sleep(0.3)
    done = slowly.count
    time.sleep(0.4)
    assert slowly.count == done < COUNT
    assert alone.ask("DELETE", f"/page/cases/{case}").status == 204
