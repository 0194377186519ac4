"""Fetch the public data set, in the version whose files are known.

The number of a version is a claim, the hashes of its files are a fact: what was
downloaded is compared with the published manifest, and the difference is part of
the result.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tumorlens.data.check import Comparison, Expected, check_folder
from tumorlens.errors import DataError, MissingExtraError, OutputError
from tumorlens.extras import installed
from tumorlens.files import new_folder
from tumorlens.progress import Progress, silent

__all__ = ["DATASET", "VERSION", "Download", "download"]

DATASET: Final = "masoudnickparvar/brain-tumor-mri-dataset"
"""The set on Kaggle."""

VERSION: Final = 1
"""The version whose 7,023 pictures the published manifest lists.

Version 2, of February 2026, holds 7,200 pictures.
"""

_PAGE: Final = f"https://www.kaggle.com/datasets/{DATASET}"
_ABOUT: Final = 160  # MB of the archive, to measure progress against
_MOST: Final = 4 * 2**30  # bytes on disk: an archive that unpacks to more is another thing
_GLANCE: Final = 0.5  # seconds between two looks at how far the client is


@dataclass(frozen=True, slots=True)
class Download:
    """What a download brought.

    Parameters
    ----------
    folder
        Where the files are.
    version
        Which version was asked for.
    fetched
        False when the files were there already.
    comparison
        The files against the manifest.
    """

    folder: Path
    version: int
    fetched: bool
    comparison: Comparison

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "dataset": DATASET,
            "version": self.version,
            "fetched": self.fetched,
            **self.comparison.to_dict(),
        }

    def to_text(self) -> str:
        """Say what came of it and what to do next."""
        came = f"downloaded version {self.version}" if self.fetched else "there already"
        return f"{came}\n{self.comparison.to_text()}\n{self._advice()}"

    def _advice(self) -> str:
        done = self.comparison
        if done.exact:
            return "These are the published files: the published labels and folds hold for them."
        if done.complete:
            return (
                "All published files are here: their labels and folds hold; leave the extra ones "
                "out of training and testing, some may be copies."
            )
        if not self.fetched:
            return (
                "Nothing was downloaded, since the folder is not empty: "
                "name another folder, or move this one away and download again."
            )
        other = f"--version {VERSION}" if self.version != VERSION else "--version N"
        return (
            f"Version {self.version} is not the published set: labels and folds hold only for the "
            f"files that match. Try {other}; {_PAGE}/versions lists the versions."
        )


def download(
    out: str | os.PathLike[str],
    *,
    version: int = VERSION,
    expected: list[Expected] | None = None,
    timeout: float = 60.0,
    progress: Progress = silent,
) -> Download:
    """Download the set with Kaggle's client and compare it with the manifest.

    Nothing is downloaded when the folder holds files already; these are compared. A
    download that broke off leaves its archive in a hidden folder beside `out`, and
    the next call goes on from there.

    Parameters
    ----------
    out
        The folder to make. It appears when everything is downloaded and unpacked.
    version
        Of the set on Kaggle, from 1.
    expected
        What to compare with; the published manifest if not given.
    timeout
        Seconds without a byte after which the server is given up.
    progress
        Told of the megabytes downloaded and the files checked.

    Returns
    -------
    Download
        Where the files are and how they compare. A version that does not match is
        no error.

    Raises
    ------
    DataError
        When the set cannot be downloaded: no connection, refused, broken off, damaged.
    OutputError
        When it cannot be written.
    MissingExtraError
        When kagglehub is not installed.
    ValueError
        When there can be no such version or time.
    """
    if version < 1:
        raise ValueError(f"`version` must be at least 1, got {version}")
    if not timeout > 0:
        raise ValueError(f"`timeout` must be more than 0 seconds, got {timeout}")
    target = Path(out)
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file; name a folder")
    fetched = not (target.is_dir() and any(target.iterdir()))
    if fetched:
        if not installed("kagglehub"):
            raise MissingExtraError("downloading from Kaggle", "data")
        _fetch(target, version, timeout, progress)
    return Download(target, version, fetched, check_folder(target, expected, progress=progress))


def _fetch(target: Path, version: int, timeout: float, progress: Progress) -> None:
    """Let the client fill a hidden neighbour, then move its files to where they belong."""
    place = target.resolve()
    work = place.with_name(f".{place.name[:40]}.kaggle-{version}")
    try:
        work.mkdir(parents=True, exist_ok=True)
        answer = _run_client(f"{DATASET}/versions/{version}", work, timeout, progress)
        unpacked = _unpacked(answer, version, work)
        with new_folder(place) as fresh:
            for item in list(unpacked.iterdir()):
                item.rename(fresh / item.name)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if not _arrived(work):  # part of an archive is worth keeping for the next try
            shutil.rmtree(work, ignore_errors=True)


def _run_client(handle: str, work: Path, timeout: float, progress: Progress) -> dict[str, Any]:
    """Run the client in its own process; return its answer."""
    answer, log = work / "answer.json", work / "client.log"
    answer.unlink(missing_ok=True)
    # -P: whatever lies in the current folder must not pose as a library.
    command = [sys.executable, "-P", "-m", "tumorlens.data.kaggle_client", handle, str(answer)]
    surroundings = {
        **os.environ,
        "KAGGLEHUB_CACHE": str(work / "cache"),
        # Inside notebooks of Kaggle and Colab the client would hand out shared folders.
        "DISABLE_KAGGLE_CACHE": "true",
        "DISABLE_COLAB_CACHE": "true",
    }
    with log.open("wb") as output:
        client = subprocess.Popen(  # noqa: S603  # the interpreter that runs this
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=surroundings
        )
        try:
            _watch(client, work, timeout, progress)
        finally:
            client.kill()
            client.wait()
    try:
        outcome = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        outcome = None
    if isinstance(outcome, dict):
        return outcome
    words = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(words) if line.strip()), "no message")
    return {"failure": "client", "status": client.returncode, "detail": last}


def _watch(client: subprocess.Popen[bytes], work: Path, timeout: float, progress: Progress) -> None:
    """Wait for the client as long as bytes arrive, and no more than fit the set."""
    before, since = -1, time.monotonic()
    while True:
        try:
            client.wait(_GLANCE)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        size, now = _size(work / "cache"), time.monotonic()
        if size > _MOST:
            shutil.rmtree(work / "cache", ignore_errors=True)
            raise DataError(
                f"what Kaggle sent for {DATASET} fills more than {_MOST / 2**30:.0f} GiB, "
                f"far more than this set; see {_PAGE}"
            )
        if size != before:
            before, since = size, now
        elif now - since > timeout:
            raise DataError(f"Kaggle sent nothing for {timeout:g} seconds; {_again(work)}")
        megabytes = _arrived(work) // 10**6
        if megabytes:
            progress("downloaded", megabytes, max(_ABOUT, megabytes + 1), "MB, about")


def _unpacked(answer: dict[str, Any], version: int, work: Path) -> Path:
    """Where the client put the files, or the sentence that says why it did not."""
    if "path" in answer:
        folder = Path(str(answer["path"]))
        if any(path.is_symlink() for path in folder.rglob("*")):
            shutil.rmtree(work / "cache", ignore_errors=True)
            raise DataError(f"the archive of {DATASET} holds links, not only files; see {_PAGE}")
        return folder
    kind, status, detail = (answer.get(key) for key in ("failure", "status", "detail"))
    if kind in {"damaged", "hostile", "disk", "client"}:  # the next try begins afresh
        shutil.rmtree(work / "cache", ignore_errors=True)
    if kind == "disk":
        raise OutputError(f"cannot unpack the download beside {work.parent}: {detail}")
    raise DataError(_sentence(str(kind), status, str(detail), version, work))


def _sentence(kind: str, status: object, detail: str, version: int, work: Path) -> str:
    if kind == "refused":
        return _refusal(status, version, detail)
    return {
        "offline": "the connection to Kaggle failed; check the network and the proxy, then "
        + _again(work),
        "slow": f"Kaggle did not answer in time; {_again(work)}",
        "broken": f"the download broke off; {_again(work)}",
        "damaged": "what Kaggle sent is damaged and was thrown away; run the same command again",
        "hostile": f"the archive of {DATASET} would write outside its folder and was thrown away; "
        f"see {_PAGE}",
    }.get(kind, f"Kaggle's client failed: {detail}; run the same command again, or fetch {_PAGE}")


def _refusal(status: object, version: int, detail: str) -> str:
    """Say what an HTTP status means here."""
    if status == 401:
        return (
            "Kaggle refused the credentials (401); the set is public, so remove or renew the "
            "token in ~/.kaggle or KAGGLE_API_TOKEN"
        )
    if status == 403:
        return (
            f"Kaggle refused access (403); sign in at {_PAGE}, accept what it asks, and make a "
            "token at https://www.kaggle.com/settings"
        )
    if status == 404:
        return f"Kaggle has no version {version} of {DATASET} (404); see {_PAGE}/versions"
    if status == 429:
        return "Kaggle asks to slow down (429); wait some minutes and run the same command again"
    words = detail.partition(" for url")[0]  # the address may carry a signature
    return f"Kaggle answered with an error ({status}): {words}; run the same command again later"


def _again(work: Path) -> str:
    """Say what to do after a transfer that stopped."""
    arrived = _arrived(work)
    kept = f", it goes on from {arrived / 10**6:.1f} MB" if arrived else ""
    return f"run the same command again{kept}"


def _arrived(work: Path) -> int:
    """Bytes of the archive that are here."""
    return sum(_bytes(path) for path in (work / "cache").rglob("*.archive"))


def _size(folder: Path) -> int:
    return sum(_bytes(path) for path in folder.rglob("*"))


def _bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # the client removed it meanwhile
        return 0
