"""What is shown of the selected slice: asked for, waited for, replaced by what is asked next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tumorlens.apps.session import jobs
from tumorlens.apps.session.contrast import Look, Range, moved
from tumorlens.apps.session.keras_process import KerasProcess
from tumorlens.apps.session.opening import Reader
from tumorlens.apps.session.results import Computing, Explained, Redrawn, Request, Seen
from tumorlens.apps.session.rows import Row
from tumorlens.apps.session.state import Choice, Shown
from tumorlens.apps.session.worker import Worker

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation

__all__ = ["SliceView"]


class SliceView:
    """The slice in the middle of the window, with its explanation.

    Parameters
    ----------
    results
        Where its workers put what they find; `see`, `show` and `follow` take it back.
    selected
        Gives the row to show.
    changed
        Called with the parts that have changed, as `Changes` names them.
    """

    def __init__(
        self,
        results: SimpleQueue[object],
        selected: Callable[[], Row | None],
        changed: Callable[..., None],
    ) -> None:
        self.choice = Choice()
        self.look = Look()
        self.strength = 0.6
        self.contour = False  # a line instead of colour
        self.second: str | None = None  # another method, to be held beside
        self.shown: Shown | None = None
        self.busy = False
        self.computing: Computing | None = None  # while it takes its time
        self._drawing = False  # in another look
        self._selected = selected
        self._changed = changed
        self.classifier: Classifier | None = None
        self._keras: KerasProcess | None = None
        self.reader = Reader()
        self._seeing = Worker("reader", results)
        self._explaining = Worker("explanations", results)

    @property
    def explanation(self) -> Explanation | None:
        """What explains the slice that is selected, once it is there."""
        return self.shown.explanation if self.shown and not self._is_late() else None

    # Commands

    def start(self, classifier: Classifier) -> None:
        """Explain from now on, with a model that was just loaded."""
        if self._keras is not None:
            self._keras.close()
        self.classifier = classifier
        self._keras = KerasProcess(classifier.place.folder, classifier.card)
        self.ask()

    def ask(self) -> None:
        """Ask for the selected slice and its explanation; forget what was asked before."""
        row = self._selected()
        if row is None:
            return
        if self.shown is not None and self.shown.request.row != row.id:
            self.shown = None  # another slice of one volume stays until this one is there
            self.look = replace(self.look, greys=None)  # its greys are not those of another
        self._changed("shown", "options")
        self.computing = None
        readable = row.error is None
        self.busy = readable and self.classifier is not None
        if not readable:
            self._explaining.cancel()
            self.shown = None
            return
        request = self._request(row)
        if self._is_late():
            self._drawing = False
            self._seeing.do_instead(partial(jobs.see, self.reader, row, request, self.look))
        if self.classifier is not None and self._keras is not None:
            with_what = self.classifier, self._keras, self.reader
            job = partial(jobs.explain, *with_what, row, request, self.look)
            self._explaining.do_instead(job)

    def choose(self, choice: Choice) -> None:
        """Change what is explained, and how."""
        if choice.versus is not None and choice.versus == choice.target:
            choice = replace(choice, versus=None)
        if choice != self.choice:
            self.choice = choice
            self._changed("shown", "options")
            self.ask()

    def stop(self) -> None:
        """Compute no more; go back to what is shown, or else to what takes no time."""
        self._explaining.cancel()
        self.second = None
        self.end()
        if self.shown is not None and self.explanation is not None:
            self.choice = Choice(**self.shown.request.options)
        elif self.choice.method or self.choice.layer:
            self.choice = replace(self.choice, method=None, layer=None)
            self.ask()

    def compare(self, method: str | None) -> None:
        """Explain by a second method, too; ``None`` for one alone."""
        self._explaining.cancel()
        self.second, self.computing = method, None
        if self.shown is not None:
            self.shown = replace(self.shown, second=None)
        self._changed("shown", "options")
        if self.busy:
            self.ask()  # for what was cancelled
        else:
            self._ask_second()

    def set_strength(self, strength: float) -> None:
        """Change the density of the overlay, from 0 to 1; nothing is computed again."""
        self.strength = min(1.0, max(0.0, strength))

    def set_colormap(self, colormap: str) -> None:
        """Colour the evidence differently; nothing is explained again."""
        self._change_look(replace(self.look, colormap=colormap))

    @property
    def greys(self) -> Range | None:
        """The values that are black and white, once there is a slice."""
        return self.look.greys or (self.shown.drawn.usual if self.shown else None)

    def move_greys(self, start: Range, wider: float, higher: float) -> None:
        """Change window and level from `start`; see `tumorlens.apps.session.contrast.moved`."""
        if self.shown is not None:
            greys = moved(start, self.shown.drawn.usual, wider, higher)
            self._change_look(replace(self.look, greys=greys))

    def reset_greys(self) -> None:
        """Show the values that are usually black and white as such."""
        self._change_look(replace(self.look, greys=None))

    def drop(self, row: int) -> None:
        """Show nothing of a row whose slice turns out to be unreadable."""
        selected = self._selected()
        if selected is not None and selected.id == row:
            self.shown = None
            self.end()

    def forget(self) -> None:
        """Show nothing, and keep nothing of what was read."""
        self._seeing.cancel()
        self._explaining.cancel()
        self._drawing = False
        self.reader = Reader()
        self.shown = None
        self.end()

    def close(self) -> None:
        """Stop all work; see `has_ended`."""
        for worker in (self._seeing, self._explaining):
            worker.close(0)
        if self._keras is not None:
            self._keras.close()

    def has_ended(self, timeout: float) -> bool:
        """Say whether the work has stopped within so many seconds each."""
        return self._seeing.close(timeout) and self._explaining.close(timeout)

    # What the workers say

    def see(self, result: Seen) -> None:
        """Show the slice as it is."""
        row = self._selected()
        if row is not None and result.request.place == self._request(row).place and self._is_late():
            self.shown = Shown(result.request, result.picture, result.drawn)
            self._changed("shown", "options")
            self._catch_up()

    def redraw(self, result: Redrawn) -> None:
        """Show a slice in another look, if it still stands there."""
        self._drawing = False
        shown, second = self.shown, result.second
        same = shown is not None and shown.picture is result.picture
        if shown is not None and same and shown.explanation is result.explanation:
            asked = shown.second.explanation if shown.second else None
            if second is None or second.explanation is not asked:
                second = shown.second  # which came, or went, meanwhile
            self.shown = replace(shown, drawn=result.drawn, second=second)
            self._changed("shown")
        self._catch_up()

    def follow(self, result: Computing) -> None:
        """Say how far the explanation is."""
        awaited = self.second is not None and self.shown is not None and not self.shown.second
        if self.busy or awaited:
            self.computing = result
            self._changed("computing")

    def show(self, result: Explained) -> bool:
        """Show the explanation; say whether it is the one that is wanted."""
        row = self._selected()
        if row is None:
            return False
        if result.request != self._request(row):
            self._show_second(result, row)
            return False  # or something else has been asked for meanwhile
        explanation = result.explanation
        self.shown = Shown(result.request, explanation.picture, result.drawn, explanation)
        self.end()
        self._catch_up()
        self._ask_second()
        return True

    def _show_second(self, result: Explained, row: Row) -> None:
        wanted = self.second is not None and result.request == self._request(row, self.second)
        if wanted and self.shown is not None and self.explanation is not None:
            self.shown = replace(self.shown, second=result)
            self.computing = None
            self._changed("shown", "computing")
            self._catch_up()

    def end(self) -> None:
        """Wait for nothing any more."""
        self.busy, self.computing = False, None
        self._changed("shown", "options")

    # Small steps

    def _change_look(self, look: Look) -> None:
        if look != self.look:
            self.look = look
            self._changed("look")
            self._catch_up()

    def _catch_up(self) -> None:
        """Draw what is shown as it is wanted now; what is being drawn is not stopped for it."""
        shown = self.shown
        if shown is None or self._drawing:
            return
        drawn = (shown.drawn, *([shown.second.drawn] if shown.second else []))
        if any(one.look != self.look for one in drawn):
            self._drawing = True
            self._seeing.do(partial(jobs.redraw, shown, self.look))

    def _ask_second(self) -> None:
        """Ask what the second method says of the slice that stands there with its map."""
        row, classifier, keras = self._selected(), self.classifier, self._keras
        if row is None or self.second is None or self.explanation is None:
            return
        if classifier is not None and keras is not None:
            with_what = classifier, keras, self.reader
            request = self._request(row, self.second)
            if request == self._request(row):
                return  # it stands there already
            self._explaining.do(partial(jobs.explain, *with_what, row, request, self.look))

    def _request(self, row: Row, method: str | None = None) -> Request:
        # What is left to the model is not named.
        options = {name: value for name, value in asdict(self.choice).items() if value is not None}
        if method is not None:
            options["method"] = method
        if row.stack is None:
            return Request(row.id, options)
        return Request(row.id, options, row.stack.plane, row.stack.index)

    def _is_late(self) -> bool:
        """Say whether what is shown is not the slice that is selected."""
        row = self._selected()
        shown = self.shown.request.place if self.shown else None
        return row is None or shown != self._request(row).place
