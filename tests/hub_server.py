"""The part of the Hugging Face Hub that its client needs to fetch and push models, on 127.0.0.1.

Large files live on another host name, as on the real hub: ``localhost`` sends the
client there with a redirect, and serves ranges.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from local_server import LocalServer, SilentHandler, running

LARGE = (".onnx", ".safetensors")


@dataclass
class Hub:
    """What the server serves, and what it was asked."""

    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)  # repo, commit
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    token: str = "hf_secret"
    break_after: int | None = None  # bytes after which one transfer stops, without a word
    corrupt: bool = False  # flip a byte of large files on their way
    status: int | None = None  # instead of every answer
    requests: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    created: list[dict[str, object]] = field(default_factory=list)
    commits: list[list[dict[str, object]]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, repo: str, files: dict[str, bytes], ref: str = "main") -> str:
        """Commit files, and point a branch there."""
        content = json.dumps({k: hashlib.sha256(v).hexdigest() for k, v in sorted(files.items())})
        commit = hashlib.sha1(content.encode()).hexdigest()
        self.repos.setdefault(repo, {})[commit] = dict(files)
        self.refs.setdefault(repo, {})[ref] = commit
        return commit

    def publish_folder(self, repo: str, folder: Path, ref: str = "main") -> str:
        return self.publish(repo, {p.name: p.read_bytes() for p in folder.iterdir()}, ref)


class _Server(LocalServer):
    def __init__(self) -> None:
        super().__init__(_Handler)
        self.hub = Hub(port=self.port)


class _Handler(SilentHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def _route(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        hub.requests.append(f"{self.command} {path}")
        if hub.status is not None:
            self._reply(hub.status)
            return
        for pattern, answer in self._routes.items():
            if found := re.fullmatch(pattern, path):
                answer(self, *found.groups())
                return
        self._reply(404)

    def _info(self, repo: str, revision: str | None = None) -> None:
        if (commit := self._commit(repo, revision or "main")) is None:
            return
        files = self.server.hub.repos[repo][commit]
        siblings = [{"rfilename": name} for name in files]
        told = {"_id": "1", "id": repo, "modelId": repo, "sha": commit, "siblings": siblings}
        self._json({**told, "private": repo in self.server.hub.private})

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        if (commit := self._commit(repo, revision)) is None:
            return
        content = self.server.hub.repos[repo][commit].get(name)
        headers = {"X-Repo-Commit": commit}
        if content is None:
            self._reply(404, headers={**headers, "X-Error-Code": "EntryNotFound"})
        elif name.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            headers["X-Linked-Size"] = str(len(content))
            headers["X-Linked-Etag"] = f'"{digest}"'
            headers["Location"] = f"http://localhost:{self.server.hub.port}/lfs/{digest}"
            self._reply(302, headers=headers)
        else:
            headers["ETag"] = f'"{hashlib.sha1(content).hexdigest()}"'
            self._reply(200, content, headers)

    def _large(self, digest: str) -> None:
        hub = self.server.hub
        contents = (c for r in hub.repos.values() for f in r.values() for c in f.values())
        content = next(c for c in contents if hashlib.sha256(c).hexdigest() == digest)
        if hub.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        asked = self.headers["Range"]
        hub.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        headers = {"Accept-Ranges": "bytes"}
        if asked:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        stop, hub.break_after = hub.break_after, None
        self._reply(206 if asked else 200, content[first:], headers, stop)

    def _commit(self, repo: str, revision: str) -> str | None:
        """Find the commit, or answer that there is none."""
        hub = self.server.hub
        allowed = self.headers.get("authorization") == f"Bearer {hub.token}"
        if repo not in hub.repos or (repo in hub.private and not allowed):
            message = "Invalid username or password."
            self._reply(401, headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": message})
        elif repo in hub.gated and not allowed:
            self._reply(403, headers={"X-Error-Code": "GatedRepo", "X-Error-Message": "ask first"})
        else:
            commit = hub.refs[repo].get(revision, revision)
            if commit in hub.repos[repo]:
                return commit
            self._reply(404, headers={"X-Error-Code": "RevisionNotFound"})
        return None

    def _create(self) -> None:
        hub, asked = self.server.hub, json.loads(self.body)
        hub.created.append(asked)
        repo = f"{asked['organization']}/{asked['name']}"
        if self.headers.get("authorization") != f"Bearer {hub.token}":
            message = "Invalid username or password."
            self._json({"error": message}, 401)
            return
        if repo in hub.repos:
            self._json({"error": "You already created this model repo", "url": repo}, 409)
            return
        hub.publish(repo, {".gitattributes": b""})
        if asked.get("private") or asked.get("visibility") == "private":
            hub.private.add(repo)
        self._json({"url": f"{hub.url}/{repo}"})

    def _validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def _preupload(self, repo: str, revision: str) -> None:
        del repo, revision
        files = json.loads(self.body)["files"]
        modes = [
            {
                "path": f["path"],
                "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for f in files
        ]
        self._json({"files": modes})

    def _batch(self, repo: str) -> None:
        del repo
        url = f"{self.server.hub.url}/upload"
        objects = [
            {**o, "actions": {"upload": {"href": f"{url}/{o['oid']}"}}}
            for o in json.loads(self.body)["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects}, kind="application/vnd.git-lfs+json")

    def _upload(self, digest: str) -> None:
        self.server.hub.uploads[digest] = self.body
        self._reply(200)

    def _write(self, repo: str, branch: str) -> None:
        hub = self.server.hub
        operations = [json.loads(line) for line in self.body.splitlines()]
        hub.commits.append(operations)
        files = dict(hub.repos[repo][hub.refs[repo][branch]])
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = hub.uploads[value["oid"]]
        commit = hub.publish(repo, files, branch)
        url = f"{hub.url}/{repo}/commit/{commit}"
        self._json({"success": True, "commitUrl": url, "commitOid": commit, "hookOutput": ""})

    _routes = {  # noqa: RUF012
        r"/api/models/([^/]+/[^/]+)": _info,
        r"/api/models/([^/]+/[^/]+)/revision/(.+)": _info,
        r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": _resolve,
        r"/lfs/(\w+)": _large,
        r"/api/repos/create": _create,
        r"/api/validate-yaml": _validate,
        r"/api/models/([^/]+/[^/]+)/preupload/(.+)": _preupload,
        r"/([^/]+/[^/]+?)(?:\.git)?/info/lfs/objects/batch": _batch,
        r"/upload/(\w+)": _upload,
        r"/api/models/([^/]+/[^/]+)/commit/(.+)": _write,
    }

    def _json(self, answer: object, status: int = 200, kind: str = "application/json") -> None:
        self._reply(status, json.dumps(answer).encode(), {"Content-Type": kind})

    def _reply(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        stop_after: int | None = None,
    ) -> None:
        # Closed, or the client would keep a stopped server alive.
        self.begin(status, {**(headers or {}), "Connection": "close"}, len(body))
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.wfile.write(body[:stop_after])
        self.close_connection = True


@contextmanager
def serve() -> Iterator[Hub]:
    """Run the server as long as the block."""
    server = _Server()
    with running(server):
        yield server.hub


def use_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Give huggingface_hub a cache of one's own, and no one's token."""
    cache = folder / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server has no such storage
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return cache
