"""A real server with the app, and a client that sends what browsers and scripts send."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from tumorlens.apps.demo import demo_slice
from tumorlens.apps.demo_lesion import draw_lesion
from tumorlens.apps.web.app import make_app
from tumorlens.apps.web.limits import WebLimits
from tumorlens.apps.web.serve import configure, listen
from tumorlens.classifier import Classifier
from tumorlens.data.phantom import draw_phantom
from tumorlens.images.display import display_grey, display_range
from tumorlens.images.slice import Slice


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    port: int

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        kind: str | None = None,
        **headers: str,
    ) -> Answer:
        """Ask as a client does; `host_` and the like stand for headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.strip("_").replace("_", "-"): text for name, text in headers.items()}
        if kind is not None:
            named["Content-Type"] = kind
        try:
            connection.request(method, path, body, named)
            got = connection.getresponse()
            lowered = {name.lower(): text for name, text in got.getheaders()}
            return Answer(got.status, lowered, got.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def send(self, path: str, content: bytes, kind: str = "image/png", **headers: str) -> Answer:
        return self.ask("POST", path, content, kind, **headers)

    def upload(self, path: str, *files: tuple[str, bytes], **headers: str) -> Answer:
        body, kind = form(*files)
        return self.ask("POST", path, body, kind, **headers)


def form(*files: tuple[str, bytes], field: str = "file") -> tuple[bytes, str]:
    """Write files as a form, as browsers do."""
    line = uuid.uuid4().hex
    head = '--{}\r\nContent-Disposition: form-data; name="{}"; filename="{}"\r\n\r\n'
    parts = [head.format(line, field, name).encode() + data + b"\r\n" for name, data in files]
    return b"".join([*parts, f"--{line}--\r\n".encode()]), f"multipart/form-data; boundary={line}"


def png(label: str = "glioma", seed: int = 1, size: int = 128) -> bytes:
    """Draw a head as a PNG."""
    file = io.BytesIO()
    Image.fromarray(draw_phantom(label, seed, size).pixels).save(file, "PNG")
    return file.getvalue()


def real_slices() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give a real slice of a healthy head, and the same with a lesion drawn into it."""
    picture = demo_slice()
    healthy = picture.pixels.astype(np.float32)
    greys = display_range(picture)
    both = (Slice(x, picture.value_range) for x in (healthy, draw_lesion(healthy)[0]))
    plain, ill = (display_grey(x, greys) for x in both)
    return plain, ill


def real_png() -> bytes:
    """Draw the one with the lesion as a PNG."""
    file = io.BytesIO()
    Image.fromarray(real_slices()[1]).save(file, "PNG")
    return file.getvalue()


def real_volume() -> bytes:
    """Make a volume of five slices, 7 mm apart, a lesion in the middle."""
    plain, ill = real_slices()
    planes = [np.flipud(x).T for x in (plain, ill, ill, ill, plain)]
    return nibabel.Nifti1Image(
        np.stack(planes, -1).astype(np.int16), np.diag([1, 1, 7, 1])
    ).to_bytes()


@contextmanager
def running(
    classifier: Classifier, limits: WebLimits | None = None, **options: Any
) -> Iterator[Server]:
    """Run the app as long as the block."""
    with listen("127.0.0.1", 0) as taken:
        app = make_app(classifier, limits=limits, **options)
        server = uvicorn.Server(configure(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Server(taken.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def wait_for(server: Server, text: bytes) -> None:
    """Wait until the counters say so."""
    deadline = time.monotonic() + 30
    while text not in server.get("/metrics").body:
        assert time.monotonic() < deadline, text
        time.sleep(0.02)
