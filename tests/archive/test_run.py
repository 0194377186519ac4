"""An archive into one table: in order, whole, and gone on with after a kill."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from dicoms import write_series
from tumorlens.archive.parts import State, unfinished_folder
from tumorlens.archive.run import answer_archive
from tumorlens.archive.tables import ENDINGS
from tumorlens.classifier import Classifier, load
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import OutputError
from tumorlens.explain.scan import predict_scans
from tumorlens.files import find_files
from tumorlens.sources.series import find_units
from tumorlens.sources.stream import predict_files

CHILD = """
import sys
from tumorlens.archive.run import answer_archive
from tumorlens.classifier import load

bundle, root, out = sys.argv[1:]
answer_archive(
    load(bundle, threads=1), [root], out, lanes=2, part_rows=5,
    watch=lambda state: print(state.files, flush=True),
)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty files in three folders: heads, broken ones, and a stack of three."""
    root = tmp_path_factory.mktemp("archive")
    labels = ("glioma", "meningioma", "notumor", "pituitary")
    for i in range(40):
        path = root / ("", "b", "b/deeper")[i % 3] / f"{i:02d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i % 9 == 4:
            path.write_bytes(b"broken" * i)
            continue
        heads = [Image.fromarray(draw_phantom(labels[(i + k) % 4], i).pixels) for k in range(3)]
        heads[0].save(path, save_all=True, append_images=heads[1:] if i == 11 else [])
    return root


@pytest.fixture
def spot(spot_bundle: Callable[..., Path]) -> Classifier:
    return load(spot_bundle(), threads=1)


def rows(path: Path) -> list[dict[str, object]]:
    """A table's rows, as its format has them."""
    if path.suffix == ".parquet":
        found: list[dict[str, object]] = pyarrow.parquet.read_table(path).to_pylist()
        return found
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_says_what_predict_says(spot: Classifier, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    state = answer_archive(spot, [str(archive)], out, lanes=2)
    wanted = [r.to_dict() for r in predict_files(spot, find_files([str(archive)]))]
    assert rows(out) == wanted
    assert (state.files, state.failed, state.rows) == (40, 4, 42)
    assert not unfinished_folder(out).exists()


def test_all_formats_hold_the_same_rows(spot: Classifier, archive: Path, tmp_path: Path) -> None:
    outs = {ending: tmp_path / f"out{ending}" for ending in ENDINGS}
    for out in outs.values():
        answer_archive(spot, [str(archive)], out, lanes=2, part_rows=7)
    for line, cells, row in zip(
        *(rows(outs[e]) for e in (".jsonl", ".csv", ".parquet")), strict=True
    ):
        assert line["path"] == cells["path"] == row["path"]
        if "error" in line:
            assert line["error"] == {"type": row["error_type"], "message": row["error"]}
            assert cells["error"] == row["error"]
            assert row["label"] is row["confidence"] is row["slice"] is None
        else:
            assert line["probabilities"] == {"a": row["p_a"], "b": row["p_b"]}
            assert float(str(cells["confidence"])) == line["confidence"] == row["confidence"]
            for name in ("slice", "label", "prediction_set", "assessable", "reason", "model"):
                assert line[name] == row[name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_killed_twice_it_ends_as_unbroken(
    ending: str, spot: Classifier, archive: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / f"out{ending}", tmp_path / f"whole{ending}"
    bundle = str(spot.place.folder)
    for reached in (13, 31):  # of 40; in the middle of a part
        command = [sys.executable, "-c", CHILD, bundle, str(archive), str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) >= reached:
                    child.kill()
                    break
        assert not out.exists()
        assert len(list(unfinished_folder(out).glob("part-*"))) >= reached // 6
    told: list[State] = []
    answer_archive(spot, [str(archive)], out, lanes=2, watch=told.append)
    assert told[0].files > 25  # it did not begin anew
    answer_archive(spot, [str(archive)], whole, lanes=1)
    assert rows(out) == rows(whole)


def test_another_model_does_not_go_on(
    spot: Classifier, spot_bundle: Callable[..., Path], archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    stop_after(spot, archive, out, 8)
    other = load(spot_bundle((0.5, -1.0)), threads=1)
    with pytest.raises(OutputError, match=r"was begun with card .*remove .*unfinished"):
        answer_archive(other, [str(archive)], out, lanes=1)
    with pytest.raises(OutputError, match="was begun with paths"):
        answer_archive(spot, [str(archive), str(archive)], out, lanes=1)
    assert answer_archive(spot, [str(archive)], out, lanes=1).rows == 42


@pytest.mark.parametrize("change", [{"root": 99}, {"path": 5}, {"rows": "x"}, {"parts": 7}, {}])
def test_what_says_how_far_it_came_is_not_taken_at_its_word(
    change: dict[str, object], spot: Classifier, archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    stop_after(spot, archive, out, 8)
    folder = tmp_path / ".out.csv.unfinished"
    if not change:
        (folder / "job.json").unlink()
    else:
        state = json.loads((folder / "state.json").read_text())
        (folder / "state.json").write_text(json.dumps(state | change))
    with pytest.raises(OutputError, match=r"state\.json is damaged; remove .*unfinished"):
        answer_archive(spot, [str(archive)], out, lanes=1)


def test_a_cut_part_of_parquet_is_named(spot: Classifier, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    stop_after(spot, archive, out, 8)
    (part,) = (tmp_path / ".out.parquet.unfinished").glob("part-*0")
    part.write_bytes(part.read_bytes()[:300])
    with pytest.raises(OutputError, match="is damaged; remove the folder to begin anew"):
        answer_archive(spot, [str(archive)], out, lanes=1)


def stop_after(classifier: Classifier, archive: Path, out: Path, files: int) -> None:
    """Begin, and be stopped as by Ctrl+C."""

    def stop(state: State) -> None:
        if state.files == files:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_archive(classifier, [str(archive)], out, lanes=2, watch=stop)


def test_what_is_stopped_loses_nothing(spot: Classifier, archive: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "out.csv", list[State]()
    stop_after(spot, archive, out, 17)
    answer_archive(spot, [str(archive)], out, lanes=2, watch=told.append)
    assert told[0].files == 18
    assert len(rows(out)) == 42


def test_a_table_that_is_there_stays(spot: Classifier, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        answer_archive(spot, [str(archive)], out, lanes=1)
    assert out.read_text() == "mine"
    assert not unfinished_folder(out).exists()
    with pytest.raises(OutputError, match=r"cannot write below .*out\.csv: it is no folder"):
        answer_archive(spot, [str(archive)], tmp_path / "b.csv", lanes=1, explain=out / "maps")
    assert not unfinished_folder(tmp_path / "b.csv").exists()
    with pytest.raises(OutputError, match=r"end its name in \.csv"):
        answer_archive(spot, [str(archive)], tmp_path / "out.txt", lanes=1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_tables_among_the_files_are_passed_over(
    ending: str, spot: Classifier, tmp_path: Path
) -> None:
    Image.fromarray(draw_phantom("glioma", 1).pixels).save(tmp_path / "a.png")
    first = tmp_path / f"first{ending}"
    answer_archive(spot, [str(tmp_path)], first, lanes=1)
    passed: list[str] = []
    state = answer_archive(spot, [str(tmp_path)], tmp_path / "second.jsonl", lanes=1, passed=passed)
    assert state.rows == 1
    assert str(first) in passed


def test_what_is_given_is_done_once_each(spot: Classifier, archive: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    given = [str(archive / "00.tif"), str(empty), str(archive / "b"), str(tmp_path / "missing")]
    wanted = [(r.path) for r in predict_files(spot, find_files(given))]
    for stopped in range(1, 5):
        out = tmp_path / f"out{stopped}.jsonl"

        def stop(state: State, at: int = stopped) -> None:
            if state.files == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            answer_archive(spot, given, out, lanes=1, watch=stop)
        answer_archive(spot, given, out, lanes=1)
        assert [row["path"] for row in rows(out)] == wanted


def test_volumes_and_series_have_the_rows_of_predict(spot: Classifier, tmp_path: Path) -> None:
    root = tmp_path / "scans"
    root.mkdir()
    heads = [draw_phantom("glioma", i).pixels for i in range(3)]
    Image.fromarray(heads[0]).save(root / "a.png")
    write_series(root / "series", np.stack(heads).astype(np.int16))
    Image.fromarray(heads[1]).save(root / "series" / "z.png")
    data = np.stack(heads, axis=-1).astype(np.int16)
    for path in (root / "v.nii.gz", root / "series" / "zz.nii.gz"):
        nibabel.Nifti1Image(data, np.diag([1.0, 1, 4, 1])).to_filename(path)
    files = find_files([str(root)])
    wanted = [r.to_dict() for r in predict_scans(spot, find_units(list(files)))]
    outs = {ending: tmp_path / f"out{ending}" for ending in ENDINGS}
    for out in outs.values():
        state = answer_archive(spot, [str(root)], out, lanes=2)
        assert (state.files, state.failed, state.rows) == (7, 0, 14)
    assert [x for x in rows(outs[".jsonl"]) if "volume" in x] == [
        x for x in wanted if "volume" in x
    ]
    assert sorted(map(str, rows(outs[".jsonl"]))) == sorted(map(str, wanted))
    for line, cells, row in zip(
        *(rows(outs[e]) for e in (".jsonl", ".csv", ".parquet")), strict=True
    ):
        assert line["path"] == cells["path"] == row["path"]
        told = line.get("volume")
        if isinstance(told, dict):
            assert json.loads(str(row["volume"])) == told
            assert cells["slice"] == ""
            assert row["slice"] is None
            assert cells["label"] == row["label"] == told["label"]
        else:
            assert row["volume"] is None


def test_maps_lie_beside_at_places_that_paths_decide(
    spot: Classifier, archive: Path, tmp_path: Path
) -> None:
    out, maps = tmp_path / "out.csv", tmp_path / "maps"

    def stop(state: State) -> None:
        if state.files == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_archive(spot, [str(archive)], out, lanes=2, explain=maps, watch=stop)
    with pytest.raises(OutputError, match="was begun with maps"):
        answer_archive(spot, [str(archive)], out, lanes=1)
    answer_archive(spot, [str(archive)], out, lanes=2, explain=maps)
    good = [row for row in rows(out) if not row["error"]]
    assert len({path.parent for path in maps.rglob("manifest.json")}) == len(good) == 38
    record = json.loads((maps / "b" / "01.tif-slice0-gradcam" / "manifest.json").read_text())
    assert record["path"] == str(archive / "b" / "01.tif")
    plain = tmp_path / "plain.csv"
    answer_archive(spot, [str(archive)], plain, lanes=1)
    assert rows(plain) == rows(out)


def test_names_that_cannot_be_kept_have_maps_of_their_own(spot: Classifier, tmp_path: Path) -> None:
    root, maps = tmp_path / "scans", tmp_path / "maps"
    root.mkdir()
    names = [b"\xe9.png", b"\xe8.png", b"a:b.png", b"a*b.png", b"x" * 150, b"x" * 151]
    for i, name in enumerate(names):
        picture = Image.fromarray(draw_phantom("glioma", i).pixels)
        picture.save(root / os.fsdecode(name), "PNG")
    answer_archive(spot, [str(root)], tmp_path / "out.csv", lanes=1, explain=maps)
    assert len(list(maps.glob("*/manifest.json"))) == len(names)


def test_archives_that_share_a_folder_for_maps_do_not_write_over_each_other(
    spot: Classifier, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    for i in range(2):
        root = tmp_path / f"hospital{i}"
        root.mkdir()
        Image.fromarray(draw_phantom("glioma", i).pixels).save(root / "1.png")
        for table in ("a.csv", "again.csv"):
            answer_archive(spot, [str(root)], tmp_path / f"{i}{table}", lanes=1, explain=maps)
    told = [json.loads(path.read_text())["path"] for path in maps.glob("*/manifest.json")]
    assert sorted(told) == [str(tmp_path / f"hospital{i}" / "1.png") for i in range(2)]
