"""Whether a bundle is what its card says, and still answers as it did when it was exported."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.errors import ModelError
from tumorlens.models.bundle import LARGEST_FILE, Place, open_network, read_card, read_novelty
from tumorlens.models.card import CARD_NAME, Card
from tumorlens.models.probes import DRAWING, compare_head, compare_probes
from tumorlens.models.session import Session
from tumorlens.models.store import find_bundle
from tumorlens.progress import Progress, silent
from tumorlens.untrusted import printable

__all__ = ["Check", "Verification", "verify_bundle"]

_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name
        What: ``"card"``, ``"network"``, ``"novelty"``, ``"probes"`` or the name of a file.
    passed
        Whether it is as it should be; ``None`` when that cannot be known.
    note
        What was found.
    """

    name: str
    passed: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of looking at a bundle.

    Parameters
    ----------
    folder
        The bundle.
    model
        Name and version of the model.
    checks
        Everything that was looked at.
    """

    folder: Path
    model: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found wrong."""
        return all(check.passed is not False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "bundle": str(self.folder),
            "model": self.model,
            "passed": self.passed,
            "checks": [
                {"name": check.name, "passed": check.passed, "note": check.note}
                for check in self.checks
            ],
        }

    def to_text(self) -> str:
        """Say what was found, one line a check."""
        words = {True: "ok", False: "WRONG", None: "not known"}
        lines = (f"{words[c.passed]:<11}{c.name}: {c.note}" for c in self.checks)
        return "\n".join(map(printable, lines))


def verify_bundle(
    name: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    endpoint: str | None = None,
    progress: Progress = silent,
) -> Verification:
    """Check a bundle: its card, the hash of each file, its network, and its answers.

    Parameters
    ----------
    name, offline, endpoint, progress
        As `tumorlens.load` takes them.

    Returns
    -------
    Verification
        What was found; what is wrong with the files is no error here.

    Raises
    ------
    ModelError
        When there is no bundle, or its card cannot be read.
    """
    place = find_bundle(name, offline=offline, endpoint=endpoint, progress=progress)
    folder = place.folder
    card = read_card(folder)
    checks = [Check("card", passed=True, note=f"{card.id}, {card.network}, {card.precision}")]
    checks += [_check_file(folder / file, row) for file, row in card.files.items()]
    extra = sorted(p.name for p in folder.iterdir() if p.name not in {CARD_NAME, *card.files})
    if extra:
        note = f"{', '.join(extra)}: not named by the card, and never read"
        checks.append(Check("other files", passed=None, note=note))
    return Verification(folder, card.id, (*checks, *_check_answers(place, card)))


def _check_file(path: Path, row: dict[str, Any]) -> Check:
    digest, size = hashlib.sha256(), 0
    if not path.is_file():
        return Check(path.name, passed=False, note="missing, or no regular file")
    try:
        if path.stat().st_size > LARGEST_FILE:  # to hash terabytes of nothing takes hours
            most = f"{LARGEST_FILE // 2**20} MiB"
            return Check(path.name, passed=False, note=f"larger than {most}, and not read")
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        return Check(path.name, passed=False, note=f"cannot be read: {error.strerror}")
    if digest.hexdigest() != row.get("sha256") or size != row.get("bytes", size):
        return Check(
            path.name,
            passed=False,
            note=f"SHA-256 {digest.hexdigest()} and {size} bytes, the card says "
            f"{row.get('sha256')} and {row.get('bytes')}",
        )
    return Check(path.name, passed=True, note=f"SHA-256 {digest.hexdigest()}")


def _check_novelty(folder: Path, card: Card, session: Session) -> list[Check]:
    """See that the novelty score can be read and fits the network, where there is one."""
    blank = np.zeros((1, card.input.size, card.input.size), dtype=np.float32)
    try:
        if (novelty := read_novelty(folder, card)) is None:
            return []
        novelty.score(session.logits_features_and_vectors(blank)[2])
    except ModelError as error:
        return [Check("novelty", passed=False, note=str(error))]
    note = f"{len(novelty.axes)} axes of {novelty.mean.size} features, which the network has"
    return [Check("novelty", passed=True, note=note)]


def _check_answers(place: Place, card: Card) -> list[Check]:
    """Look at the network beside the card that was read: both may change meanwhile."""
    try:
        session = Session(open_network(place, card))
        own = compare_head(session, session.head())
    except ModelError as error:
        return [Check("network", passed=False, note=str(error))]
    if not own.passed:
        note = (
            f"the head that explains it is another's: its logits differ by up to {own.change:.2g}"
        )
        return [Check("network", passed=False, note=note)]
    done = [Check("network", passed=True, note="a plain network that fits its card, with its head")]
    done += _check_novelty(place.folder, card, session)
    if card.probes is None or card.probes.drawing != DRAWING:
        note = "the card has none that this version can draw; export the model again to add them"
        return [*done, Check("probes", passed=None, note=note)]
    try:
        found = compare_probes(session, card.probes)
    except ModelError as error:
        return [*done, Check("probes", passed=False, note=str(error))]
    note = f"logits differ by up to {found.change:.2g}, {found.allowed:.2g} is allowed"
    return [*done, Check("probes", passed=found.passed, note=note)]
