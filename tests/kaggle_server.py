"""The part of Kaggle that its client needs for a data set, on 127.0.0.1.

It answers as an HTTP proxy, so that the real client can talk to ``localhost`` (the
API) and to ``storage.test`` (where the API sends it for the archive) on any free port.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local_server import LocalServer, SilentHandler, running

API = "http://localhost/api/v1/datasets.DatasetApiService/DownloadDataset"
STORAGE = "http://storage.test/archive"


@dataclass
class Kaggle:
    """What the server serves, and what it was asked."""

    archives: dict[int, bytes] = field(default_factory=dict)
    status: int = 200  # of the API
    break_after: int | None = None  # bytes after which a transfer stops, without a word
    hang: bool = False  # never answer, or never go on where a transfer stops
    wrong_checksum: bool = False
    requests: list[dict[str, object]] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    port: int = 0

    def use(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """Send the client here, away from the credentials of whoever runs the tests."""
        for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
            monkeypatch.delenv(name, raising=False)
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{self.port}")


class _Server(LocalServer):
    """Serves what `kaggle` says."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.kaggle = Kaggle(port=self.port)
        self.stopped = threading.Event()

    def hang(self) -> None:
        while self.kaggle.hang and not self.stopped.wait(0.05):
            pass


class _Handler(SilentHandler):
    server: _Server

    def do_POST(self) -> None:
        kaggle = self.server.kaggle
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kaggle.requests.append(asked)
        if kaggle.break_after is None:
            self.server.hang()
        if self.path != API or kaggle.status >= 400:
            self._reply(kaggle.status if self.path == API else 400, b"")
        elif asked["datasetVersionNumber"] not in kaggle.archives:
            self._reply(404, b"")
        else:
            self._reply(302, b"", {"Location": f"{STORAGE}/{asked['datasetVersionNumber']}"})

    def do_GET(self) -> None:
        kaggle = self.server.kaggle
        content = kaggle.archives[int(urlsplit(self.path).path.rsplit("/", 1)[1])]
        asked = self.headers["Range"]
        kaggle.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        digest = hashlib.md5(b"" if kaggle.wrong_checksum else content).digest()
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "application/zip",
            "x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(digest).decode()}",
        }
        self._reply(206 if asked else 200, content[first:], headers, kaggle.break_after)

    def _reply(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        stop_after: int | None = None,
    ) -> None:
        self.begin(status, headers, len(body))
        with suppress(ConnectionError):  # the client asks anew for the rest of an archive
            self.wfile.write(body[:stop_after])
        if stop_after is not None and stop_after < len(body):
            self.wfile.flush()
            self.server.hang()
            self.close_connection = True


@contextmanager
def serve() -> Iterator[Kaggle]:
    """Run the server as long as the block."""
    server = _Server()
    with running(server):
        try:
            yield server.kaggle
        finally:
            server.stopped.set()


def files_of(folder: Path) -> dict[str, bytes]:
    """Read the files below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def zipped(files: dict[str, bytes]) -> bytes:
    """Put files into a ZIP as Kaggle does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Put files, and symbolic links, into a TAR."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), int(time.time())
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def manifest_of(files: dict[str, bytes], path: Path, *, paths: bool = False) -> Path:
    """Write a manifest like the published one; with the files' places if asked for."""
    rows = ["sha256,label,group,fold" + (",path" if paths else "")]
    for i, (name, content) in enumerate(files.items()):
        row = f"{hashlib.sha256(content).hexdigest()},{name.split('/')[-2]},C{i:04d},{i % 5}"
        rows.append(f"{row},{name}" if paths else row)
    path.write_text("\n".join(rows) + "\n")
    return path
