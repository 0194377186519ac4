"""Files are found below folders; files and folders appear whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tumorlens.errors import OutputError
from tumorlens.files import (
    check_new_file,
    check_new_folder,
    find_files,
    free_folder,
    new_file,
    new_folder,
    replaced_folder,
    write_whole,
)


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file.txt"
    write_whole(target, "grüße")
    assert target.read_bytes() == "grüße".encode()
    write_whole(str(target), b"\0\1")
    assert target.read_bytes() == b"\0\1"
    assert list(target.parent.iterdir()) == [target]


def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    write_whole(tmp_path / "file", "x")
    with new_folder(tmp_path / "folder") as work:
        (work / "inner").write_text("x")
    assert mode(tmp_path / "file") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask
    assert mode(tmp_path / "folder" / "inner") == 0o666 & ~umask


@pytest.mark.parametrize("blow", [KeyboardInterrupt, OSError("disk full"), MemoryError])
def test_a_file_that_was_cut_short_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blow: BaseException | type[BaseException]
) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    whole = Path.write_bytes

    def cut_short(path: Path, data: bytes) -> int:
        whole(path, data[: len(data) // 2])
        raise blow

    monkeypatch.setattr(Path, "write_bytes", cut_short)
    with pytest.raises((OutputError, KeyboardInterrupt, MemoryError)) as caught:
        write_whole(target, "brand new")
    assert isinstance(caught.value, OutputError) == isinstance(blow, OSError)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken" / "inner").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot write .*taken"):
        write_whole(tmp_path / "taken", "x")
    (tmp_path / "plain").write_text("x")
    with pytest.raises(OutputError, match=r"cannot write .*plain"):
        write_whole(tmp_path / "plain" / "below", "x")
    assert {p.name for p in tmp_path.iterdir()} == {"taken", "plain"}


def test_a_folder_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "out"
    with new_folder(target) as work:
        (work / "a").write_text("1")
        assert not target.exists()
    assert [p.name for p in target.iterdir()] == ["a"]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("blow", [ValueError("mine"), KeyboardInterrupt()])
def test_a_folder_whose_making_failed_leaves_nothing(tmp_path: Path, blow: BaseException) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "out") as work:
            (work / "below").mkdir()
            (work / "below" / "half").write_text("x")
            raise blow

    with pytest.raises(type(blow)) as caught:
        fill()
    assert caught.value is blow
    assert list(tmp_path.iterdir()) == []


def test_a_disk_error_while_filling_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*out"), new_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_there_a_full_one_may_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as work:
        (work / "a").write_text("1")
    assert (tmp_path / "empty" / "a").read_text() == "1"

    with pytest.raises(OutputError, match="not empty"), new_folder(tmp_path / "empty"):
        pytest.fail("the block must not run")
    assert (tmp_path / "empty" / "a").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match=r"cannot write .*file"), new_folder(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", [".", "", "a\0b", "a\ud800"])
def test_a_place_without_a_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="name"), new_folder(name):
        pass
    with pytest.raises(OutputError, match="name"):
        write_whole(name, "x")


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    write_whole(tmp_path / ("f" * 255), "x")
    with new_folder(tmp_path / ("d" * 255)) as work:
        (work / "a").write_text("1")
    assert {len(p.name) for p in tmp_path.iterdir()} == {255}
    with pytest.raises(OutputError, match="too long"):
        write_whole(tmp_path / ("f" * 256), "x")


def test_a_folder_that_will_be_refused_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="it is a file"), new_folder(tmp_path / "file"):
        pytest.fail("the block must not run")
    assert (tmp_path / "file").read_text() == "precious"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="no plain file"), new_file(tmp_path / "taken"):
        pytest.fail("the block must not run")
    assert {p.name for p in tmp_path.iterdir()} == {"file", "taken"}


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no such device")
def test_a_device_is_not_replaced_by_a_file() -> None:
    with pytest.raises(OutputError, match="no plain file"):
        write_whole("/dev/null", "x")


def test_what_will_be_refused_can_be_asked_about_first(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("1")
    (tmp_path / "file").write_text("1")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file", "file/below", "file/below/deep"):
        with pytest.raises(OutputError, match=name.split("/")[0]):
            check_new_folder(tmp_path / name)
    for name in ("full", "file/below", "file/below/deep"):
        with pytest.raises(OutputError, match=name.split("/")[0]):
            check_new_file(tmp_path / name)
    for name in ("new", "deep/new", "empty"):
        check_new_folder(tmp_path / name)
    for name in ("new", "deep/new", "file", "full/x"):
        check_new_file(tmp_path / name)
    assert {p.name for p in tmp_path.iterdir()} == {"full", "file", "empty"}


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for content in ("first", "second"):
        with replaced_folder(target) as work:
            work.mkdir()
            (work / content).write_text("x")
        assert [p.name for p in target.iterdir()] == [content]

    def fail() -> None:
        with replaced_folder(target) as work:
            work.mkdir()
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert [p.name for p in target.iterdir()] == ["second"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_link_to_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with new_folder(tmp_path / "link") as work:
        (work / "a").write_text("1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "1"


def test_a_volume_is_filled_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    number = volume.stat().st_ino
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == volume)
    with new_folder(volume) as work:
        (work / "below").mkdir()
        (work / "below" / "a").write_text("1")
        assert [p.name for p in tmp_path.iterdir()] == ["volume"]
    assert volume.stat().st_ino == number
    assert [str(p.relative_to(volume)) for p in sorted(volume.rglob("*"))] == [
        "below",
        os.path.join("below", "a"),  # noqa: PTH118
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")
def test_of_two_who_make_a_folder_the_second_is_refused_first(tmp_path: Path) -> None:
    code = """
