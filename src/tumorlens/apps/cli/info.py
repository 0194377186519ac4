"""``tumorlens info``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.options import json_option, model_option, where
from tumorlens.apps.cli.output import tell_notes

__all__ = ["info"]


@click.command()
@model_option
@json_option
def info(model: str | None, as_json: bool) -> None:
    """Say what a model is, how it scored and how far to trust it."""
    from tumorlens.apps.cli.describe import describe
    from tumorlens.models.store import open_bundle

    bundle = open_bundle(model, **where())
    tell_notes(bundle.place.notes)
    card = bundle.card
    click.echo(card.to_json().rstrip() if as_json else describe(card))
