"""The shortcut baseline sees what files give away, and nothing where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tumorlens.data.folder import CLASSES, Example
from tumorlens.data.shortcuts import FEATURES, measure_shortcuts
from tumorlens.data.survey import Look
from tumorlens.errors import DataError


def looks(count: int = 30, *, telling: bool) -> list[Look]:
    """Files whose width tells the class, or does not."""
    random = np.random.default_rng(0)
    made = []
    for i in range(4 * count):
        label = CLASSES[i % 4]
        width = 200 + 40 * (i % 4) if telling else int(random.integers(200, 360))
        made.append(
            Look(
                example=Example(Path(f"{i}.png"), label),
                sha256="0" * 64,
                pixel_sha256="0" * 64,
                width=width,
                height=256,
                mode="L",
                format="PNG",
                bytes=int(random.integers(9_000, 11_000)),
                mean=float(random.uniform(0.2, 0.3)),
                border=(0.0, 0.0, 0.0, 0.0),
                spread=0.2,
            )
        )
    return made


def alone(files: list[Look]) -> list[str]:
    return [look.example.path.name for look in files]


def test_a_telling_size_is_found() -> None:
    files = looks(telling=True)
    found = measure_shortcuts(files, alone(files), trees=20)
    assert found.classes > 0.95
    assert found.tumour is not None
    assert found.tumour > 0.95
    assert found.majority == 0.25
    assert max(found.importance, key=lambda name: found.importance[name]) == "width"
    assert list(found.importance) == list(FEATURES)
    assert sum(found.importance.values()) == pytest.approx(1)


def test_files_that_tell_nothing_score_like_a_guess() -> None:
    files = looks(telling=False)
    found = measure_shortcuts(files, alone(files), trees=20)
    assert found.classes < 0.45


def test_copies_do_not_count_as_skill() -> None:
    files = looks(telling=False)
    twice, groups = files * 2, alone(files) * 2
    assert measure_shortcuts(twice, groups, trees=20).classes < 0.45
    cheated = measure_shortcuts(twice, [str(i) for i in range(len(twice))], trees=20)
    assert cheated.classes > 0.7, "without groups the copies would have counted"


def test_the_same_seed_gives_the_same_answer() -> None:
    files = looks(10, telling=False)
    one, same = (measure_shortcuts(files, alone(files), seed=3, trees=10) for _ in range(2))
    assert one == same


def test_too_few_groups_are_refused() -> None:
    files = looks(2, telling=True)
    with pytest.raises(DataError, match="two groups each"):
        measure_shortcuts(files, ["one"] * len(files))


def test_tumours_alone_have_no_second_score() -> None:
    files = [look for look in looks(telling=True) if look.example.label != "notumor"]
    assert measure_shortcuts(files, alone(files), trees=10).tumour is None
