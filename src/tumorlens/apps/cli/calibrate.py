"""``tumorlens calibrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tumorlens.apps.cli.options import bundle_out_option, choose_source, labelled_options, where
from tumorlens.apps.cli.output import tell_notes, tell_unreadable

if TYPE_CHECKING:
    from tumorlens.models.card import Card

__all__ = ["calibrate"]

_SHARE = click.FloatRange(0.5, 1, max_open=True)


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@click.option("--data", metavar="MANIFEST|DIR", help="Labelled slices it was not trained on.")
@bundle_out_option
@labelled_options
@click.option(
    "--level",
    type=_SHARE,
    default=0.95,
    show_default=True,
    help="How often a prediction set shall hold the truth.",
)
@click.option(
    "--accept",
    type=_SHARE,
    default=0.99,
    show_default=True,
    help="Share of unseen valid slices that shall be assessable.",
)
@click.option(
    "--looks",
    is_flag=True,
    help="Show the slices under eight looks too, so that a look is not taken for something "
    "strange. Nine times as long.",
)
@click.option(
    "--refuse",
    multiple=True,
    metavar="REASON",
    help="Call what looks like the pictures that the manifest excludes for this reason not "
    "assessable, such as CT; may be repeated.",
)
@click.option("--seen", is_flag=True, help="Go on even with slices it was trained on.")
@click.option("--model-version", help="Version of the new bundle; the old one's with -calibrated.")
@click.option("--limitations", help="A sentence for the card: what to mind. The old one's if not.")
def calibrate(
    *,
    bundle: str,
    data: str | None,
    out: str,
    external: str | None,
    class_map: str | None,
    model_version: str | None,
    **options: Any,
) -> None:
    """Make a model's confidence mean what it says, on slices it was not trained on.

    Writes BUNDLE anew with a temperature, thresholds for prediction sets and a limit
    beyond which a picture is called not assessable. Exit status 1: some files could not
    be read; the rest was used.
    """
    source = choose_source(data, external, "--data MANIFEST|DIR")
    from tumorlens.data.folder import read_class_map
    from tumorlens.evaluate.calibrate import calibrate as run_calibration
    from tumorlens.models.store import find_bundle

    tell_notes(find_bundle(bundle, **where()).notes)
    card, answers = run_calibration(
        bundle,
        source,
        out,
        external=external is not None,
        class_map=None if class_map is None else read_class_map(class_map),
        version=model_version,
        **options,
        **where(),
    )
    click.echo(_summary(card))
    click.echo(f"calibrated: {click.format_filename(out)}")
    tell_unreadable([f"{name}: {reason}" for name, reason in answers.unreadable])


def _summary(card: Card) -> str:
    """Give what was fitted, and what to expect of it, as lines for people."""
    found = card.metrics["calibration"]
    where_from = f"{found['n']:,} slices of {found['groups']:,} groups"
    errors = f"{found['ece_before']:.4f} -> {found['ece_after']:.4f}"
    covered = f"{found['coverage']:.3f} of {card.set_level:g} asked for"
    lines = [
        f"{card.id}, from {where_from}; every slice is judged without its own group",
        f"temperature {card.temperature:.3f}: calibration error {errors}",
        f"prediction sets: coverage {covered}, mean size {found['mean_size']:.2f}",
    ]
    for name, row in found["per_class"].items():
        if row["coverage"] is None:
            lines.append(f"  {name:<12}no slices: in every set")
            continue
        promise = f"promised to new patients {row['promised']:.2f}"
        if row["promised"] < card.set_level:
            promise += f" ({row['groups']} groups are too few for more)"
        lines.append(
            f"  {name:<12}coverage {row['coverage']:.3f}, size {row['mean_size']:.2f}; {promise}"
        )
    lines.append(f"assessable: {found['accepted']:.3f} of these slices")
    lines += [f"  {look:<18}{x:.3f}" for look, x in found.get("accepted_under", {}).items()]
    for kind, row in found.get("others", {}).items():
        lines.append(
            f"{kind} refused: {row['refused']['as they are']:.3f} of {row['n']} pictures of "
            f"{row['groups']} groups, and {row['slices_refused']['as they are']:.4f} of the slices"
        )
    leaky = {True: "LEAKY", False: "unseen patients", None: "not known whether it leaks"}
    lines.append(f"{leaky[found['leaky']]}: {found['leaky_reason']}")
    return "\n".join(lines)
