"""``tumorlens models``: what is installed, and what was fetched from the hub before."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.options import json_option
from tumorlens.untrusted import printable, read_json

if TYPE_CHECKING:
    from tumorlens.models.card import Card

__all__ = ["models"]


@click.command()
@json_option
@click.option("--card", metavar="MODEL", help="Write the model card of one model instead.")
@click.option(
    "--metrics",
    metavar="JSON",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --card: metrics.json of an evaluation, or localisation.json; may be repeated.",
)
def models(*, as_json: bool, card: str | None, metrics: tuple[Path, ...]) -> None:
    """List the models that are installed and those fetched from the hub before.

    With --card, print one model's card as Markdown: its data, protocol, results, limits.
    """
    if card is not None:
        click.echo(_model_card(card, metrics), nl=False)
        return
    from tumorlens.apps.cli.output import tell_notes
    from tumorlens.errors import MissingExtraError, ModelError
    from tumorlens.models.bundle import read_card
    from tumorlens.models.hub import cached_models
    from tumorlens.models.store import installed_models

    own, others, passed = installed_models()
    for place in own:
        _show("ships", place.origin, (), read_card(place.folder), as_json=as_json)
    for place in others:
        try:
            _show("package", place.origin, (), read_card(place.folder), as_json=as_json)
        except ModelError as error:
            tell_notes([str(error)])
    tell_notes(passed)
    try:
        for cached in cached_models():
            _show("cached", cached.reference, cached.names, cached.card, as_json=as_json)
    except MissingExtraError as error:
        click.echo(f"note: {error}", err=True)


def _model_card(model: str, metrics: tuple[Path, ...]) -> str:
    from tumorlens.apps.cli.options import where
    from tumorlens.apps.cli.output import tell_notes
    from tumorlens.errors import DataError
    from tumorlens.models.bundle import read_card
    from tumorlens.models.store import find_bundle
    from tumorlens.publish.model_card import model_card

    place = find_bundle(model, **where())
    tell_notes(place.notes)
    try:
        found = [read_json(path.read_bytes()) for path in metrics]
        localisations = [one for one in found if "hidden" in one]
        evaluations = [one for one in found if "hidden" not in one]
        return model_card(read_card(place.folder), evaluations, localisations)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the model card cannot be written: {error}; give what `tumorlens evaluate` or "
            "`tumorlens localise` wrote for this very model"
        ) from error


def _show(kind: str, model: str, names: tuple[str, ...], card: Card, *, as_json: bool) -> None:
    from tumorlens.apps.cli.describe import accuracy
    from tumorlens.data.folder import class_name
    from tumorlens.models.store import DEFAULT_MODEL

    size = sum(row["bytes"] for row in card.files.values() if isinstance(row.get("bytes"), int))
    if as_json:
        told: dict[str, Any] = {
            "kind": kind,
            "model": model,
            "default": model == DEFAULT_MODEL,
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
    named = ("the default",) if model == DEFAULT_MODEL else names
    also = f"  ({', '.join(named)})" if named else ""
    click.echo(printable(f"{kind:<8}{model}{also}"))
    summary = f"{card.id}, {card.network}, {card.precision}, {size / 1e6:.1f} MB"
    classes = ", ".join(map(class_name, card.classes))
    for line in (summary, classes, accuracy(card), card.description):
        if line:
            click.echo(textwrap.indent(textwrap.fill(line, 92), " " * 8))
