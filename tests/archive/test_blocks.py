"""An archive cut for workers, and what one worker does with a block."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dicoms import write_series
from tumorlens.archive.blocks import cut
from tumorlens.archive.lanes import Place
from tumorlens.archive.ray_actor import SEEN, Actor, Task
from tumorlens.archive.ray_engine import answer_on_ray
from tumorlens.archive.run import job_of
from tumorlens.archive.shards import Count, shards_opened
from tumorlens.classifier import Classifier, load
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import OutputError


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one series."""
    heads = [draw_phantom("glioma", i).pixels for i in range(4)]
    folder = tmp_path_factory.mktemp("scans") / "series"
    write_series(folder, np.stack(heads).astype(np.int16))
    return folder


@pytest.fixture
def spot(spot_bundle: Callable[..., Path]) -> Classifier:
    return load(spot_bundle(), threads=1)


def sizes(paths: list[str], size: int, dicom: str = "") -> list[int]:
    """Cut, and count the files of each block; those whose name ends so are DICOM."""
    places = [Place(0, path) for path in paths]
    found = list(cut(places, size, lambda x: bool(dicom) and x.path.endswith(dicom)))
    assert [place for block in found for place in block.places] == places
    assert sorted(block.name for block in found) == [block.name for block in found]
    return [len(block.places) for block in found]


def test_only_what_may_be_a_series_is_kept_together() -> None:
    pictures = [f"a/{i:03d}.png" for i in range(100)]
    assert sizes(pictures, 40) == [40, 40, 20]
    assert sizes([*pictures, *(f"b/{i:03d}.dcm" for i in range(50))], 40, ".dcm") == [
        40,
        40,
        20,
        50,
    ]
    mixed = [*pictures[:50], *(f"a/{i:03d}.x" for i in range(100, 170))]
    assert sizes(mixed, 40, ".x") == [40, 10, 70]
    assert sizes([f"v/{i}.nii.gz" for i in range(9)], 256) == [4, 4, 1]


def test_a_block_has_another_name_when_a_file_came() -> None:
    before = [x.name for x in cut([Place(0, f"{i}/a") for i in range(4)], 2, lambda _: False)]
    places = [Place(0, path) for path in ("0/a", "1/a", "2/a", "2/b", "3/a")]
    after = [x.name for x in cut(places, 2, lambda _: False)]
    assert before[0] == after[0]
    assert before[1] not in after
    places = [Place(0, path) for path in ("0/a", "0/b", "1/a", "2/a", "3/a")]
    assert not {*before} & {block.name for block in cut(places, 2, lambda _: False)}, "all behind"


def block_of(folder: Path) -> pa.Table:
    paths = [str(path).encode() for path in sorted(folder.iterdir())]
    return pa.table({"name": ["part-0-x.parquet"], "root": [[0] * len(paths)], "path": [paths]})


def task_of(spot: Classifier, root: Path, out: str, **more: Any) -> Task:
    told: dict[str, Any] = {
        "roots": (str(root),),
        "there": (str(root),),
        "folder": None,
        "out": out,
        "maps": None,
        "token": b"1",
        "about": job_of(spot.card, [str(root)], Path(out)),
    }
    return Task(**{**told, **more})


def test_a_worker_says_which_folder_it_does_not_see(
    spot: Classifier, series: Path, tmp_path: Path
) -> None:
    out, maps = tmp_path / "out", tmp_path / "maps"
    for folder, token in ((out, b"1"), (maps, b"of another machine's folder")):
        folder.mkdir()
        (folder / SEEN).write_bytes(token)
    trouble = Actor(spot, task_of(spot, series, str(out), maps=str(maps)))(block_of(series))
    assert f"{maps} cannot be seen on" in trouble["trouble"][0].as_py()
    gone = task_of(spot, series, str(out), there=(str(tmp_path / "gone"),))
    assert "gone cannot be seen on" in Actor(spot, gone)(block_of(series))["trouble"][0].as_py()
    assert [x.name for x in out.iterdir()] == [SEEN]


def test_what_is_done_is_known_and_what_is_cut_is_done_again(
    spot: Classifier, series: Path, tmp_path: Path
) -> None:
    out, name = tmp_path / "out", "part-0-x.parquet"
    job = job_of(spot.card, [str(series)], out)
    with shards_opened(str(out), job) as shards:
        folder = Path(shards.store.path)
        (folder / SEEN).write_bytes(b"1")
        told = Actor(spot, task_of(spot, series, str(folder)))(block_of(series)).to_pylist()
        assert told == [{"files": 4, "failed": 0, "rows": 5, "trouble": None}]
        assert shards.done([name, "part-1-x.parquet"]) == {name: Count(4, 0, 5)}
        with (
            pytest.raises(OutputError, match="another process is writing"),
            shards_opened(str(out), job),
        ):
            pass
    with (
        pytest.raises(OutputError, match="was begun with paths"),
        shards_opened(str(out), {**job, "paths": []}),
    ):
        pass
    with shards_opened(str(out), job) as shards:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-9])
        assert shards.done([name]) == {}
        (folder / name).write_bytes(whole)
        shards.finish([name])
    assert [x.name for x in out.iterdir() if x.name != SEEN] == [name]
    assert not folder.exists()


def test_no_cluster_is_said_at_once(spot: Classifier, series: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OutputError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*; check the address"
    ):
        answer_on_ray(spot, [str(series)], str(tmp_path / "out"), address="127.0.0.1:1")
    with pytest.raises(OutputError, match="cannot read standard input"):
        answer_on_ray(spot, ["-"], str(tmp_path / "out"))
