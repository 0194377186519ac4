"""``tumorlens models``: what ships, and what was fetched from the hub before."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

from tumorlens.foreign import printable

if TYPE_CHECKING:
    from tumorlens.models.card import Card

__all__ = ["models"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a model, a line each.")
def models(*, as_json: bool) -> None:
    """List the models that ship and those fetched from the hub before."""
    from tumorlens.errors import MissingExtraError
    from tumorlens.models.hub import cached_models
    from tumorlens.models.store import bundled_models, find_bundle, read_card

    for name in bundled_models():
        _show("ships", name, (), read_card(find_bundle(name).folder), as_json=as_json)
    try:
        for cached in cached_models():
            _show("cached", cached.reference, cached.names, cached.card, as_json=as_json)
    except MissingExtraError as error:
        click.echo(f"note: {error}", err=True)


def _show(kind: str, model: str, names: tuple[str, ...], card: Card, *, as_json: bool) -> None:
    from tumorlens.apps.describe import accuracy

    size = sum(row["bytes"] for row in card.files.values() if isinstance(row.get("bytes"), int))
    if as_json:
        told: dict[str, Any] = {
            "kind": kind,
            "model": model,
            "names": list(names),
            "id": card.id,
            "network": card.network,
            "precision": card.precision,
            "classes": list(card.classes),
            "bytes": size,
            "metrics": card.metrics,
            "description": card.description,
        }
        click.echo(json.dumps(told))
        return
    also = f"  ({', '.join(names)})" if names else ""
    click.echo(printable(f"{kind:<8}{model}{also}"))
    summary = f"{card.id}, {card.network}, {card.precision}, {size / 1e6:.1f} MB"
    for line in (summary, ", ".join(card.classes), accuracy(card), card.description):
        if line:
            click.echo(textwrap.indent(textwrap.fill(line, 92), " " * 8))
