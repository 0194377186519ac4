"""What an epoch shows: nothing but what was asked for, as often as asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.data.published import Facts
from tumorlens.train.drawn import Drawn
from tumorlens.train.pictures import Pictures
from tumorlens.train.recipe import Recipe, replaced

SIZE = 96
NONE = CLASSES.index("notumor")
PITUITARY = CLASSES.index("pituitary")


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    drawn = [(label, draw_phantom(label, seed, SIZE)) for label in CLASSES for seed in range(6)]
    return Pictures(
        pixels=np.stack([phantom.pixels for _, phantom in drawn]),
        labels=np.array([CLASSES.index(label) for label, _ in drawn]),
        sha256="",
        groups=tuple(f"{label}{n // 2}" for n, (label, _) in enumerate(drawn)),
        masks=np.stack([phantom.lesion for _, phantom in drawn]),
        facts=tuple(
            Facts(sequence="T1", plane="axial" if n % 2 else "coronal", sella=n % 6 == 1)
            for n in range(len(drawn))
        ),
    )


def shown(pictures: Pictures, chosen: np.ndarray, *settings: str) -> tuple[np.ndarray, ...]:
    recipe = replaced(Recipe(network="tiny-fpn", size=SIZE), settings)
    pixels, masks, labels = Drawn(recipe, pictures).pictures(chosen, np.random.default_rng(0))
    assert masks is not None
    return pixels, masks, labels


def test_nothing_asked_for_changes_nothing(pictures: Pictures) -> None:
    every = np.arange(len(pictures))
    pixels, masks, labels = shown(pictures, every)
    np.testing.assert_array_equal(pixels, pictures.pixels)
    np.testing.assert_array_equal(masks, pictures.masks)
    np.testing.assert_array_equal(labels, pictures.labels)


def test_pasted_heads_are_taught_as_what_was_pasted(pictures: Pictures) -> None:
    heads = np.repeat(np.flatnonzero(pictures.labels == NONE), 20)
    pixels, masks, labels = shown(pictures, heads, "paste=1")
    pasted = labels != NONE
    assert pasted.mean() > 0.9
    assert masks[pasted].any(axis=(1, 2)).all()
    assert (pixels[pasted] != pictures.pixels[heads[pasted]]).any(axis=(1, 2)).all()
    sella = np.array([fact.sella for fact in pictures.facts])[heads]
    assert not (labels[~sella] == PITUITARY).any()
    assert 0.4 < (labels[sella] == PITUITARY).mean() < 0.9


def test_tumours_come_from_heads_of_the_same_plane(pictures: Pictures) -> None:
    lone = pictures.take(np.flatnonzero([fact.plane == "axial" for fact in pictures.facts]))
    heads = np.flatnonzero(pictures.labels == NONE)
    there = np.array([pictures.facts[i].plane == "coronal" for i in heads])
    mixed = pictures.take(
        np.concatenate([heads[there], np.flatnonzero([f.plane == "axial" for f in pictures.facts])])
    )
    first = np.arange(there.sum())
    _, _, labels = shown(mixed, first, "paste=1")
    assert (labels == NONE).all()
    assert len(lone)


def test_hidden_tumours_are_none_and_swapped_ones_another(pictures: Pictures) -> None:
    tumours = np.repeat(np.flatnonzero(pictures.labels != NONE), 6)
    _, masks, labels = shown(pictures, tumours, "hide=1")
    assert (labels == NONE).mean() > 0.9
    assert not masks[labels == NONE].any()
    _, masks, labels = shown(pictures, tumours, "swap=1")
    swapped = (labels != NONE) & (labels != pictures.labels[tumours])
    assert swapped.mean() > 0.5
    assert masks[swapped].any(axis=(1, 2)).all()


def test_decoys_and_patches_keep_the_answer(pictures: Pictures) -> None:
    heads = np.repeat(np.flatnonzero(pictures.labels == NONE), 6)
    for setting in ("decoy=1", "control=1"):
        pixels, masks, labels = shown(pictures, heads, setting)
        assert (labels == NONE).all()
        assert not masks.any()
        assert (pixels != pictures.pixels[heads]).any(axis=(1, 2)).mean() > 0.5


def test_an_epoch_is_drawn_anew_and_the_same_again(pictures: Pictures) -> None:
    recipe = replaced(Recipe(network="tiny-fpn", size=SIZE), ["balance=strata"])
    drawn = Drawn(recipe, pictures)
    assert not np.array_equal(drawn.order(0), drawn.order(1))
    np.testing.assert_array_equal(drawn.order(1), Drawn(recipe, pictures).order(1))


def test_rare_planes_are_drawn_more_often_by_strata(pictures: Pictures) -> None:
    facts = tuple(Facts(plane="sagittal" if n % 6 == 0 else "axial") for n in range(len(pictures)))
    some = Pictures(pictures.pixels, pictures.labels, "", masks=pictures.masks, facts=facts)

    def rare(balance: str) -> float:
        recipe = replaced(Recipe(network="tiny-fpn", size=SIZE), [f"balance={balance}"])
        order = np.concatenate([Drawn(recipe, some).order(epoch) for epoch in range(100)])
        return float(np.mean(order % 6 == 0))

    assert rare("groups") == pytest.approx(1 / 6, abs=0.03)
    assert rare("strata") > 0.25
