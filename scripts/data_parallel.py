r"""Train data-parallel in two processes on CPUs, by Keras's distribution API.

    python scripts/data_parallel.py [--processes 2]

Needs Keras on JAX, alone: its distribution API has no other backend that spans processes. Each
process holds its share of every batch; gradients are averaged over gloo. It is a trial of what the
API needs, with drawn numbers, and is no part of training.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

CHILD = """
import os, sys
os.environ["KERAS_BACKEND"] = "jax"
import jax
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_cpu_collectives_implementation", "gloo")
import keras, numpy as np

address, count, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keras.distribution.initialize(address, count, number)
keras.utils.set_random_seed(0)
devices = keras.distribution.list_devices()
parallel = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
keras.distribution.set_distribution(parallel)
model = keras.Sequential([
    keras.Input((32, 32, 3)),
    keras.layers.Conv2D(8, 3, activation="relu"),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(4),
])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.1), loss)
rng = np.random.default_rng(0)
x, y = rng.random((64, 32, 32, 3), dtype="float32"), rng.integers(0, 4, 64)
own = 16 // count
for step in range(8):
    start = step % 4 * 16 + number * own  # this process's share of the batch
    logs = model.train_on_batch(x[start : start + own], y[start : start + own])
total = sum(float(np.abs(np.asarray(w)).sum()) for w in model.get_weights())
print(f"process {number}: {len(devices)} devices, sum of weights {total:.7f}", flush=True)
"""


def main() -> None:
    """Start the processes and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--port", type=int, default=29512)
    given = parser.parse_args()
    address, count = f"127.0.0.1:{given.port}", str(given.processes)
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    started = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", CHILD, address, count, str(i)], env=environment
        )
        for i in range(given.processes)
    ]
    statuses = [process.wait() for process in started]
    if any(statuses):
        raise SystemExit("a process failed")


if __name__ == "__main__":
    main()
