"""``tumorlens gui``."""

from __future__ import annotations

import click

from tumorlens.apps.cli.options import model_option, where

__all__ = ["gui"]


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@model_option
@click.option(
    "--scale",
    type=click.FloatRange(min=1, max=4),
    help="Size of text and controls, such as 2 for 200 %; the screen's if not given.",
)
def gui(*, paths: tuple[str, ...], model: str | None, scale: float | None) -> None:
    """Open the window, with pictures and folders of pictures.

    Press F1 in it for all keys.
    """
    try:
        import tkinter as tk  # noqa: F401
    except ImportError as error:
        from tumorlens.apps.desktop.missing_tk import how_to_get_tk
        from tumorlens.errors import TumorLensError

        raise TumorLensError(f"the window needs Tk, which is missing; {how_to_get_tk()}") from error
    from tumorlens.apps.desktop.app import run_window

    run_window(paths, model, scale, where())
