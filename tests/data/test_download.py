"""Downloads with Kaggle's real client, from a server of our own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_server import Kaggle, files_of, manifest_of, serve, tarred, zipped
from tumorlens.data.check import Expected, read_expected
from tumorlens.data.download import DATASET, VERSION, download
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError, MissingExtraError, OutputError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The data set that the server holds."""
    folder = tmp_path_factory.mktemp("origin")
    return files_of(write_phantoms(folder, training=3, testing=1, size=64))


@pytest.fixture
def expected(files: dict[str, bytes], tmp_path: Path) -> list[Expected]:
    return read_expected(manifest_of(files, tmp_path / "manifest.csv"))


@pytest.fixture
def kaggle(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kaggle]:
    with serve() as server:
        server.archives[VERSION] = zipped(files)
        server.use(monkeypatch, tmp_path)
        yield server


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results" / "set"


def leftovers(out: Path) -> list[str]:
    """What lies beside the folder."""
    return [path.name for path in out.parent.glob("*") if path != out]


def test_the_first_download_is_the_set_byte_for_byte(
    kaggle: Kaggle, files: dict[str, bytes], expected: list[Expected], out: Path
) -> None:
    result = download(out, expected=expected)
    assert files_of(out) == files
    assert result.fetched
    assert result.comparison.exact
    assert leftovers(out) == []
    owner, name = DATASET.split("/")
    asked = kaggle.requests[0]
    assert (asked["ownerSlug"], asked["datasetSlug"]) == (owner, name)
    assert asked["datasetVersionNumber"] == VERSION
    assert "These are the published files" in result.to_text()


def test_what_is_there_already_is_checked_and_not_fetched(
    kaggle: Kaggle, expected: list[Expected], out: Path
) -> None:
    download(out, expected=expected)
    (out / "Testing" / "glioma" / "glioma_0000.png").unlink()
    again = download(out, expected=expected)
    assert len(kaggle.requests) == 1
    assert not again.fetched
    assert len(again.comparison.missing) == 1
    assert "name another folder" in again.to_text()


def test_another_version_lands_and_is_told_apart(
    kaggle: Kaggle, files: dict[str, bytes], expected: list[Expected], out: Path
) -> None:
    """As Kaggle's page went on: some pictures gone, some new, one changed."""
    other = dict(files)
    other.pop("Testing/notumor/notumor_0000.png")
    other["Training/glioma/glioma_0000.png"] += b"\0"
    other["Training/glioma/aug_1.png"] = b"an augmented copy"
    kaggle.archives[2] = zipped(other)
    result = download(out, version=2, expected=expected)
    assert kaggle.requests[0]["datasetVersionNumber"] == 2
    assert files_of(out) == other
    assert result.comparison.matching == len(files) - 2
    assert [item.path for item in result.comparison.extra] == [
        "Training/glioma/aug_1.png",
        "Training/glioma/glioma_0000.png",
    ]
    assert sorted(item.label for item in result.comparison.missing) == ["glioma", "notumor"]
    assert f"Try --version {VERSION}" in result.to_text()


def test_extra_files_do_no_harm(
    kaggle: Kaggle, files: dict[str, bytes], expected: list[Expected], out: Path
) -> None:
    kaggle.archives[VERSION] = zipped({**files, "readme.txt": b"hello"})
    result = download(out, expected=expected)
    assert result.comparison.complete
    assert not result.comparison.exact
    assert "leave the extra ones out" in result.to_text()


def test_a_broken_transfer_leaves_nothing_half_and_goes_on_where_it_stopped(
    kaggle: Kaggle, files: dict[str, bytes], expected: list[Expected], out: Path
) -> None:
    files = {**files, "ballast": random.Random(1).randbytes(5 * 2**20)}
    kaggle.archives[VERSION] = zipped(files)
    for megabytes in (2, 4):  # the client drops the last part of a MiB
        kaggle.break_after = 2 * 2**20 + 20_000
        with pytest.raises(DataError, match=rf"broke off; .*goes on from {megabytes}\.[12] MB"):
            download(out, expected=expected)
        assert not out.exists()
    kaggle.break_after = None
    assert download(out, expected=expected).comparison.complete
    assert kaggle.ranges == [None, None, "bytes=2097152-", None, "bytes=4194304-"]
    assert files_of(out) == files
    assert leftovers(out) == []


def test_a_wrong_checksum_is_thrown_away(
    kaggle: Kaggle, expected: list[Expected], out: Path
) -> None:
    kaggle.wrong_checksum = True
    with pytest.raises(DataError, match="damaged and was thrown away"):
        download(out, expected=expected)
    assert leftovers(out) == []
    kaggle.wrong_checksum = False
    assert download(out, expected=expected).comparison.exact


