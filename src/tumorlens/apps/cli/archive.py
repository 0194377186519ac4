"""``tumorlens predict --out``: an archive into one table, as fast as the cores allow."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

import click

from tumorlens.apps.cli.options import load_model, together
from tumorlens.apps.cli.output import finish, tell_notes
from tumorlens.untrusted import printable

if TYPE_CHECKING:
    from tumorlens.archive.parts import State

__all__ = ["archive_options", "predict_archive"]

archive_options: Final = together(
    click.option(
        "--out",
        metavar="FILE",
        help="For many files: write .parquet, .csv or .jsonl; begun work is gone on with.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, 256),
        metavar="N",
        help="With --out: cores to use; all that the process may use if not given.",
    ),
    click.option(
        "--batch",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="With --out: slices that are prepared and answered together.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="With --out: this machine, or a cluster; then FILE is a folder of Parquet files.",
    ),
    click.option(
        "--explain",
        metavar="DIR",
        help="With --out: put maps there too, a folder for each slice.",
    ),
    click.option("--address", metavar="HOST:PORT", help="Of the Ray cluster; auto finds one here."),
)


def predict_archive(
    paths: Sequence[str],
    model: str | None,
    out: str,
    *,
    plain: bool,
    threads: int | None = None,
    batch: int | None = None,
    engine: str = "local",
    address: str | None = None,
    explain: str | None = None,
) -> None:
    """Answer for an archive; standard output stays empty.

    Parameters
    ----------
    paths, model, out
        As the command takes them.
    plain
        False when other outputs were asked for too, which do not go together.
    threads, batch
        Chosen here when ``None``.
    engine, address
        Which machines do it.
    explain
        A folder for maps, or ``None``.
    """
    from tumorlens.archive.cores import usable_cores
    from tumorlens.archive.run import PORTION, answer_archive

    if not plain:
        raise click.UsageError("--out writes the one file: leave --json and --csv out")
    if engine == "local" and address is not None:
        raise click.UsageError("--address is of a cluster: add --engine ray")
    if engine == "ray" and (threads is not None or batch is not None):
        raise click.UsageError("--threads and --batch do not go with --engine ray: leave them out")
    classifier = load_model(model, threads=1)
    passed: list[str] = []
    with _Pace(None if engine == "ray" else paths) as pace:
        more: dict[str, Any] = {"explain": explain, "passed": passed, "watch": pace}
        if engine == "ray":
            from tumorlens.archive.ray_engine import answer_on_ray
            from tumorlens.archive.store import Store, is_address

            more |= {"address": address, "listed": pace.told}
            state = answer_on_ray(classifier, paths, out, **more)
            out = Store.of(out).name if is_address(out) else out  # without keys
        else:
            more |= {"lanes": threads or usable_cores(), "batch_size": batch or PORTION}
            state = answer_archive(classifier, paths, out, **more)
    if passed:
        tell_notes([f"passed over what tumorlens wrote, such as {passed[0]}"])
    tell_notes([f"{state.rows} rows of {state.files} files in {printable(out)}"])
    finish(state.failed, state.files)


class _Pace:
    """Shows files done, their rate and the time left, on standard error.

    How many files there are is counted beside the work, so nothing waits for it, or told.
    """

    _TERMINAL_SECONDS: Final = 0.5
    _LOG_SECONDS: Final = 30.0

    def __init__(self, paths: Iterable[str] | None) -> None:
        self._paths = None if paths is None else list(paths)
        self._terminal = sys.stderr.isatty()
        self._total = 0
        self._counted = False
        self._stopped = False
        self._first: int | None = None
        self._began = self._shown = time.monotonic()
        self._counter = threading.Thread(target=self._count, name="counter", daemon=True)

    def __enter__(self) -> Self:
        self._counter.start()
        return self

    def told(self, total: int, done: int) -> None:
        """Take how many files there are, and how many of them were done before."""
        self._total, self._counted = total, True
        self._begin(done)

    def _begin(self, done: int) -> None:
        self._first, self._began = done, time.monotonic()
        if done:
            tell_notes([f"going on after {done} files that are done"])

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._counter.join()
        if self._terminal:
            click.echo(err=True)

    def __call__(self, state: State) -> None:
        """Take what is done; see `tumorlens.archive.run.Watch`."""
        now = time.monotonic()
        if self._first is None:
            self._begin(state.files - 1)
        pause = self._TERMINAL_SECONDS if self._terminal else self._LOG_SECONDS
        if now - self._shown < pause:
            return
        self._shown = now
        line = self._line(state.files, now)
        click.echo(f"\r\x1b[2K{line}" if self._terminal else line, nl=not self._terminal, err=True)

    def _line(self, done: int, now: float) -> str:
        seen = done - (self._first or 0)
        rate = seen / max(now - self._began, 1e-3)
        if not self._counted:
            return f"files {done} of at least {max(done, self._total)}  {rate:.1f}/s"
        left = max(self._total - done, 0) / rate
        hours, minutes, seconds = int(left // 3600), int(left // 60 % 60), int(left % 60)
        total = max(done, self._total)
        return f"files {done}/{total}  {rate:.1f}/s  {hours}:{minutes:02}:{seconds:02} left"

    def _count(self) -> None:
        from tumorlens.walk import count_files

        if self._paths is None:
            return
        for _ in count_files(self._paths):
            self._total += 1
            if self._stopped:
                return
        self._counted = True
