"""Ask the service from many clients at once: ``python scripts/web_load.py --seconds 300``.

The service runs in a process of its own, as ``tumorlens web`` starts it. Beside the clients others
send what is slow, huge, broken off and hostile. Prints throughput beside that of a local batch, the
median and the 99th percentile of the time to an answer, lost answers, what became of the hostile
uploads, and the memory of the service before, during and after.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "apps" / "web"))

from web_server import Server, real_png

from tumorlens.classifier import Classifier, load

PREDICT = "/api/v1/predict"
HUGE = 300 * 2**20
PAUSE = 2.0  # seconds between hostile uploads of one kind: they shall disturb, not saturate


@dataclass
class Seen:
    """What came back."""

    took: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    hostile: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@contextmanager
def service(folder: Path) -> Iterator[tuple[Server, int]]:
    """Run the service; give where it listens, and its process."""
    command = [sys.executable, "-m", "tumorlens", "web", "--port", "0"]
    log = folder / "log"
    with log.open("w") as err, subprocess.Popen(command, stderr=err) as process:  # noqa: S603
        deadline = time.monotonic() + 60
        while "http://" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        port = int(log.read_text().partition("http://")[2].split(":")[1].split("/")[0])
        yield Server(port), process.pid
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def local_rate(classifier: Classifier, picture: bytes, seconds: float) -> float:
    """Classify by `predict_batch`, in slices a second."""
    start, count = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        count += len(list(classifier.predict_batch([picture] * 64)))
    return count / (time.monotonic() - start)


def ask(server: Server, picture: bytes, until: float, seen: Seen) -> None:
    """Be one client; its answer must be there, and be the right one."""
    while time.monotonic() < until:
        start = time.monotonic()
        try:
            got = server.send(PREDICT, picture)
            fine = got.status == 200 and got.json()["answers"][0]["label"] == "glioma"
            kind = f"status {got.status}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            fine, kind = False, type(error).__name__
        if fine:
            seen.took.append(time.monotonic() - start)
        else:
            seen.lost[kind] += 1


# Those who mean no good


@cache
def packed_zeros() -> bytes:
    """Pack 750 MiB of nothing."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(5):
            file.writestr(f"{i}.png", bytes(150 * 2**20))
    return packed.getvalue()


@cache
def half_png() -> bytes:
    """Draw a picture that breaks off."""
    return real_png()[:3000]


def begin(server: Server, length: int, first: bytes) -> socket.socket:
    """Send the head of a request and the first bytes of its body."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
    client.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + first)
    return client


def status_of(client: socket.socket) -> str:
    """Read which status came back."""
    return client.recv(12).decode(errors="replace").rpartition(" ")[2] or "closed"


def slow(server: Server, until: float) -> str:
    """Send a byte a second, until the service has had enough."""
    with begin(server, 10_000, b"x") as client:
        client.settimeout(1)
        while True:
            try:
                return status_of(client)
            except TimeoutError:
                if time.monotonic() > until:
                    return "still held at the end"
                client.sendall(b"x")


def huge(server: Server, until: float) -> str:
    """Declare more than is taken."""
    del until
    with begin(server, HUGE, b"x" * 1000) as client:
        return status_of(client)


def broken_off(server: Server, until: float) -> str:
    """Go away in the middle."""
    del until
    begin(server, 100_000, b"x" * 50_000).close()
    return "gone"


def bomb(server: Server, until: float) -> str:
    """Send an archive that unpacks to more than is taken."""
    del until
    return str(server.send(PREDICT, packed_zeros(), "application/zip").status)


def damaged(server: Server, until: float) -> str:
    """Send half a picture, and what is none."""
    del until
    half, none = (server.send(PREDICT, x).status for x in (half_png(), os.urandom(5000)))
    return f"{half}, {none}"


KINDS: dict[Callable[[Server, float], str], set[str]] = {
    slow: {"408", "still held at the end"},
    huge: {"413"},
    broken_off: {"gone"},
    bomb: {"413"},
    damaged: {"422, 415"},
}
"""Hostile uploads, and what may come of them. Where all is at work, 429 and 503 may too."""


def disturb(kind: Callable[[Server, float], str], server: Server, until: float, seen: Seen) -> None:
    """Send one kind of upload again and again."""
    while time.monotonic() < until:
        try:
            became = kind(server, until)
        except (OSError, http.client.HTTPException) as error:
            became = type(error).__name__
        seen.hostile[f"{kind.__name__} {became}"] += 1
        if became not in KINDS[kind] | {"429", "503"}:
            seen.wrong.append(f"{kind.__name__}: {became}")
        time.sleep(PAUSE)


def memory(process: int) -> float:
    """Give the memory of a process in MiB."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def run(server: Server, process: int, asked: argparse.Namespace, picture: bytes) -> Seen:
    """Let all loose, and print what came out."""
    seen = Seen()
    ask(server, picture, time.monotonic() + 2, Seen())  # warm
    before = memory(process)
    until = time.monotonic() + asked.seconds
    args = (server, picture, until, seen)
    threads = [threading.Thread(target=ask, args=args) for _ in range(asked.clients)]
    if not asked.quiet:
        threads += [
            threading.Thread(target=disturb, args=(kind, server, until, seen)) for kind in KINDS
        ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    during = []
    while time.monotonic() < until:
        time.sleep(1)
        during.append(memory(process))
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    quarter = max(1, len(during) // 4)
    first, last = (float(np.mean(x)) for x in (during[:quarter], during[-quarter:]))
    p50, p99 = np.percentile(seen.took, (50, 99))
    print(f"service: {len(seen.took)} answers in {seconds:.0f} s, {len(seen.took) / seconds:.2f}/s")
    print(f"to an answer: p50 {p50:.2f} s, p99 {p99:.2f} s, longest {max(seen.took):.2f} s")
    print(f"lost: {sum(seen.lost.values())} {dict(seen.lost)}")
    print(
        f"memory of the service in MiB: before {before:.0f}, first quarter {first:.0f}, last "
        f"quarter {last:.0f}, most {max(during):.0f}, after {memory(process):.0f}"
    )
    print(f"hostile uploads: {dict(sorted(seen.hostile.items()))}")
    print(f"answered otherwise than they should be: {seen.wrong or 'none'}")
    seen.took.append(seconds)
    return seen


def main() -> int:
    """Measure, and print what came out."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--clients", type=int, default=32)
    options.add_argument("--quiet", action="store_true", help="nobody who means no good")
    asked = options.parse_args()
    classifier, picture = load(), real_png()
    share = min(30.0, asked.seconds / 4)
    _ = packed_zeros(), half_png()  # drawn before the clock runs
    before = local_rate(classifier, picture, share)
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as (server, process):
        seen = run(server, process, asked, picture)
    after = local_rate(classifier, picture, share)
    seconds = seen.took.pop()
    rate, local = len(seen.took) / seconds, (before + after) / 2
    print(f"local batch: {before:.2f} and {after:.2f} slices/s; ratio {rate / local:.2f}")
    return 1 if seen.lost or seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
