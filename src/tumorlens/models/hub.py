"""Models on the Hugging Face Hub: ``hf://org/name@revision``.

huggingface_hub moves the bytes: its cache, its sign-in, its resuming, its offline
mode. What is fetched, and what is believed, is decided here: the card first, then
the files that the card names and no others, from one commit, none larger than it
may be, each compared with the card's SHA-256. Nothing that is fetched is run.
"""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tumorlens import __version__
from tumorlens.errors import ModelError, UnsafeModelError
from tumorlens.extras import require
from tumorlens.files import hash_file
from tumorlens.models.bundle import CARD_LIMIT, LARGEST_FILE, ONNX_NAME, Place, read_card
from tumorlens.models.card import CARD_NAME, Card
from tumorlens.progress import Progress, silent

__all__ = [
    "Cached",
    "cached_models",
    "check_repository",
    "fetch_bundle",
    "first_line",
    "hub_client",
    "require_hub",
]

_SCHEME = re.compile("hf:/{1,2}", re.IGNORECASE)  # pathlib makes one slash of two
_REVISION = re.compile(r"[\w][\w./-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ENDINGS: Final = (".onnx", ".safetensors", ".json", ".npz", ".csv", ".txt")
_MOST_FILES: Final = 16
_OF_THE_DISK: Final = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Cached:
    """A model that was fetched before.

    Parameters
    ----------
    reference
        What loads it, pinned: ``hf://org/name@commit``.
    names
        Branches and tags that pointed there when they were last looked at.
    card
        Its card.
    """

    reference: str
    names: tuple[str, ...]
    card: Card


def fetch_bundle(
    reference: str,
    *,
    offline: bool = False,
    endpoint: str | None = None,
    progress: Progress = silent,
) -> Place:
    """Fetch a bundle from the hub, or find it in huggingface_hub's cache.

    Parameters
    ----------
    reference
        ``hf://org/name@revision``. A revision that is a commit needs no network
        once it is cached; a branch or tag is looked up each time, and so is
        ``main``, which is meant when there is no revision.
    offline
        Use the cache alone, as ``HF_HUB_OFFLINE`` does.
    endpoint
        Address of the hub; huggingface_hub's own (``HF_ENDPOINT``) when ``None``.
    progress
        Told of megabytes fetched.

    Returns
    -------
    Place
        The folder in the cache, with the commit.

    Raises
    ------
    MissingExtraError
        When huggingface_hub is not installed.
    ModelError
        When there is no such bundle, it cannot be had, or a file differs from what
        the card says.
    UnsafeModelError
        When the card names files that no bundle has.
    """
    hub = require_hub(f"{reference}: a model on the hub")
    repo, revision = _parse(hub, reference)
    name = f"hf://{repo}@{revision}"
    api = hub_client(hub, endpoint)
    with _explained(hub, name):
        before = _last_commit(hub, repo, revision)
        commit = api.resolve_revision(repo, revision=revision, local_files_only=offline).resolved
        get = functools.partial(_get, api, repo, commit, offline=offline, progress=progress)
        folder = get(CARD_NAME, most=CARD_LIMIT).parent
        try:
            card = read_card(folder)
        except ModelError:
            if offline:
                raise
            # No hash tells a card that is damaged in the cache from one that was never good.
            get(CARD_NAME, most=CARD_LIMIT, again=True)
            card = read_card(folder)
        for file, row in _named_files(card, name).items():
            get(file, most=LARGEST_FILE, sha256=row.get("sha256"))
    return Place(folder, f"hf://{repo}@{commit}", tuple(_notes(repo, revision, before, commit)))


def cached_models() -> list[Cached]:
    """List the bundles in huggingface_hub's cache.

    Raises
    ------
    MissingExtraError
        When huggingface_hub is not installed.
    """
    hub = require_hub("listing models from the hub")
    try:
        repos = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).repos
    except hub.errors.CacheNotFound:
        return []
    found = []
    for repo in sorted(repos, key=lambda r: str(r.repo_id)):
        for revision in sorted(repo.revisions, key=lambda r: float(r.last_modified), reverse=True):
            if repo.repo_type != "model" or not _looks_whole(revision):
                continue
            try:
                card = read_card(Path(revision.snapshot_path))
            except ModelError:  # somebody else's model.json
                continue
            reference = f"hf://{repo.repo_id}@{revision.commit_hash}"
            found.append(Cached(reference, tuple(sorted(revision.refs)), card))
    return found


def require_hub(feature: str) -> Any:
    """Import huggingface_hub, or say which extra brings it."""
    hub = require("huggingface_hub", feature, "hub")
    for part in ("constants", "errors", "utils"):  # which it loads only when asked
        require(f"huggingface_hub.{part}", feature, "hub")
    return hub


def hub_client(hub: Any, endpoint: str | None) -> Any:
    """Make a client of the hub that says who asks."""
    return hub.HfApi(endpoint=endpoint, library_name="tumorlens", library_version=__version__)


def check_repository(hub: Any, name: str) -> str:
    """Check the name of a repository by the hub's own rule, before anything is asked.

    Parameters
    ----------
    hub
        What `require_hub` gave.
    name
        ``org/name``, or ``hf://org/name``.

    Returns
    -------
    str
        ``org/name``.

    Raises
    ------
    ModelError
        When no repository can have that name.
    """
    repo = _SCHEME.sub("", name, count=1)
    if repo.count("/") != 1:
        raise ModelError(f"{name!r} names no repository on the hub; write org/name")
    try:
        hub.utils.validate_repo_id(repo)
    except hub.errors.HFValidationError as error:
        raise ModelError(
            f"{name!r} names no repository on the hub: {first_line(error)} Write org/name"
        ) from error
    return repo


