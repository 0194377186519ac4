"""Moving through a volume: slice by slice, in another plane, to where the evidence is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tumorlens.apps.session import answering
from tumorlens.apps.session.results import SliceAnswered, SliceUnreadable, Summed, Turned
from tumorlens.apps.session.rows import Row, RowList, State, printable
from tumorlens.apps.session.slice_view import SliceView
from tumorlens.apps.session.worker import Worker

if TYPE_CHECKING:
    from tumorlens.apps.session.stack import Stack
    from tumorlens.classifier import Classifier
    from tumorlens.images.geometry import Plane

__all__ = ["Volumes"]


class Volumes:
    """The volumes of the list, and the one that is looked at.

    A volume is answered in its own plane with all other rows. Another plane is answered by a
    thread of its own while it is looked at, and no longer.

    Parameters
    ----------
    results
        Where its worker puts what it finds; the methods at the end take it back.
    rows
        The list.
    view
        The slice that is shown.
    selected
        Gives the row that is looked at.
    change, touch
        The one takes a row of which something else is shown now; the other is told of one
        that only the list has to say something new of.
    changed
        Called with the parts that have changed, as `Changes` names them.
    tell
        Called with what keeps a volume from being cut.
    """

    def __init__(
        self,
        results: SimpleQueue[object],
        rows: RowList,
        view: SliceView,
        selected: Callable[[], Row | None],
        change: Callable[[Row], None],
        touch: Callable[[int], None],
        changed: Callable[..., None],
        tell: Callable[[str], None],
    ) -> None:
        self.turning: Plane | None = None  # the plane that is wanted and not there yet
        self.busy = False  # with another plane
        self._rows = rows
        self._view = view
        self._selected = selected
        self._change = change
        self._touch = touch
        self._changed = changed
        self._tell = tell
        self._classifier: Classifier | None = None
        self._turner = Worker("planes", results)

    @property
    def stack(self) -> Stack | None:
        """The volume that is looked at."""
        row = self._selected()
        return row.stack if row else None

    # Commands

    def start(self, classifier: Classifier) -> None:
        """Answer with this model from now on; answers of another are forgotten."""
        if self._classifier is not None:
            for row in self._rows:
                if row.stack is not None:
                    row.stack.forget()
                    self._sync(row)
        self._classifier = classifier
        self.enter()

    def go_to(self, index: int) -> None:
        """Look at a slice."""
        row = self._selected()
        if row is not None and row.stack is not None and row.stack.go_to(index):
            self._sync(row)
            self._view.ask()

    def step(self, by: int) -> None:
        """Look at the slice so many further on."""
        if (stack := self.stack) is not None:
            self.go_to(stack.index + by)

    def look_first(self, by: int = 1) -> None:
        """Look at the next of the slices to look at first, and round."""
        stack = self.stack
        summary = stack.cut.summary if stack else None
        if stack is None or summary is None or not summary.look_first:
            return
        first = summary.look_first
        here = first.index(stack.index) + by if stack.index in first else 0
        self.go_to(first[here % len(first)])

    def turn(self, plane: Plane) -> None:
        """Look at another plane."""
        row = self._selected()
        if row is None or row.stack is None or plane == (self.turning or row.stack.plane):
            return
        self.leave()
        known = row.stack.cuts.get(plane)
        if known is not None:
            self._turn(row, Turned(row.id, plane, known.geometry))
        else:
            self.turning = plane
        self._changed("slices")
        self.enter()

    def enter(self) -> None:
        """Go on with what is missing of the plane that is looked at."""
        row = self._selected()
        if row is None or row.stack is None:
            return
        stack = row.stack
        plane = self.turning or stack.plane
        missing = plane != stack.own and stack.cut.summary is None
        if self.turning or (missing and self._classifier is not None):
            self.busy, reader = True, self._view.reader
            self._turner.do_instead(partial(answering.turn, self._classifier, reader, row, plane))

    def leave(self) -> None:
        """Answer no more of another plane; what is answered stays."""
        self._turner.cancel()
        self.turning, self.busy = None, False

    def close(self, timeout: float) -> bool:
        """Stop; say whether it has."""
        return self._turner.close(timeout)

    # What the workers say

    def turned(self, result: Turned) -> None:
        """Show a volume in another plane, now that it is open."""
        row = self._rows.get(result.row)
        if row is not None and row.id == getattr(self._selected(), "id", None) and self.turning:
            self.turning = None
            self._turn(row, result)

    def answer(self, result: SliceAnswered) -> None:
        """Take the answer for a slice."""
        row = self._rows.get(result.row)
        if row is not None and row.stack is not None:
            cut = row.stack.cuts[result.plane]
            cut.unreadable.pop(result.prediction.slice, None)
            cut.answers[result.prediction.slice] = result.prediction
            self._sync(row)

    def fail(self, result: SliceUnreadable) -> None:
        """Take what is wrong with a slice, or with a plane that cannot be cut."""
        row = self._rows.get(result.row)
        if row is None or row.stack is None:
            return
        if result.index < 0:
            self.leave()
            self._changed("slices")
            self._tell(printable(result.message))
            return
        row.stack.cuts[result.plane].unreadable[result.index] = printable(result.message)
        self._sync(row)
        if row.stack.error is not None:
            self._view.drop(row.id)

    def sum_up(self, result: Summed) -> None:
        """Take the answer for a volume."""
        row = self._rows.get(result.row)
        if row is None or row.stack is None:
            return
        row.stack.cuts[result.plane].summary = result.answer
        if result.plane == row.stack.own:
            row = replace(row, state=State.ANSWERED)
        else:
            self.busy = False
        self._sync(row)

    # Small steps

    def _turn(self, row: Row, result: Turned) -> None:
        if row.stack is not None:
            row.stack.turn(result.plane, result.geometry)
            self._sync(row)
            self._view.ask()

    def _sync(self, row: Row) -> None:
        """Let a row say what is known of the slice that is looked at."""
        if (stack := row.stack) is not None:
            here, answer, error = stack.index, stack.prediction, stack.error
            new = replace(row, index=here, prediction=answer, error=error)
            if (here, answer, error) == (row.index, row.prediction, row.error):
                self._rows.put(new)  # what is shown of it stays as it is
                self._touch(row.id)
            else:
                self._change(new)
            if self.stack is stack:
                self._changed("slices")
