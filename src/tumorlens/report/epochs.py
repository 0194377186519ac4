"""What a comparison of epochs leaves behind: a table, a figure, a page, the best as bundles."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

from tumorlens.evaluate.epochs import Comparison
from tumorlens.files import new_folder, write_text
from tumorlens.progress import Progress, silent
from tumorlens.report.epochs_figure import draw_epochs
from tumorlens.report.page import render
from tumorlens.report.style import figure_style, to_png
from tumorlens.train.export import export_run

__all__ = ["write_comparison"]


def write_comparison(
    comparison: Comparison,
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    bundles: bool = True,
    progress: Progress = silent,
) -> Path:
    """Write ``index.html``, ``epochs.csv``, ``.json`` and ``.png``, and a bundle for each best.

    Parameters
    ----------
    comparison
        What `tumorlens.evaluate.epochs.compare_epochs` gave for the run.
    run
        The run folder.
    out
        A new folder; it appears whole or not at all.
    data
        What the run was trained on, when it has moved.
    bundles
        Whether to export the best epochs, each under its name.
    progress
        Told of pictures read and classified.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    with new_folder(out) as work:
        write_text(work / "epochs.csv", comparison.to_csv())
        write_text(work / "epochs.json", comparison.to_json())
        with figure_style():
            figure = to_png(draw_epochs(comparison))
        (work / "epochs.png").write_bytes(figure)
        head, *rows = csv.reader(comparison.to_csv().splitlines())
        page = render(
            "epochs",
            found=comparison,
            figure=figure,
            best=[(name.replace("-", " "), epoch) for name, epoch in comparison.best.items()],
            head=[name.replace("_", " ") for name in head],
            rows=rows,
        )
        write_text(work / "index.html", page)
        made: dict[int, Path] = {}
        for name, epoch in comparison.best.items() if bundles else ():
            bundle = work / name
            if epoch in made:  # the same network under another name
                shutil.copytree(made[epoch], bundle)
                continue
            label = f"{comparison.network}-epoch{epoch}"
            export_run(run, bundle, name=label, epoch=epoch, data=data, progress=progress)
            made[epoch] = bundle
    return Path(out)
