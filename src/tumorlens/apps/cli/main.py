"""The command line: ``tumorlens COMMAND``, as ``tumorlens --help`` lists them.

Results go to standard output, everything else to standard error. Exit status 0: all
went well; 1: some input failed, the rest was done; 2: wrong usage, or nothing could
be done. Heavy modules are imported by the commands that need them, so that
``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Final

import click

from tumorlens import __version__
from tumorlens.apps.cli.calibrate import calibrate
from tumorlens.apps.cli.compare import compare
from tumorlens.apps.cli.data import data
from tumorlens.apps.cli.deidentify import deidentify
from tumorlens.apps.cli.demo import demo
from tumorlens.apps.cli.ending import orderly_end
from tumorlens.apps.cli.evaluate import evaluate
from tumorlens.apps.cli.explain import explain
from tumorlens.apps.cli.export import export
from tumorlens.apps.cli.gui import gui
from tumorlens.apps.cli.import_keras import import_keras
from tumorlens.apps.cli.info import info
from tumorlens.apps.cli.localise import localise
from tumorlens.apps.cli.models import models
from tumorlens.apps.cli.options import hub_options
from tumorlens.apps.cli.predict import predict
from tumorlens.apps.cli.push import push
from tumorlens.apps.cli.report import report
from tumorlens.apps.cli.streams import prepare_streams
from tumorlens.apps.cli.train import train
from tumorlens.apps.cli.verify import verify
from tumorlens.apps.cli.web import web
from tumorlens.errors import TumorLensError
from tumorlens.untrusted import printable

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line; errors become one sentence and an exit status."""
    prepare_streams()
    try:
        with orderly_end():
            # Not standalone, so that our errors get our exit status; click returns its own.
            sys.exit(cli(standalone_mode=False) or 0)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo("\n".join(map(printable, said.getvalue().splitlines())), err=True)
        sys.exit(error.exit_code)
    except TumorLensError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped", err=True)
        sys.exit(130)
    except OSError as error:  # a disk that fills up, a folder that goes away
        click.echo(f"error: {printable(error)}", err=True)
        with contextlib.suppress(OSError):
            sys.stdout.close()  # or Python tries once more to write what is left, and says so
        sys.exit(2)


_TASKS: Final = {
    "Answer and explain": (predict, explain, report, demo, gui, deidentify, web),
    "Models": (models, info, verify, push, import_keras),
    "Measure": (evaluate, localise, calibrate),
    "Train": (data, train, compare, export),
}


class _ByTask(click.Group):
    """A group that lists its commands by what they are for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = formatter.width - 6 - max(map(len, self.list_commands(ctx)))
        for task, commands in _TASKS.items():
            with formatter.section(task):
                rows = [(c.name or "", c.get_short_help_str(width)) for c in commands]
                formatter.write_dl(rows, col_max=20)


@click.group(
    cls=_ByTask, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="tumorlens")
@hub_options
def cli() -> None:
    """Classify MRI slices of the head: glioma, meningioma, pituitary tumour, no tumour.

    Research use only: not a medical device.
    """


for _commands in _TASKS.values():
    for _command in _commands:
        cli.add_command(_command)