@pytest.mark.parametrize("content", [b"no archive at all" * 100, b""])
def test_what_is_no_archive_is_thrown_away(
    kaggle: Kaggle, expected: list[Expected], out: Path, content: bytes
) -> None:
    kaggle.archives[VERSION] = content
    with pytest.raises(DataError, match="damaged and was thrown away"):
        download(out, expected=expected)
    assert not out.exists()
    assert leftovers(out) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refused the credentials"),
        (403, "refused access"),
        (404, f"no version {VERSION} of"),
        (429, "slow down"),
        (500, r"answered with an error \(500\)"),
    ],
)
def test_refusals_are_one_sentence(
    kaggle: Kaggle, expected: list[Expected], out: Path, status: int, words: str
) -> None:
    kaggle.status = status
    with pytest.raises(DataError, match=words) as caught:
        download(out, expected=expected)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    assert leftovers(out) == []


def test_a_version_that_is_not_there(kaggle: Kaggle, expected: list[Expected], out: Path) -> None:
    with pytest.raises(DataError, match=r"no version 99 of .*/versions"):
        download(out, version=99, expected=expected)
    assert len(kaggle.requests) == 1


def test_a_silent_server_is_given_up(kaggle: Kaggle, expected: list[Expected], out: Path) -> None:
    kaggle.hang = True
    began = time.monotonic()
    with pytest.raises(DataError, match="sent nothing for 3 seconds; run the same command again"):
        download(out, expected=expected, timeout=3)
    assert time.monotonic() - began < 30
    assert leftovers(out) == []


def test_a_transfer_that_stalls_goes_on_the_next_time(
    kaggle: Kaggle, files: dict[str, bytes], expected: list[Expected], out: Path
) -> None:
    kaggle.archives[VERSION] = zipped({**files, "ballast": random.Random(1).randbytes(3 * 2**20)})
    kaggle.break_after, kaggle.hang = 2 * 2**20, True
    with pytest.raises(DataError, match=r"nothing for 4 seconds; .* it goes on from 2\.1 MB"):
        download(out, expected=expected, timeout=4)
    assert not out.exists()
    kaggle.break_after, kaggle.hang = None, False
    assert download(out, expected=expected).comparison.complete
    assert "bytes=2097152-" in kaggle.ranges
    assert leftovers(out) == []


def test_without_a_connection(
    expected: list[Expected], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        Kaggle(port=closed.getsockname()[1]).use(monkeypatch, tmp_path)
        with pytest.raises(DataError, match="the connection to Kaggle failed; check the network"):
            download(out, expected=expected)
    assert not out.exists()


@pytest.mark.parametrize("kind", [zipped, tarred])
def test_a_hostile_archive_writes_nothing_outside(
    kaggle: Kaggle, expected: list[Expected], out: Path, tmp_path: Path, kind: object
) -> None:
    up = "/".join([".."] * 12)
    evil = {f"{up}{tmp_path}/evil.txt": b"1", "../../evil.txt": b"2", "fine.txt": b"3"}
    kaggle.archives[VERSION] = kind(evil)  # type: ignore[operator]
    if kind is tarred:
        with pytest.raises(DataError, match="outside its folder and was thrown away"):
            download(out, expected=expected)
        assert not out.exists()
    else:  # ZIPs are unpacked with the dots taken away
        assert download(out, expected=expected).comparison.matching == 0
    found = [path for path in tmp_path.rglob("evil.txt") if out not in path.parents]
    assert found == []
    assert leftovers(out) == []


def test_links_in_an_archive_are_refused(
    kaggle: Kaggle, expected: list[Expected], out: Path
) -> None:
    kaggle.archives[VERSION] = tarred({"a.png": b"1"}, {"b.png": "a.png"})
    with pytest.raises(DataError, match="holds links"):
        download(out, expected=expected)
    assert not out.exists()
    assert leftovers(out) == []


def test_nothing_around_us_changes(
    kaggle: Kaggle, expected: list[Expected], out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dict(os.environ)
    download(out, expected=expected)
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
    assert "kagglehub" not in sys.modules
    assert kaggle.requests


def test_a_library_that_lies_in_the_current_folder_is_not_run(
    kaggle: Kaggle,
    expected: list[Expected],
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("requests", "kagglehub", "kaggle", "tumorlens", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    assert download(out, expected=expected).comparison.exact
    assert kaggle.requests


def test_progress_tells_megabytes(kaggle: Kaggle, expected: list[Expected], out: Path) -> None:
    stages = []
    download(out, expected=expected, progress=lambda stage, *_: stages.append(stage))
    assert set(stages) <= {"downloaded", "checked"}
    assert stages.count("checked") == len(expected)
    assert kaggle.requests


def test_a_folder_that_cannot_be(kaggle: Kaggle, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        download(tmp_path / "file")
    with pytest.raises(OutputError, match="cannot write"):
        download(tmp_path / "file" / "below")
    assert kaggle.requests == []


def test_impossible_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`version` must be at least 1, got 0"):
        download(tmp_path / "x", version=0)
    with pytest.raises(ValueError, match="`timeout` must be more than 0"):
        download(tmp_path / "x", timeout=0)


def test_without_kagglehub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"tumorlens\[data\]"):
        download(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, tumorlens.data.download, tumorlens.data.check\n"
        "print({'kagglehub', 'requests', 'matplotlib', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
