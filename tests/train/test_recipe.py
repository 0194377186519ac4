"""Recipes: plain data that survives JSON, and refuses what cannot be."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tumorlens.errors import RunError
from tumorlens.networks.network import NETWORKS
from tumorlens.train.recipe import (
    RECIPES,
    Appearance,
    Augmentation,
    Outlines,
    Recipe,
    replaced,
)


@pytest.mark.parametrize(
    "recipe",
    [*RECIPES.values(), Recipe(augmentation=Augmentation(brightness=(0.5, 2.0), flip=False))],
    ids=[*RECIPES, "own"],
)
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_what_is_not_said_has_its_default() -> None:
    assert Recipe.from_dict({"epochs": 3}) == dataclasses.replace(Recipe(), epochs=3)


def test_reading_leaves_the_values_alone() -> None:
    values = Recipe().to_dict()
    before = json.dumps(values)
    Recipe.from_dict(values)
    assert json.dumps(values) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch", 0),
        ("size", 31),
        ("learning_rate", 0.0),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("validation", 1.0),
        ("validation", -0.1),
        ("schedule", "linear"),
        ("seed", -1),
        ("validate_on", "test"),
        ("precision", "float31"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(RunError, match=f"`{field}`"):
        dataclasses.replace(Recipe(), **{field: value})


@pytest.mark.parametrize(
    "values",
    [{"epoch": 3}, {"epochs": "three"}, {"augmentation": {"rotate": 3}}],
)
def test_what_is_no_recipe_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RunError):
        Recipe.from_dict(values)


def test_the_reference_is_as_its_project_has_it() -> None:
    recipe = RECIPES["reference"]
    assert (recipe.network, recipe.size, recipe.weights) == ("xception", 299, "imagenet")
    assert (recipe.epochs, recipe.batch, recipe.learning_rate) == (20, 16, 1e-4)
    assert (recipe.validation, recipe.validate_on) == (0.5, "testing")
    moves = recipe.augmentation
    assert (moves.rotation, moves.shift, moves.shear, moves.zoom) == (30, 0.2, 0.2, 0.2)
    assert moves.flip
    assert moves.brightness == (0.8, 1.2)


def test_every_recipe_names_a_network_there_is() -> None:
    assert {recipe.network for recipe in RECIPES.values()} <= set(NETWORKS)


def test_any_figure_is_changed_by_words() -> None:
    words = ["rotation=15", "flip=no", "brightness=0.9:1.1", "hide=0.2", "strip=0.1", "epochs=3"]
    assert replaced(Recipe(), words) == Recipe(
        epochs=3,
        augmentation=Augmentation(rotation=15, flip=False, brightness=(0.9, 1.1)),
        appearance=Appearance(strip=0.1),
        outlines=Outlines(hide=0.2),
    )


@pytest.mark.parametrize(
    "word",
    [
        *("rotate=3", "rotation", "rotation=far", "rotation=nan", "rotation=-1", "flip=perhaps"),
        *("brightness=1", "brightness=1.2:0.8", "brightness=0:1", "zoom=1", "shift=2"),
        *("epochs=2.5", "hide=2", "strip=nan", "weight=-1", "augmentation=3", "balance=all"),
    ],
)
def test_figures_that_cannot_be_are_refused(word: str) -> None:
    with pytest.raises(RunError, match=word.partition("=")[0]):
        replaced(Recipe(), [word])


def test_hidden_and_control_pictures_share_the_whole() -> None:
    with pytest.raises(RunError, match="must not exceed 1 together"):
        replaced(Recipe(), ["hide=0.6", "control=0.6"])


def test_validation_on_testing_pictures_needs_a_share() -> None:
    with pytest.raises(RunError, match="`validation` must be above 0"):
        Recipe(validate_on="testing", validation=0)