import sys
from tumorlens.files import (
    check_new_file,
    check_new_folder,
    find_files,
    free_folder,
    new_file,
    new_folder,
    replaced_folder,
    write_whole,
)
with new_folder(sys.argv[1]) as work:
    (work / "a").write_text("first")
    print("working", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == b"working\n"
        with pytest.raises(OutputError, match="another process"), new_folder(tmp_path / "out"):
            pytest.fail("the block must not run")
        first.stdin.close()
    assert first.returncode == 0
    assert (tmp_path / "out" / "a").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")
def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as work:
        name = work.name
    (tmp_path / "out").rmdir()
    (tmp_path / name).mkdir()  # as after a kill
    with new_folder(tmp_path / "out") as work:
        (work / "a").write_text("1")
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_work_is_kept_when_its_place_is_taken_meanwhile(tmp_path: Path) -> None:
    def meet() -> None:
        with new_folder(tmp_path / "out") as work:
            (work / "a").write_text("mine")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "b").write_text("theirs")

    with pytest.raises(OutputError, match=r"kept in .*out-2"):
        meet()
    assert (tmp_path / "out" / "b").read_text() == "theirs"
    assert (tmp_path / "out-2" / "a").read_text() == "mine"
    assert {p.name for p in tmp_path.iterdir()} == {"out", "out-2"}


def test_a_free_folder_is_free(tmp_path: Path) -> None:
    with (
        free_folder(tmp_path / "deep", "a") as first,
        free_folder(tmp_path / "deep", "a") as second,
    ):
        assert (first.name, second.name) == ("a", "a-2")
    (tmp_path / "deep" / "a-3").write_text("a file counts too")
    with free_folder(tmp_path / "deep", "a") as fourth:
        assert fourth.name == "a-4"
    with pytest.raises(ValueError, match="mine"), free_folder(tmp_path / "deep", "b"):
        raise ValueError("mine")
    assert not (tmp_path / "deep" / "b").exists()
    with pytest.raises(OutputError, match="cannot write"), free_folder(tmp_path / "deep/a-3", "x"):
        pytest.fail("the block must not run")


def test_a_free_folder_is_nobody_elses(tmp_path: Path) -> None:
    def make(_: int) -> str:
        with free_folder(tmp_path, "a") as folder, new_folder(folder) as work:
            (work / "x").write_text("1")
        return folder.name

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(40)))
    assert len(set(made)) == 40
    assert {p.name for p in tmp_path.iterdir()} == set(made)


def test_names_that_are_no_text_are_written_as_they_are(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xe9b\xe9.jpg")
    write_whole(tmp_path / "list", f"{name}\n")
    assert os.fsencode((tmp_path / "list").read_text("utf-8", "surrogateescape")) == (
        b"b\xe9b\xe9.jpg\n"
    )


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_folders_are_walked_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "b/2", "b/1", "b/sub/0", "a.png", "c/x", ".hidden", ".dir/y", "b/.z")
    found = [str(Path(p).relative_to(tmp_path)) for p in find_files([str(tmp_path)])]
    assert found == ["a.png", "b/1", "b/2", "b/sub/0", "c/x"]


def test_what_is_given_is_named_as_given_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "d/one", "file", ".hidden")
    monkeypatch.chdir(tmp_path)
    given = ["missing", "./file", "d", ".hidden", "file", "x" * 300, "", "nul\0byte"]
    wanted = ["missing", "./file", os.path.join("d", "one"), *given[3:]]  # noqa: PTH118
    assert list(find_files(given)) == wanted


def test_what_the_package_wrote_is_passed_over(tmp_path: Path) -> None:
    run = {"backend": "jax", "classes": [], "data_sha256": "", "selection": {}, "leaky": True}
    page = "<!doctype html>" + "x" * 1000 + "<p>Made by <code>tumorlens data plot</code>."
    ours = {
        "run/run.json": json.dumps(run),
        "page/index.html": page,
        "manifest.csv": "path,sha256,pixel_sha256,label,",
        "answers.CSV": "path,slice,label,confidence,p_glioma",
    }
    theirs = {
        "b/run.json": json.dumps({"run": 1}),
        "b/manifest.json": "[" * 100_000,
        "c/index.html": "<!DOCTYPE html><meta charset='utf-8'>",
        "c/manifest.csv": "path,label",
        "d/metrics.json": "\xff",
    }
    touch(tmp_path, *ours, *theirs, "run/checkpoints/deep/a.png", "page/a.png", "scan.png")
    for name, text in (ours | theirs).items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    passed: list[str] = []
    found = {str(Path(p).relative_to(tmp_path)) for p in find_files([str(tmp_path)], passed)}
    assert found == {*theirs, "scan.png"}
    named = {str(Path(p).relative_to(tmp_path)) for p in passed}
    assert named == {"run", "page", "manifest.csv", "answers.CSV"}
    given = str(tmp_path / "page" / "a.png")
    assert list(find_files([given])) == [given]  # whoever names a file means it


def test_links_to_folders_are_named_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "a/one")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    (tmp_path / "a" / "dangling").symlink_to(tmp_path / "nowhere")
    found = [Path(p).name for p in find_files([str(tmp_path)])]
    assert sorted(found) == ["dangling", "one", "round"]