def _parse(hub: Any, reference: str) -> tuple[str, str]:
    repo, at, revision = _SCHEME.sub("", reference, count=1).partition("@")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise ModelError(
            f"{reference!r} names no model on the hub: {revision!r} is no branch, tag or commit; "
            "write hf://org/name@revision"
        )
    return check_repository(hub, repo), revision or "main"


def _last_commit(hub: Any, repo: str, revision: str) -> str | None:
    """Say which commit a branch or tag meant when it was last fetched."""
    path = hub.try_to_load_from_cache(repo, CARD_NAME, revision=revision)
    return Path(path).parent.name if isinstance(path, str) else None


def _named_files(card: Card, name: str) -> dict[str, dict[str, Any]]:
    """Give the files to fetch: those the card names, when all of them belong in a bundle."""
    strange = [file for file in card.files if not file.endswith(_ENDINGS)]
    if strange or len(card.files) > _MOST_FILES:
        raise UnsafeModelError(
            f"{name}: the card names files that belong in no bundle: "
            f"{', '.join(strange[:5]) or f'{len(card.files)} of them'}"
        )
    if ONNX_NAME not in card.files:
        raise ModelError(f"{name}: the card names no {ONNX_NAME}")
    return card.files


def _get(
    api: Any,
    repo: str,
    commit: str,
    file: str,
    *,
    most: int,
    offline: bool,
    progress: Progress,
    sha256: str | None = None,
    again: bool = False,
) -> Path:
    """Fetch one file of one commit, unless it is cached and whole."""
    asked = {"revision": commit, "local_files_only": offline}
    found = api.hf_hub_download(repo, file, dry_run=True, **asked)
    if (found.file_size or 0) > most:
        raise ModelError(f"hf://{repo}@{commit}: {file} is larger than {most // 2**20} MiB")
    path = Path(found.local_path)
    # The client calls a file cached that another commit has too, and is not here yet.
    here = found.is_cached and path.is_file()
    if here and not again:
        if sha256 in (None, hash_file(path)):
            return path
        if offline:
            raise ModelError(
                f"hf://{repo}@{commit}: {file} is damaged in the cache (not the SHA-256 its card "
                "says); load the model once while online, which fetches it again"
            )
    bar = functools.partial(_Bar, file, progress)
    path = Path(api.hf_hub_download(repo, file, tqdm_class=bar, force_download=here, **asked))
    if sha256 is not None:
        _compare(path, sha256, f"hf://{repo}@{commit}")
    return path


def _compare(path: Path, wanted: str, name: str) -> None:
    """Compare what came with the card; what is wrong is not kept."""
    if (found := hash_file(path)) != wanted:
        path.resolve().unlink()  # the blob; the name in the snapshot points to it
        path.unlink(missing_ok=True)
        raise ModelError(
            f"{name}: {path.name} is not the file its card describes (SHA-256 {found}, the card "
            f"says {wanted}) and was thrown away; try once more, then ask who published it"
        )


def _notes(repo: str, revision: str, before: str | None, commit: str) -> Iterator[str]:
    """Say what its user should know of a name that can move."""
    if _COMMIT.fullmatch(revision):
        return
    if before not in (None, commit):
        yield f"hf://{repo}@{revision} has moved since it was last fetched, from {before}"
    yield f"hf://{repo}@{revision} is {commit}; hf://{repo}@{commit} stays the same for ever"


def _looks_whole(revision: Any) -> bool:
    return {CARD_NAME, ONNX_NAME} <= {file.file_name for file in revision.files}


class _Bar:
    """What huggingface_hub takes for a tqdm bar: hands on how far a download is."""

    def __init__(
        self, file: str, progress: Progress, *, total: int | None = None, initial: int = 0, **_: Any
    ) -> None:
        self._stage, self._progress = f"fetching {file} (MB)", progress
        self._total = total or 0
        self._done = initial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, size: float | None = 1) -> None:
        """Count bytes."""
        self._done += int(size or 0)
        done, total = (-(-x // 10**6) for x in (self._done, max(self._total, self._done)))
        self._progress(self._stage, done, total)


@contextmanager
def _explained(hub: Any, name: str) -> Iterator[None]:
    """Turn huggingface_hub's errors into one sentence each."""
    errors = hub.errors
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{name}: its owner wants its terms accepted first; do so on its page while signed "
            "in, then sign in here with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{name}: there is no such repository, or it is private: the hub does not tell the "
            "two apart (401). Check the name; for a private one sign in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{name}: the repository has no such branch, tag or commit") from error
    except (errors.LocalEntryNotFoundError, errors.RevisionResolutionError) as error:
        if isinstance(error.__cause__, errors.HfHubHTTPError):
            raise _failed(name, error.__cause__) from error
        raise ModelError(
            f"{name} is not in the cache and the hub cannot be reached; fetch it once while "
            "online, without --offline and HF_HUB_OFFLINE"
        ) from error
    except errors.EntryNotFoundError as error:
        raise ModelError(
            f"{name} is no tumorlens bundle: a file is missing there ({first_line(error)})"
        ) from error
    except (errors.HTTPError, OSError) as error:
        raise _failed(name, error) from error


def _failed(name: str, error: BaseException) -> ModelError:
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return ModelError(
            f"{name} cannot be kept: {first_line(error)}; make room for the cache of "
            "huggingface_hub, or name another folder for it with HF_HUB_CACHE"
        )
    return ModelError(f"{name} cannot be fetched: {first_line(error)}; try again later")


def first_line(error: BaseException) -> str:
    """Shorten messages of several paragraphs."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
