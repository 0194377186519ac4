"""Publishing a bundle on the Hugging Face Hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tumorlens.errors import ModelError
from tumorlens.models.bundle import read_card
from tumorlens.models.card import CARD_NAME
from tumorlens.models.hub import check_repository, first_line, hub_client, require_hub
from tumorlens.publish.hub_card import hub_card
from tumorlens.publish.verify import verify_bundle

__all__ = ["Parcel", "pack", "push"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What would be published.

    Parameters
    ----------
    repo
        Where: ``org/name``.
    model
        Name and version of the model.
    files
        The files of the bundle that go there, under their names.
    readme
        The page that is made for them.
    """

    repo: str
    model: str
    files: dict[str, Path]
    readme: str

    def to_text(self) -> str:
        """Show everything that would be written."""
        lines = [f"to hf://{self.repo}:"]
        lines += [f"{path.stat().st_size:>12,}  {name}" for name, path in self.files.items()]
        lines += [f"{len(self.readme.encode()):>12,}  README.md", "", self.readme]
        return "\n".join(lines)


def pack(bundle: str | os.PathLike[str], repo: str) -> Parcel:
    """Gather what publishing a bundle would write, and check it first.

    Parameters
    ----------
    bundle
        The name of a model that ships, or the path of a bundle.
    repo
        Where it shall go: ``org/name``, or ``hf://org/name``.

    Raises
    ------
    ModelError
        When the bundle is not as its card says, or `repo` is no name.
    MissingExtraError
        When huggingface_hub is not installed.
    """
    repo = check_repository(require_hub("publishing a model"), repo)
    checked = verify_bundle(bundle)
    if not checked.passed:
        wrong = next(check for check in checked.checks if check.passed is False)
        raise ModelError(f"{checked.folder} is not published: {wrong.name}: {wrong.note}")
    card = read_card(checked.folder)
    names = (CARD_NAME, *card.files)
    files = {name: checked.folder / name for name in names}
    return Parcel(repo, card.id, files, hub_card(card, repo))


def push(parcel: Parcel, *, private: bool = False, endpoint: str | None = None) -> str:
    """Write a parcel to the hub in one commit, making the repository when there is none.

    Parameters
    ----------
    parcel
        What `pack` gathered.
    private
        Whether the repository must be private.
    endpoint
        Address of the hub; huggingface_hub's own when ``None``.

    Returns
    -------
    str
        What loads it: ``hf://org/name@commit``.

    Raises
    ------
    ModelError
        When the hub refuses, cannot be reached, or has the repository in public where
        a private one is wanted.
    """
    hub = require_hub("publishing a model")
    api = hub_client(hub, endpoint)
    try:
        api.create_repo(parcel.repo, private=private, exist_ok=True)
        # A repository that was there keeps its visibility, whatever was asked for.
        if private and not api.model_info(parcel.repo).private:
            raise ModelError(
                f"hf://{parcel.repo} is there and public; make it private in its settings, or "
                "leave out --private. Nothing was written"
            )
        readme = hub.CommitOperationAdd("README.md", parcel.readme.encode())
        adds = [hub.CommitOperationAdd(name, str(path)) for name, path in parcel.files.items()]
        done = api.create_commit(
            parcel.repo, [*adds, readme], commit_message=f"Publish {parcel.model}"
        )
    except (hub.errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        # ValueError: a page that the hub refuses; RuntimeError: a file that breaks off.
        raise ModelError(
            f"hf://{parcel.repo} cannot be written: {first_line(error)}; sign in with "
            "`hf auth login` and a token that may write there"
        ) from error
    return f"hf://{parcel.repo}@{done.oid}"
