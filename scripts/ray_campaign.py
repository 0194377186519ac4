r"""Train folds and seeds of one recipe as tasks of a Ray cluster, and measure each.

    python scripts/ray_campaign.py --data manifest.csv --out campaign --try plain \
        [--folds 1 2 3 4] [--seeds 0 1] [--set epochs=4] [--cores 2] [--address auto]
    python scripts/ray_campaign.py --smoke --out campaign

The recipe is a try of `campaign.py`, changed by `--set`. Each task trains without the closed fold
and the fold that it measures, which may change from task to task. The folder must be one that all
nodes see: a run whose node dies is gone on with from its last whole epoch, on another node. What
is done is kept, and the table of all comes last.

--smoke draws heads, starts two nodes of one core on this machine, and trains a tiny network.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from campaign import CLOSED, STEPS, tries

from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.extras import require
from tumorlens.train.recipe import Recipe, replaced

RETRIES: Final = 5
QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0"}


def one_run(recipe: Recipe, fold: int, given: dict[str, Any]) -> dict[str, Any]:
    """Train, export and measure on one fold, unless that is done."""
    from tumorlens.evaluate.evaluation import evaluate  # noqa: PLC0415
    from tumorlens.files import write_whole  # noqa: PLC0415
    from tumorlens.train.export import export_run  # noqa: PLC0415
    from tumorlens.train.fit import train  # noqa: PLC0415

    node = require("ray", "a campaign", "ray").get_runtime_context().get_node_id()
    name = f"fold{fold}-seed{recipe.seed}"
    out = Path(given["out"])
    result = out / f"{name}.json"
    if result.is_file():
        done: dict[str, Any] = json.loads(result.read_text())
        return done
    began = time.monotonic()
    run = train(recipe, given["data"], out / name, test_folds=(given["closed"], fold))
    bundle = out / f"{name}-bundle"
    if not bundle.is_dir():
        export_run(run, bundle, precision="float32", name=name)
    figures = evaluate(given["data"], model=bundle, folds=(fold,), bootstrap=200).summary.figures
    told = {
        "fold": fold,
        "seed": recipe.seed,
        "accuracy": figures["accuracy"],
        "missed": figures["tumour_miss_rate"],
        "seconds": time.monotonic() - began,
        "node": node,
    }
    write_whole(result, json.dumps(told, indent=2) + "\n")
    return told


@contextmanager
def nodes(given: argparse.Namespace) -> Iterator[None]:
    """Join a cluster; for a smoke run start two nodes of one core here."""
    os.environ |= QUIET
    ray = require("ray", "a campaign", "ray")
    if not given.smoke:
        ray.init(given.address)
        yield
        ray.shutdown()
        return
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    options = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def smoke(given: argparse.Namespace) -> Recipe:
    """Draw a set with three folds, and give a recipe that is done in seconds."""
    given.out.mkdir(parents=True, exist_ok=True)
    given.data = str(given.out / "manifest.csv")
    given.folds, given.cores = [1, 2], 1
    if not Path(given.data).is_file():
        write_phantoms(given.out / "drawn", training=9, testing=1)
        manifest = make_manifest(given.out / "drawn", groups="none")
        count = len(manifest.entries)
        write_manifest(manifest.with_folds([i % 3 for i in range(count)]), given.data)
    return Recipe(network="tiny", size=32, epochs=1, batch=8, validation=0.0)


def table(rows: list[dict[str, Any]]) -> str:
    """Give all runs as a table in Markdown, with the mean and the spread."""
    lines = ["| fold | seed | accuracy | missed | seconds |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (row["fold"], row["seed"])):
        cells = f"{row['accuracy']:.3f} | {row['missed']:.3f} | {row['seconds']:.0f}"
        lines.append(f"| {row['fold']} | {row['seed']} | {cells} |")
    every = [row["accuracy"] for row in rows]
    spread = f" (standard deviation {statistics.stdev(every):.3f})" if every[1:] else ""
    lines.append(f"\naccuracy {statistics.mean(every):.3f}{spread}, {len(rows)} runs")
    return "\n".join(lines)


def main() -> None:
    """Send out every fold and seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--try", dest="name", default="plain", choices=[name for name, _ in STEPS])
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--weights", default="random")
    parser.add_argument("--cores", type=int, default=2, help="of a task")
    parser.add_argument("--address", default="local")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    given.size, given.epochs, given.batch = 224, 4, 32
    if CLOSED in given.folds:
        parser.error(f"fold {CLOSED} stays closed")
    if given.smoke:
        recipe = smoke(given)
    elif given.data is None:
        parser.error("give --data, or --smoke")
    else:
        recipe = dict(tries(given))[given.name]
    recipe = replaced(recipe, given.set)
    shared = {"data": str(Path(given.data).absolute()), "out": str(given.out.absolute())}
    with nodes(given):
        ray = require("ray", "a campaign", "ray")
        task = ray.remote(num_cpus=given.cores, max_retries=RETRIES)(one_run)
        rows = ray.get(
            [
                task.remote(replaced(recipe, [f"seed={seed}"]), fold, {**shared, "closed": CLOSED})
                for fold in given.folds
                for seed in given.seeds
            ]
        )
    print(table(rows))
    print(f"on {len({row['node'] for row in rows})} nodes")


if __name__ == "__main__":
    main()
