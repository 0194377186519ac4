"""Two nodes beside the head; the one that first answers something is killed.

A program of its own: Ray starts threads and warns, which is no business of the tests' process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from tumorlens.archive.parts import State
from tumorlens.archive.ray_engine import answer_on_ray
from tumorlens.archive.run import silent_watch
from tumorlens.classifier import Classifier, load

bundle, root, out, maps, log, bucket, bucket_out, bucket_maps = sys.argv[1:]


class Slow(Classifier):
    """Takes its time, so that there is a midst to kill in, and says on which node it works."""

    def predict_prepared(self, batch: Sequence[Any], prepared: Sequence[Any]) -> list[Any]:
        time.sleep(0.4)
        with Path(log).open("a") as file:
            file.write(f"{ray.get_runtime_context().get_node_id()}\n")
        return super().predict_prepared(batch, prepared)


def kill(cluster: Cluster, nodes: list[Any]) -> None:
    """Kill the node that is the first to have answered something."""
    while not (told := Path(log).read_text().split() if Path(log).exists() else []):
        time.sleep(0.05)
    node = next(node for node in nodes if node.node_id == told[0])
    cluster.remove_node(node, allow_graceful=False)
    print("killed", node.node_id, flush=True)


os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
options = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
quick = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}  # dead in 5 s
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick, **options}
)
workers = [cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False)
threading.Thread(target=kill, args=(cluster, workers), daemon=True).start()
session = load(bundle, threads=1)._session
state = answer_on_ray(Slow(session), [root], out, block=3, actors=1, explain=maps)
print("folder", state.files, state.failed, state.rows, flush=True)


class StoppedError(Exception):
    """The driver ends in the midst."""


def stop(state: State) -> None:
    """End when two blocks are done."""
    if state.files >= 6:
        raise StoppedError


begun: list[int] = []


def note(total: int, done: int) -> None:
    """Take how many files were done before."""
    del total
    begun.append(done)


classifier = load(bundle, threads=1)
for watch in (stop, silent_watch):
    with contextlib.suppress(StoppedError):
        state = answer_on_ray(
            classifier,
            [bucket],
            bucket_out,
            block=3,
            explain=bucket_maps,
            listed=note,
            watch=watch,
        )
print("bucket", state.files, state.failed, state.rows, flush=True)
print("gone on from", *begun, flush=True)
ray.shutdown()
cluster.shutdown()
