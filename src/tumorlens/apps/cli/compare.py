"""``tumorlens compare``: every epoch of a run, and the best ones as bundles."""

from __future__ import annotations

import click

from tumorlens.apps.cli.meter import Meter
from tumorlens.apps.cli.options import out_option

__all__ = ["compare"]


@click.command()
@click.argument("run", metavar="RUN")
@out_option
@click.option("--data", metavar="DIR|MANIFEST", help="The data trained on, if it has moved.")
@click.option(
    "--external", metavar="DIR", help="Compare on another data set, of class folders, instead."
)
@click.option("--bundles/--no-bundles", default=True, help="Export the best epochs.")
def compare(run: str, out: str, data: str | None, external: str | None, bundles: bool) -> None:
    """Score every epoch of a training run and keep the best.

    The pictures are those that the recipe set apart: the rest of the testing
    pictures if half of them validated, else what was held out of training.
    Interrupt it whenever you like: what is scored is kept.
    """
    from tumorlens.data.folder import find_examples
    from tumorlens.evaluate.epochs import compare_epochs
    from tumorlens.networks.keras_backend import require_keras
    from tumorlens.report.epochs import write_comparison

    require_keras("comparing epochs")
    meter = Meter()
    found = compare_epochs(
        run, data=data, external=find_examples(external) if external else (), progress=meter
    )
    click.echo(_table(found.epochs, found.best))
    if found.leaky:
        click.echo("leaky: patients of these pictures are, or may be, in training")
    write_comparison(found, run, out, data=data, bundles=bundles, progress=meter)
    click.echo(f"written: {click.format_filename(out)}")


def _table(epochs: tuple[dict[str, dict[str, float]], ...], best: dict[str, int]) -> str:
    head = (
        "epoch  validation: loss accuracy   varied: loss accuracy    mcc   plain: accuracy    mcc"
    )
    lines = [head]
    for number, row in enumerate(epochs, start=1):
        watched = row.get("validation", {})
        nan = float("nan")
        names = ", ".join(name for name, epoch in best.items() if epoch == number)
        lines.append(
            f"{number:>5}{watched.get('loss', nan):>18.4f}{watched.get('accuracy', nan):>9.4f}"
            f"{row['varied']['loss']:>15.4f}{row['varied']['accuracy']:>9.4f}"
            f"{row['varied']['mcc']:>7.4f}{row['plain']['accuracy']:>18.4f}"
            f"{row['plain']['mcc']:>7.4f}  {names}".rstrip()
        )
    return "\n".join(lines)
