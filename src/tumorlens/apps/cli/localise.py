"""``tumorlens localise``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import load_model, model_option, out_option
from tumorlens.extras import require

__all__ = ["localise"]


@click.command()
@click.argument("data", metavar="DIR")
@click.option("--masks", required=True, metavar="DIR", help="Folder of the mask pictures.")
@click.option(
    "--table",
    required=True,
    metavar="CSV",
    help="Which mask belongs to which picture: image, mask, mirrored, label, group.",
)
@click.option(
    "--mask-column", default="mask", show_default=True, help="What the mask's column is called."
)
@click.option(
    "--manifest", metavar="CSV", help="Groups and folds; the published ones if not given."
)
@click.option("--fold", type=click.IntRange(min=0), help="Only pictures of this fold.")
@model_option
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=("gradcam", "gradcam++", "hirescam", "layercam", "eigencam"),
    show_default=True,
    help="May be repeated; the first one's cases are shown.",
)
@click.option("--layer", help="Which layer; the network's last one if not given.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many, evenly taken.")
@click.option("--curves/--no-curves", default=True, help="Insertion and deletion.")
@click.option("--hiding/--no-hiding", default=True, help="Paint tumours over and ask again.")
@click.option(
    "--sanity",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Randomise the network's weights on N pictures; needs the train extra.",
)
@out_option
def localise(
    *,
    data: str,
    masks: str,
    table: str,
    mask_column: str,
    manifest: str | None,
    fold: int | None,
    model: str | None,
    methods: tuple[str, ...],
    layer: str | None,
    limit: int | None,
    sanity: int,
    out: str,
    **options: Any,
) -> None:
    """Measure explanations against outlined tumours.

    DIR is the folder that the table's pictures are named from. Writes index.html, figures,
    cases.csv and localisation.json.
    """
    from tumorlens.data.outlines import find_masked
    from tumorlens.evaluate.localise import localise as measure
    from tumorlens.evaluate.sanity import check_sanity, choose_pictures
    from tumorlens.files import new_folder
    from tumorlens.report.localisation import write_localisation

    for module in ("matplotlib", "scipy"):
        require(module, "measuring explanations", "evaluate")
    classifier = load_model(model)
    pictures = find_masked(
        data, masks, table, mask_column=mask_column, manifest=manifest, fold=fold
    )
    if limit is not None and limit < len(pictures):
        pictures = [pictures[i * len(pictures) // limit] for i in range(limit)]
    meter = Meter()
    with new_folder(out) as folder:  # first, so that no measurement ends with no place to write
        try:
            found = measure(classifier, pictures, methods, layer=layer, progress=meter, **options)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        checked = None
        if sanity:
            chosen = choose_pictures(classifier, pictures, sanity)
            checked = check_sanity(classifier, chosen, methods, layer=layer, progress=meter)
        write_localisation(classifier, found, folder, sanity=checked, layer=layer)
    page = Path(out) / "index.html"
    if found.skipped:
        click.echo(f"{len(found.skipped)} of {len(pictures)} pictures were not measured", err=True)
    click.echo(f"{len(found.cases)} pictures measured: {click.format_filename(page)}")
    if found.skipped:
        raise click.exceptions.Exit(1)
