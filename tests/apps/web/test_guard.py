"""Who may ask, and what answers carry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from web_server import Server, png, running

from tumorlens.classifier import Classifier

TOKEN = "a-token-that-nobody-guesses"
PREDICT = "/api/v1/predict"


@pytest.fixture(scope="module")
def locked(shipped: Classifier) -> Iterator[Server]:
    with running(shipped, token=TOKEN, names=["scans.example"]) as server:
        yield server


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "localhost:8642", "[::1]:80", "10.1.2.3"]
)
def test_addresses_and_this_computers_name_are_answered(server: Server, host: str) -> None:
    assert server.get("/healthz", host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[", "127.0.0.1.x"])
def test_a_name_that_is_not_ours_is_refused(server: Server, host: str) -> None:
    assert server.get("/healthz", host=host).status in (400, 403)


def test_a_name_that_was_allowed_is_answered(locked: Server) -> None:
    assert locked.get("/healthz", host="Scans.Example:443").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "navigate"},
    ],
)
def test_pages_of_others_are_refused(server: Server, headers: dict[str, str]) -> None:
    assert server.send(PREDICT, png(), **headers).status == 403


def test_our_own_page_is_answered(server: Server) -> None:
    ours = {"origin": f"http://127.0.0.1:{server.port}", "sec_fetch_site": "same-origin"}
    assert server.send(PREDICT, png(), **ours).status == 200


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Bearer ", f"Basic {TOKEN}", TOKEN])
def test_without_the_token_nothing_is_answered(locked: Server, token: str | None) -> None:
    headers = {} if token is None else {"authorization": token}
    got = locked.send(PREDICT, png(), **headers)
    assert (got.status, got.headers["www-authenticate"]) == (401, "Bearer")
    assert locked.get("/metrics", **headers).status == 401


def test_with_the_token_it_is(locked: Server) -> None:
    assert locked.send(PREDICT, png(), authorization=f"Bearer {TOKEN}").status == 200
    assert locked.get("/healthz").status == 200


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/api/v1/openapi.json"])
def test_every_answer_forbids_what_no_page_of_ours_does(server: Server, path: str) -> None:
    headers = server.get(path, origin=f"http://127.0.0.1:{server.port}").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_a_fault_of_ours_tells_nothing(
    shipped: Classifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(shipped, "predict_prepared", broken)
    with running(shipped) as server:
        got = server.send(PREDICT, png())
    assert (got.status, b"secret" in got.body) == (500, False)
    assert "RuntimeError at test_guard.py" in caplog.text
    assert "secret" not in caplog.text
