"""The same rows by a cluster: Ray Data, with the classifier as an actor on each worker.

The driver lists the files and cuts the list into blocks, such that no series is cut. An actor
loads the model once, answers for block after block, and writes the rows of each as a Parquet file.
A block whose worker dies is done again by another; so is one that had no file yet when the work
was stopped. A file that cannot be read is a row. Files, rows and maps may be local or wherever
pyarrow has a file system (``s3://``, ``gs://``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tumorlens.archive.blocks import Block, cut
from tumorlens.archive.lanes import Place
from tumorlens.archive.parts import State
from tumorlens.archive.ray_actor import SEEN, Actor, Task
from tumorlens.archive.run import Watch, job_of, silent_watch
from tumorlens.archive.shards import Count, Shards, shards_opened
from tumorlens.archive.store import Store, is_address
from tumorlens.errors import OutputError, UnreadableImageError
from tumorlens.explain.explainer import Explainable
from tumorlens.extras import require
from tumorlens.files import find_files, new_file
from tumorlens.images.kinds import find_kind
from tumorlens.sources.failure import STANDARD_INPUT
from tumorlens.sources.series import HEAD, is_dicom

__all__ = ["answer_on_ray"]

_FEATURE: Final = "--engine ray"
_BLOCK: Final = 256  # files in a block: what is done again when a worker dies
_MOST: Final = 4096  # actors
_KNOCKING: Final = 10.0  # seconds
_SWITCH: Final = "RAY_USAGE_STATS_ENABLED"


def answer_on_ray(
    classifier: Explainable,
    roots: Sequence[str],
    out: str,
    *,
    address: str | None = None,
    block: int = _BLOCK,
    actors: int | None = None,
    explain: str | None = None,
    passed: list[str] | None = None,
    listed: Callable[[int, int], None] = lambda total, done: None,  # noqa: ARG005
    watch: Watch = silent_watch,
) -> State:
    """Answer for every file of an archive on a Ray cluster.

    When the work is stopped or killed, the same call does the blocks that are left.

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
    explain
        A folder for maps, or its address, as `tumorlens.archive.run.answer_archive` takes it.
    passed
        Gets what was passed over because this package wrote it.
    listed
        Told how many files there are, and how many of them were done before.
    watch
        Told how far the work is.

    Returns
    -------
    State
        What was done, by earlier calls too.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    OutputError
        When a folder cannot be written, is not seen by all nodes, or was begun with another
        model or other paths; or when the cluster cannot be reached.
    UnreadableImageError
        When what is below an address cannot be listed.
    """
    require("ray.data", _FEATURE, "ray")
    stores = {i: Store.of(root) for i, root in enumerate(roots) if is_address(root)}
    shown = [stores[i].name if i in stores else root for i, root in enumerate(roots)]
    if STANDARD_INPUT in roots:
        raise OutputError("a cluster cannot read standard input; give files or folders")
    maps = None if explain is None else Store.of(explain).name
    job = job_of(classifier.card, shown, Path(Store.of(out).name), maps)
    if all(i in stores or Path(root).is_absolute() for i, root in enumerate(roots)):
        job["folder"] = None
    with shards_opened(out, job) as shards:
        own = [Store.of(x) for x in (out, explain) if x is not None and is_address(x)]
        found = _find(roots, stores, own, [] if passed is None else passed)
        blocks = list(cut(found, block, lambda place: _is_dicom(stores, place)))
        done = shards.done(block.name for block in blocks)
        state = _sum(State(), done)
        listed(sum(len(block.places) for block in blocks), state.files)
        left = [block for block in blocks if block.name not in done]
        if left:
            with _shown_to_all(shards, explain) as token, _cluster(address):
                task = _task(roots, out, shards, explain, token, job)
                for count in _work(classifier, task, left, actors):
                    state = _sum(state, {"": count})
                    watch(state)
        shards.finish(block.name for block in blocks)
        return state


def _find(
    roots: Sequence[str], stores: Mapping[int, Store], own: Sequence[Store], passed: list[str]
) -> Iterator[Place]:
    """Name every file, and by which root it was found; what is being written is left out."""
    for number, root in enumerate(roots):
        store = stores.get(number)
        if store is None:
            yield from (Place(number, path) for path in find_files([root], passed))
            continue
        written = tuple(f"{x.path}/" for x in own if x.start == store.start)
        try:
            paths = [path for path in store.files() if not path.startswith(written)]
        except OSError as error:
            what = f"it cannot be listed ({str(error).splitlines()[0]})"
            raise UnreadableImageError(
                store.name, what, "check the address and its keys"
            ) from error
        yield from (Place(number, store.start + path) for path in paths or [store.path])


def _is_dicom(stores: Mapping[int, Store], place: Place) -> bool:
    """Say whether a file begins as DICOM does; of one in a store no more is read for that."""
    store = stores.get(place.root)
    if store is None:
        return is_dicom(place.path)
    try:
        return find_kind(store.read(place.path.removeprefix(store.start), HEAD)) == "DICOM"
    except OSError:
        return False


def _sum(state: State, counts: Mapping[str, Count]) -> State:
    files, failed, rows = map(sum, zip((0, 0, 0), *counts.values(), strict=True))
    return State(files=state.files + files, failed=state.failed + failed, rows=state.rows + rows)


def _task(
    roots: Sequence[str],
    out: str,
    shards: Shards,
    explain: str | None,
    token: bytes,
    job: dict[str, Any],
) -> Task:
    here = [root for root in roots if not is_address(root)]
    maps = explain if explain is None or is_address(explain) else str(Path(explain).absolute())
    return Task(
        roots=tuple(roots),
        there=tuple(root for root in here if os.path.lexists(root)),
        folder=job["folder"],
        out=out if is_address(out) else shards.store.path,
        maps=maps,
        token=token,
        about=job,
    )


def _work(
    classifier: Explainable, task: Task, blocks: Sequence[Block], actors: int | None
) -> Iterator[Count]:
    """Have blocks answered, and say of each what was in it, as they are done."""
    data = require("ray.data", _FEATURE, "ray")
    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    items = [
        {
            "name": block.name,
            "root": [place.root for place in block.places],
            "path": [os.fsencode(place.path) for place in block.places],
        }
        for block in blocks
    ]
    counts = data.from_items(items, override_num_blocks=len(items)).map_batches(
        Actor,
        fn_constructor_args=(classifier, task),
        batch_size=1,
        batch_format="pyarrow",
        concurrency=(1, _MOST, actors or _cores()),  # at least, at most, to begin with
        num_cpus=1,
    )
    for row in counts.iter_rows():
        if row["trouble"] is not None:
            raise OutputError(row["trouble"])
        yield Count(*(int(row[name]) for name in Count._fields))


@contextmanager
def _shown_to_all(shards: Shards, explain: str | None) -> Iterator[bytes]:
    """Put a file into each folder to write to, so that workers know whether they see it."""
    token = secrets.token_hex(16).encode()
    local = [Path(shards.store.path)] if shards.store.filesystem is None else []
    if explain is not None and not is_address(explain):
        local.append(Path(explain).absolute())
    for folder in local:
        with new_file(folder / SEEN) as work:
            work.write_bytes(token)
    try:
        yield token
    finally:
        for folder in local:
            with contextlib.suppress(OSError):
                (folder / SEEN).unlink(missing_ok=True)


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
    _knock(address)
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "0"
    try:
        ray.init(
            address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="error",  # what it says of itself is no business of ours
        )
    except UnicodeEncodeError as error:  # Ray tells its cluster the command, and as UTF-8
        raise OutputError(
            "Ray takes no path that is no text; rename it, or give a folder above it"
        ) from error
    except (ConnectionError, ValueError, RuntimeError) as error:
        what = str(error).strip().splitlines()[0]
        raise OutputError(f"no Ray cluster at {address or 'this machine'}: {what}") from error
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """See whether somebody is at an address; Ray itself would go on trying for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or is_address(host):  # such as "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCKING).close()
    except (OSError, OverflowError) as error:
        raise OutputError(f"no Ray cluster at {address}: {error}; check the address") from error
