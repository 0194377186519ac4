"""Recipes: plain data that survives JSON, and refuses what cannot be."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tumorlens.errors import RunError
from tumorlens.train.network import NETWORKS
from tumorlens.train.recipe import RECIPES, Augmentation, Recipe


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
    recipe = RECIPES["xception"]
    assert (recipe.network, recipe.size, recipe.weights) == ("xception", 299, "imagenet")
    assert (recipe.epochs, recipe.batch, recipe.learning_rate) == (20, 16, 1e-4)
    moves = recipe.augmentation
    assert (moves.rotation, moves.shift, moves.shear, moves.zoom) == (30, 0.2, 0.2, 0.2)
    assert moves.flip
    assert moves.brightness == (0.8, 1.2)


def test_every_recipe_names_a_network_there_is() -> None:
    assert {recipe.network for recipe in RECIPES.values()} <= set(NETWORKS)
