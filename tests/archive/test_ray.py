"""A cluster gives the rows that one machine gives, though a node of it is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.dataset
import pyarrow.fs
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from tumorlens.archive.run import answer_archive
from tumorlens.classifier import load
from tumorlens.data.phantom import draw_phantom

CHILD = Path(__file__).parent / "ray_child.py"


@pytest.fixture
def bucket() -> Iterator[str]:
    """A store that speaks S3, on this machine: what an address there ends with."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield (
        f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1&allow_bucket_creation=true"
    )
    server.stop()


def rows(filesystem: pyarrow.fs.FileSystem, folder: str) -> list[dict[str, object]]:
    table = pyarrow.dataset.dataset(folder, filesystem=filesystem, format="parquet").to_table()
    found: list[dict[str, object]] = table.to_pylist()
    return found


def renamed(row: dict[str, object], before: str, after: str) -> dict[str, object]:
    """A row of the same file elsewhere."""
    return {
        name: value.replace(before, after)
        if name in ("path", "error") and isinstance(value, str)
        else value
        for name, value in row.items()
    }


def test_a_cluster_that_loses_a_node_gives_the_same_rows(
    spot_bundle: Callable[..., Path], bucket: str, tmp_path: Path
) -> None:
    root = tmp_path / "scans"
    for i in range(24):
        path = root / f"{i % 3}" / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_phantom("glioma", i).pixels).save(path)
    (root / "1" / "poison.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    bundle, whole = spot_bundle(), tmp_path / "whole.parquet"
    answer_archive(load(bundle, threads=1), [str(root)], whole, lanes=1)
    wanted = rows(pyarrow.fs.LocalFileSystem(), str(whole))
    keys = "s3://testing:testing@"
    s3, _ = pyarrow.fs.FileSystem.from_uri(f"{keys}scans{bucket}")
    s3.create_dir("scans")
    s3.create_dir("answers")
    pyarrow.fs.copy_files(str(root), "scans/in", destination_filesystem=s3)
    out, log = tmp_path / "out", tmp_path / "log"
    addresses = [f"{keys}scans/in{bucket}", f"{keys}answers/out{bucket}"]
    done = subprocess.run(
        [sys.executable, str(CHILD), bundle, root, out, log, *addresses],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    killed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("killed")]
    assert killed
    assert set(killed) < set(log.read_text().split())  # others went on
    assert "folder 25 1" in done.stdout
    assert "bucket 25 1" in done.stdout
    assert rows(pyarrow.fs.LocalFileSystem(), str(out)) == wanted
    assert s3.get_file_info("answers/out/_SUCCESS").is_file
    found = [renamed(row, "s3://scans/in", str(root)) for row in rows(s3, "answers/out")]
    assert found == wanted
    assert "testing:testing" not in str(found)
