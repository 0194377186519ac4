"""A cluster gives the rows that one machine gives, though a node of it is killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.dataset
import pyarrow.fs
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from dicoms import write_series
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
        if name in ("path", "error", "volume") and isinstance(value, str)
        else value
        for name, value in row.items()
    }


def draw_archive(root: Path) -> None:
    """Pictures, two series in one folder, each with a file that is cut, and a volume."""
    for i in range(12):
        path = root / f"{i % 3}" / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_phantom("glioma", i).pixels).save(path)
    (root / "1" / "poison.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    heads = np.stack([draw_phantom("glioma", i).pixels for i in range(5)]).astype(np.int16)
    for number in (1, 2):
        files = write_series(root / "series", heads, f"1.2.{number}")
        for poisoned in sorted(files)[:: number * 9]:
            poisoned.write_bytes(poisoned.read_bytes()[:3000])
    shutil.copy(root / "1" / "01.png", root / "series" / "00.png")
    volume = nibabel.Nifti1Image(np.moveaxis(heads, 0, -1), np.diag([1.0, 1, 4, 1]))
    volume.to_filename(root / "v.nii.gz")


def files_of(folder: Path) -> dict[str, bytes]:
    """Records; what a node was writing when it was killed lies hidden beside them."""
    found = {str(x.relative_to(folder)): x for x in folder.rglob("*") if x.is_file()}
    return {name: x.read_bytes() for name, x in found.items() if "/." not in f"/{name}"}


def test_a_cluster_that_loses_a_node_gives_the_same_rows(
    spot_bundle: Callable[..., Path], bucket: str, tmp_path: Path
) -> None:
    root, wanted_maps = tmp_path / "scans", tmp_path / "wanted"
    draw_archive(root)
    bundle, whole = spot_bundle(), tmp_path / "whole.parquet"
    state = answer_archive(
        load(bundle, threads=1), [str(root)], whole, lanes=1, explain=wanted_maps
    )
    wanted = rows(pyarrow.fs.LocalFileSystem(), str(whole))
    assert state.failed == 3
    assert sum(row["volume"] is not None for row in wanted) == 3
    keys = "s3://testing:testing@"
    s3, _ = pyarrow.fs.FileSystem.from_uri(f"{keys}scans{bucket}")
    s3.create_dir("scans")
    s3.create_dir("answers")
    pyarrow.fs.copy_files(str(root), "scans/in", destination_filesystem=s3)
    out, maps, log = tmp_path / "out", tmp_path / "maps", tmp_path / "log"
    names = ("scans/in", "answers/out", "answers/maps")
    addresses = [f"{keys}{name}{bucket}" for name in names]
    done = subprocess.run(
        [sys.executable, str(CHILD), bundle, root, out, maps, log, *addresses],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    killed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("killed")]
    assert killed
    assert set(killed) < set(log.read_text().split())  # others went on
    counts = f"{state.files} {state.failed} {state.rows}"
    assert f"folder {counts}" in done.stdout
    assert f"bucket {counts}" in done.stdout
    (begun,) = (x for x in done.stdout.splitlines() if x.startswith("gone on from"))
    first, second = map(int, begun.split()[-2:])
    assert first == 0
    assert second >= 6  # it did not begin anew
    assert rows(pyarrow.fs.LocalFileSystem(), str(out)) == wanted
    assert files_of(maps) == files_of(wanted_maps)
    assert s3.get_file_info("answers/out/_SUCCESS").is_file
    found = [renamed(row, "s3://scans/in", str(root)) for row in rows(s3, "answers/out")]
    assert found == wanted
    assert "testing:testing" not in str(found)
    pyarrow.fs.copy_files("answers/maps", str(tmp_path / "copy"), source_filesystem=s3)
    assert files_of(tmp_path / "copy").keys() == files_of(maps).keys()
