"""Progress on standard error: a moving line on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time

import click

__all__ = ["Meter"]


class Meter:
    """Shows the progress of long work; a `tumorlens.progress.Progress`."""

    _TERMINAL_SECONDS = 0.1
    _LOG_SECONDS = 30.0

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage = ""
        self._first = self._done = self._total = 0
        self._began = self._shown = 0.0

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report a step; see `tumorlens.progress.Progress`."""
        now = time.monotonic()
        if stage != self._stage or done < self._done:
            self._stage, self._began, self._shown = stage, now, 0.0
            self._first = done
        elif self._done >= self._total == total:
            return  # its end was shown
        self._done, self._total = done, total
        pause = self._TERMINAL_SECONDS if self._terminal else self._LOG_SECONDS
        if done < total and now - self._shown < pause:
            return
        self._shown = now
        line = f"{stage} {done}/{total}{self._left(now, done, total)}{'  ' + note if note else ''}"
        if self._terminal:
            end = "\n" if done >= total else ""
            click.echo(f"\r\x1b[2K{line}{end}", nl=False, err=True)
        else:
            click.echo(line, err=True)

    def _left(self, now: float, done: int, total: int) -> str:
        """Time left, once there is anything to judge it by."""
        seen = done - self._first
        if done >= total or seen < 3 or now - self._began < 2:
            return ""
        seconds = round((now - self._began) / seen * (total - done))
        minutes, seconds = divmod(seconds, 60)
        return f"  {minutes // 60}:{minutes % 60:02}:{seconds:02} left"
