"""``tumorlens info``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.answers import model_option
from tumorlens.apps.cli.hub_options import tell, where

__all__ = ["info"]


@click.command()
@model_option
@click.option("--json", "as_json", is_flag=True, help="The whole card as JSON.")
def info(model: str | None, as_json: bool) -> None:
    """Say what a model is, how it scored and how far to trust it."""
    from tumorlens.apps.cli.describe import describe
    from tumorlens.models.store import open_bundle

    bundle = open_bundle(model, **where())
    tell(bundle.place.notes)
    card = bundle.card
    click.echo(card.to_json().rstrip() if as_json else describe(card))
