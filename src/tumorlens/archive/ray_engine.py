"""The same rows by a cluster: Ray Data, with the classifier as an actor on each worker.

The driver lists the files and cuts the list into blocks. An actor loads the model once and turns
blocks of paths into blocks of rows. A block whose worker dies is done again by another; a file
that cannot be read is a row. Files and table may be local or wherever pyarrow has a file system
(``s3://``, ``gs://``).
"""

from __future__ import annotations

import io
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tumorlens.archive.lanes import Answered, Place, answer_read
from tumorlens.archive.tables import columns, parquet_schema
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.explain.explainer import Explainable
from tumorlens.extras import require
from tumorlens.files import check_new_folder, find_files, new_folder
from tumorlens.images.limits import Limits
from tumorlens.images.slice import Slice
from tumorlens.sources.failure import Failure, read_or_fail

__all__ = ["answer_on_ray"]

_FEATURE: Final = "--engine ray"
_BLOCK: Final = 256  # files in a block: what is done again when a worker dies
_BATCH: Final = 32  # files that an actor takes at once
_MOST: Final = 4096  # actors
_SWITCH: Final = "RAY_USAGE_STATS_ENABLED"
_DONE: Final = "_SUCCESS"  # written last where folders cannot be moved, as others do


def answer_on_ray(
    classifier: Explainable,
    roots: Sequence[str],
    out: str,
    *,
    address: str | None = None,
    block: int = _BLOCK,
    actors: int | None = None,
    passed: list[str] | None = None,
) -> tuple[int, int]:
    """Answer for every file of an archive on a Ray cluster.

    Parameters
    ----------
    classifier
        The model; every actor opens it at the same place, with one thread.
    roots
        Files, folders, and addresses as ``s3://bucket/folder`` or ``gs://bucket/folder``.
    out
        The folder of Parquet files to make, or its address.
    address
        Of the cluster, such as ``"auto"``; ``None`` for one of this machine's own, which ends
        with the work.
    block
        Files in a block.
    actors
        How many to begin with; one for each core when ``None``.
    passed
        Gets what was passed over because this package wrote it.

    Returns
    -------
    tuple of int
        How many rows there are, and how many of them are files that could not be read.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    OutputError
        When the folder is there already or cannot be written.
    """
    data = require("ray.data", _FEATURE, "ray")
    found = list(_find(roots, [] if passed is None else passed))
    with _cluster(address), _target(out) as (filesystem, folder):
        data.DataContext.get_current().execution_options.preserve_order = True
        data.DataContext.get_current().enable_progress_bars = False
        paths = data.from_items(found, override_num_blocks=max(1, -(-len(found) // block)))
        rows = paths.map_batches(
            _Actor,
            fn_constructor_args=(classifier,),
            batch_size=min(_BATCH, block),
            batch_format="numpy",
            concurrency=(1, _MOST, actors or _cores()),  # at least, at most, to begin with
            num_cpus=1,
        )
        # Writing is light; were it to ask for a core, there might be none beside the actors.
        rows.write_parquet(folder, filesystem=filesystem, ray_remote_args={"num_cpus": 0})
        return _count(filesystem, folder)


@dataclass(frozen=True, slots=True)
class _Remote:
    """A place that pyarrow reads: its file system, the path there, and how people name it."""

    filesystem: Any
    path: str
    start: str

    @classmethod
    def of(cls, address: str) -> _Remote:
        """Open an address; what it holds of keys and options is not part of any name."""
        fs = require("pyarrow.fs", _FEATURE, "ray")
        filesystem, path = fs.FileSystem.from_uri(address)
        return cls(filesystem, path, f"{urlsplit(address).scheme}://")

    def files(self) -> Iterator[str]:
        """Name the files below, in order."""
        fs = require("pyarrow.fs", _FEATURE, "ray")
        info = self.filesystem.get_file_info(self.path)
        if info.type != fs.FileType.Directory:
            yield self.path
            return
        below = self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=True))
        yield from sorted(x.path for x in below if x.is_file and not _is_hidden(x.path, self.path))


def _is_hidden(path: str, root: str) -> bool:
    return any(part.startswith(".") for part in posixpath.relpath(path, root).split("/"))


def _is_remote(path: str) -> bool:
    return "://" in path


def _find(roots: Sequence[str], passed: list[str]) -> Iterator[dict[str, Any]]:
    """Name every file, with the address of the root that it is read through."""
    for root in roots:
        if _is_remote(root):
            remote = _Remote.of(root)
            for path in remote.files():
                yield {"path": path, "address": root}
        else:
            for path in find_files([root], passed):
                yield {"path": os.fsencode(Path(path).absolute()), "address": os.fsencode(path)}


class _Actor:
    """The classifier on a worker: loaded once, asked again and again."""

    def __init__(self, classifier: Explainable) -> None:
        self._classifier = classifier
        self._remotes: dict[str, _Remote] = {}

    def __call__(self, batch: dict[str, Any]) -> Any:
        """Turn a batch of files into a table of rows."""
        pairs = zip(batch["path"].tolist(), batch["address"].tolist(), strict=True)
        read = [self._read(path, address) for path, address in pairs]
        answered = answer_read(self._classifier, read, _BATCH)
        return _table(answered, self._classifier.card.classes)

    def _read(self, path: str | bytes, address: str | bytes) -> tuple[Place, list[Slice | Failure]]:
        if isinstance(path, bytes):
            return _read_local(os.fsdecode(path), os.fsdecode(address))
        remote = self._remotes.get(str(address)) or _Remote.of(str(address))
        self._remotes[str(address)] = remote
        name = remote.start + path
        return Place(0, name), _read_remote(remote, path, name)


def _read_local(path: str, shown: str) -> tuple[Place, list[Slice | Failure]]:
    """Read by the whole path, as workers have folders of their own, and name it as given."""

    def given(name: str | None) -> str:  # a member of an archive is named behind it
        return shown + (name or path).removeprefix(path)

    found: list[Slice | Failure] = []
    for one in read_or_fail(path):
        name = given(one.path)
        if isinstance(one, Failure):
            error = UnreadableImageError(name, one.error.found, one.error.hint)
            found.append(Failure(name, error))
        else:
            found.append(replace(one, path=name))
    return Place(0, shown), found


def _read_remote(remote: _Remote, path: str, name: str) -> list[Slice | Failure]:
    try:
        with remote.filesystem.open_input_stream(path) as stream:
            file = io.BytesIO(stream.read(Limits().max_bytes + 1))
    except OSError as error:
        found = f"it cannot be opened ({str(error).splitlines()[0]})"
        return [Failure(name, UnreadableImageError(name, found, "check the path"))]
    return read_or_fail(name, file)


def _table(answered: Sequence[Answered], classes: Sequence[str]) -> Any:
    arrow = require("pyarrow", _FEATURE, "ray")
    results = [result for one in answered for result in one.results]
    return arrow.table(columns(results, classes), schema=parquet_schema(classes))


def _cores() -> int:
    """Count the cores that the cluster has now; it may grow."""
    ray = require("ray", _FEATURE, "ray")
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Join a cluster, or start one that ends with the block.

    Ray reports its use to its maker unless the environment says otherwise while it starts. So
    the answer is put there for that time. A cluster that runs already has been told by whoever
    started it.
    """
    ray = require("ray", _FEATURE, "ray")
    if ray.is_initialized():
        yield
        return
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "0"
    try:
        ray.init(
            address or "local", include_dashboard=None if address else False, log_to_driver=False
        )
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _target(out: str) -> Iterator[tuple[Any, str]]:
    """Give where to write; the folder appears whole, or, where it cannot, is marked when it is."""
    fs = require("pyarrow.fs", _FEATURE, "ray")
    if not _is_remote(out):
        check_new_folder(out)
        with new_folder(Path(out).absolute()) as work:
            yield fs.LocalFileSystem(), str(work)
        return
    remote = _Remote.of(out)
    if remote.filesystem.get_file_info(remote.path).type != fs.FileType.NotFound:
        raise OutputError(f"{remote.start}{remote.path} is there already; name another folder")
    yield remote.filesystem, remote.path
    with remote.filesystem.open_output_stream(posixpath.join(remote.path, _DONE)) as stream:
        stream.write(b"")


def _count(filesystem: Any, folder: str) -> tuple[int, int]:
    dataset = require("pyarrow.dataset", _FEATURE, "ray")
    table = dataset.dataset(folder, filesystem=filesystem, format="parquet")
    failed = dataset.field("error").is_valid()
    return table.count_rows(), table.count_rows(filter=failed)
