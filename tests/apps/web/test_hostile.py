"""Slow, huge, aborted and malicious uploads are refused while good ones go on."""

from __future__ import annotations

import io
import socket
import time
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from web_server import Server, png, running, wait_for

from tumorlens.apps.web.limits import WebLimits
from tumorlens.classifier import Classifier
from tumorlens.models.session import Session

PREDICT = "/api/v1/predict"
SMALL = WebLimits(
    upload_bytes=200_000,
    held_bytes=300_000,
    unpacked_bytes=1_000_000,
    files=5,
    pixels=1_000_000,
    slices=4,
    upload_seconds=1,
    requests=3,
    per_client=2,
)


@pytest.fixture(scope="module")
def small(shipped: Classifier) -> Iterator[Server]:
    with running(shipped, SMALL) as server:
        yield server
        assert b"tumorlens_bytes_held 0.0" in server.get("/metrics").body
        assert b"tumorlens_requests_at_work 0.0" in server.get("/metrics").body
        assert server.send(PREDICT, png()).status == 200


def open_upload(server: Server, length: int = 1000) -> socket.socket:
    """Begin an upload that never ends."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    client.sendall(f"{head}Content-Length: {length}\r\n\r\nx".encode())
    return client


def archive(*contents: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for i, content in enumerate(contents):
            file.writestr(f"{i}.png", content)
    return packed.getvalue()


def frames(count: int) -> bytes:
    file = io.BytesIO()
    pictures = [Image.fromarray(np.full((8, 8), i, np.uint8)) for i in range(count)]
    pictures[0].save(file, "TIFF", save_all=True, append_images=pictures[1:])
    return file.getvalue()


def large_png(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        bytes(200_001),
        large_png(1200),
        frames(5),
        archive(*[png()] * 6),
        archive(bytes(1_000_001)),
        zlib.compress(b"")[:0] + archive(*[png(size=32)] * 5),
    ],
    ids=["bytes", "pixels", "frames", "files", "unpacked", "slices"],
)
def test_what_is_too_large_is_said_to_be(small: Server, content: bytes) -> None:
    got = small.send(PREDICT, content, "application/octet-stream")
    assert got.status == 413, got.body


def test_a_body_of_no_declared_length_is_counted(small: Server) -> None:
    got = small.ask("POST", PREDICT, iter([bytes(50_000)] * 5), "application/octet-stream")
    assert got.status == 413


def test_a_slow_upload_ends_and_good_ones_go_on_meanwhile(small: Server) -> None:
    with open_upload(small) as slow:
        assert small.send(PREDICT, png()).status == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_an_upload_that_breaks_off_leaves_nothing(small: Server) -> None:
    open_upload(small).close()
    wait_for(small, b"tumorlens_bytes_held 0.0")
    assert small.send(PREDICT, png()).status == 200


def test_one_client_cannot_take_every_place(small: Server) -> None:
    with open_upload(small), open_upload(small):
        wait_for(small, b"tumorlens_requests_at_work 2.0")
        got = small.send(PREDICT, png())
    assert (got.status, got.headers["retry-after"]) == (429, "1")
    wait_for(small, b"tumorlens_requests_at_work 0.0")


def test_when_all_are_at_work_others_are_told_to_come_back(shipped: Classifier) -> None:
    limits = WebLimits(requests=1, per_client=5, upload_seconds=5)
    with running(shipped, limits) as server, open_upload(server):
        wait_for(server, b"tumorlens_requests_at_work 1.0")
        for got in (server.send(PREDICT, png()), server.get("/readyz")):
            assert (got.status, got.headers["retry-after"]) == (503, "1")


def test_when_memory_is_full_others_are_told_to_come_back(shipped: Classifier) -> None:
    limits = WebLimits(upload_bytes=2**20, held_bytes=2**20, upload_seconds=5)
    with running(shipped, limits) as server, open_upload(server, 2**20) as held:
        held.sendall(bytes(2**20 - 1000))
        wait_for(server, b"tumorlens_bytes_held 1.0")  # a million of them
        assert server.send(PREDICT, png(size=256)).status == 503


def test_slow_methods_are_given_up_in_time(
    shipped: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: Session, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        time.sleep(0.2)  # as if of a large network: the small one may be done within the second
        return quick(self, pixels)

    quick = Session.logits
    monkeypatch.setattr(Session, "logits", slow)
    with running(shipped, WebLimits(answer_seconds=1)) as server:
        got = server.send("/api/v1/explain?method=scorecam", png())
    assert (got.status, got.headers["retry-after"]) == (503, "30")


def test_a_locked_archive_is_named(small: Server) -> None:
    damaged = bytearray(archive(png()))
    damaged[6] |= 1  # as if it had a password
    damaged[damaged.rindex(b"PK\1\2") + 8] |= 1
    got = small.send(PREDICT, bytes(damaged), "application/zip")
    assert (got.status, "archive" in got.json()["detail"]) == (422, True)
