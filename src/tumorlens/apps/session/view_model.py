"""What the window knows and can do, without a window.

The view calls commands, and `ViewModel.poll` again and again; `poll` takes what the
workers have finished, and says what has changed. All of it happens in one thread, so
that there is nothing to lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tumorlens.apps.session import answering, jobs, opening, results
from tumorlens.apps.session.batch import Batch, Progress
from tumorlens.apps.session.rows import Row, RowList, State, printable
from tumorlens.apps.session.saver import Saver
from tumorlens.apps.session.settings import Settings
from tumorlens.apps.session.slice_view import SliceView
from tumorlens.apps.session.state import Changes, Choice, Message, Options, options_of
from tumorlens.apps.session.volumes import Volumes
from tumorlens.apps.session.words import count_files, summarise
from tumorlens.apps.session.worker import Crash, Trouble, Worker

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice
    from tumorlens.models.card import Card

__all__ = ["ViewModel"]

_PASSING_SECONDS = 8.0  # of a message that nobody needs any more
_POLL_SECONDS = 0.015  # of one poll: the window must answer in between
_POLL_ROWS = 200  # that change in one poll, for the same reason


class ViewModel:
    """State and commands of the window.

    Parameters
    ----------
    load
        Loads a model by its name, or without one that to begin with; called in a worker.
    settings
        What is remembered; the folder changes as pictures are opened.
    clock
        Seconds, for the time left and for messages that pass.
    """

    def __init__(
        self,
        load: Callable[..., Classifier],
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self.settings = settings or Settings()
        self.rows = RowList()
        self.selected: int | None = None
        self.options = Options()
        self.message = Message("")
        self._loading = self._no_model = False
        self._classifier: Classifier | None = None
        self._pasted = 0
        self._clock = clock
        self._batch = Batch(clock)
        self._changes = Changes()
        self._results: SimpleQueue[object] = SimpleQueue()
        self._finder = Worker("finder", self._results)
        self._answers = Worker("answers", self._results)
        selected, changed = (lambda: self.row), (lambda *parts: self._changes.parts.update(parts))
        self.view = SliceView(self._results, selected, changed)
        warn = partial(self.tell, trouble=True)
        self.volumes = Volumes(
            self._results, self.rows, self.view, selected, self._change, self._touch, changed, warn
        )
        self.saver = Saver(self._results, self.view, selected, warn)
        self._takers: dict[type, Callable[[Any], None]] = {
            results.Loaded: self._start_answering,
            results.Found: self._list_files,
            results.FoundVolume: self._list_volume,
            results.Noted: lambda result: self.tell(result.text, passing=True),
            results.Pasted: self._list_slices,
            results.Answered: self._answer,
            results.Done: self._finish,
            results.Unreadable: self._fail,
            results.SliceAnswered: self.volumes.answer,
            results.SliceUnreadable: self.volumes.fail,
            results.Summed: self.volumes.sum_up,
            results.Turned: self.volumes.turned,
            results.Seen: self.view.see,
            results.Redrawn: self.view.redraw,
            results.Computing: self.view.follow,
            results.Explained: self._show_explanation,
            results.Saved: self._tell_saved,
            results.Packed: self.saver.remember,
            Trouble: self._trouble,
            Crash: self._crash,
        }

    # What the view asks

    @property
    def card(self) -> Card | None:
        """The model's card, once it is loaded."""
        return self._classifier.card if self._classifier else None

    @property
    def row(self) -> Row | None:
        """The selected row."""
        return self.rows.get(self.selected)

    @property
    def explanation(self) -> Explanation | None:
        """What explains the slice that is shown, once it is there."""
        return self.view.explanation

    @property
    def progress(self) -> Progress | None:
        """How far the batch is; ``None`` when nothing is being classified."""
        return self._batch.progress

    @property
    def stopped(self) -> int:
        """How many rows were left out when the batch was cancelled."""
        return sum(row.state is State.STOPPED for row in self.rows)

    def poll(self) -> Changes:
        """Take what the workers have finished, for a few milliseconds, and say what changed."""
        end = time.monotonic() + _POLL_SECONDS
        while time.monotonic() < end:
            try:
                result = self._results.get_nowait()
            except Empty:
                break
            self._takers[type(result)](result)
        if self._clock() >= self.message.until:
            self.tell("")
        changes, self._changes = self._changes, Changes()
        rows = list(changes.rows)
        changes.rows = dict.fromkeys(rows[:_POLL_ROWS])
        self._changes.rows = dict.fromkeys(rows[_POLL_ROWS:])
        return changes

    # Commands

    def start(self) -> None:
        """Load the model. Not before the window stands, so that it stands at once."""
        self._loading, self._no_model = True, False
        self.tell("loading the model …")
        self._answers.do(partial(jobs.load_model, self._load))

    def choose_model(self, name: str) -> None:
        """Load another model; once it is there, everything is asked of it anew."""
        self._answers.cancel()
        self.volumes.leave()
        self._stop_rows()
        self._loading = True
        self.tell(f"loading the model {printable(name)} …")
        self._answers.do(partial(jobs.load_model, partial(self._load, name)))

    def open(self, paths: Iterable[str]) -> None:
        """List files and the files of folders, and classify them."""
        given = [path for path in paths if path]
        if not given:
            return
        self.settings.remember(given[0])
        self._finder.do(partial(opening.find, given))

    def paste(self, content: bytes | Image) -> None:
        """List a picture that no file holds, and classify it."""
        self._pasted += 1
        self._finder.do(partial(opening.paste, f"pasted picture {self._pasted}", content))

    def add_slice(self, name: str, picture: Slice) -> None:
        """List a slice that is read already, and classify it."""
        self._list_slices(results.Pasted(name, (picture,)))

    def select(self, number: int) -> None:
        """Show a row."""
        if number in self.rows and number != self.selected:
            self.volumes.leave()
            self.selected = number
            self._changes.parts |= {"selection", "shown", "slices"}
            self.view.ask()
            self.volumes.enter()

    def cancel(self) -> None:
        """Stop finding and classifying; what is answered stays."""
        self._finder.cancel()
        self.volumes.leave()
        if self.progress is None:
            return
        if not self._loading:  # nothing else waits behind the model
            self._answers.cancel()
        left = count_files(self._stop_rows())
        self.tell(f"stopped; {left} not classified")

    def resume(self) -> None:
        """Classify what was left out when the batch was cancelled, or the model did not load."""
        if self._no_model:
            self.start()
        left = [row for row in self.rows if row.state is State.STOPPED]
        for row in left:
            self._change(replace(row, state=State.WAITING))
        self._classify([row.id for row in left])

    def stop_explaining(self) -> None:
        """Stop what is computed of the selected slice; see `SliceView.stop`."""
        if self.view.busy or self.view.computing:
            self.view.stop()
            self.tell("explanation stopped", passing=True)

    def remove(self, numbers: Sequence[int], order: Sequence[int] = ()) -> None:
        """Take rows off the list, where they may stand in another order; the files stay."""
        order = order or self.rows.numbers()
        for number in numbers:
            if self.rows.remove(number):
                self._changes.rows.pop(number, None)
                self._changes.gone.append(number)
                if self._batch.forget(number):
                    self._changes.parts.add("progress")
        if self.selected is not None and self.selected not in self.rows:
            near = self.rows.nearest(order, self.selected)
            self.selected = None
            self.view.forget()
            self._changes.parts.add("selection")
            if near is not None:
                self.select(near)

    def clear(self) -> None:
        """Forget everything that was opened."""
        self.cancel()
        self.remove(self.rows.numbers())
        self.tell("")

    def tell(self, text: str, *, trouble: bool = False, passing: bool = False) -> None:
        """Show a sentence, or none; a passing one goes after some seconds."""
        until = self._clock() + _PASSING_SECONDS if passing else math.inf
        self.message = Message(text, trouble, until)
        self._changes.parts.add("message")

    def save_table(self, path: str) -> None:
        """Save the list as CSV."""
        self.saver.save_table(self.rows, self.options.classes, path)

    def close(self, timeout: float = 2.0) -> bool:
        """Stop all work; what is being saved is saved.

        Returns
        -------
        bool
            Whether all workers have ended within `timeout` seconds each.
        """
        stopping = (self._finder, self._answers, self.volumes)
        for worker in stopping:
            worker.close(0)
        self.view.close()
        saved = self.saver.finish(timeout)
        ended = [worker.close(timeout) for worker in stopping]
        return saved and all(ended) and self.view.has_ended(timeout)

    # What the workers say

    def _start_answering(self, result: results.Loaded) -> None:
        if self._classifier is not None:  # its answers are not those of this one
            self.view.forget()
            self.view.choice = Choice()
            for row in self.rows:
                if row.state is not State.UNREADABLE:
                    waiting = replace(row, state=State.WAITING, prediction=None, error=None)
                    self._change(waiting)
                    self._batch.add([row.file])
        self._classifier, self._loading, self._no_model = result.classifier, False, False
        self.options = options_of(result.classifier)
        self._changes.parts |= {"options", "shown"}
        self.tell("")
        self._batch.restart_clock()
        self._submit(self._batch.pending)
        self.view.start(result.classifier)
        self.volumes.start(result.classifier)

    def _list_files(self, result: results.Found) -> None:
        self._show_new([self.rows.add(name, path) for name, path in result.files])

    def _list_volume(self, result: results.FoundVolume) -> None:
        self._show_new([self.rows.add(result.name, result.path, None, result.stack, result.part)])

    def _list_slices(self, result: results.Pasted) -> None:
        several = [f" [{i}]" if len(result.slices) > 1 else "" for i in range(len(result.slices))]
        pairs = zip(several, result.slices, strict=True)
        self._show_new([self.rows.add(result.name + which, None, one) for which, one in pairs])

    def _show_new(self, rows: Sequence[Row | None]) -> None:
        new = [row.id for row in rows if row is not None]
        self._changes.rows.update(dict.fromkeys(new))
        self._classify(new)
        if self.selected is None and new:
            self.select(new[0])

    def _answer(self, result: results.Answered) -> None:
        first = self.rows.get(result.row)
        if first is None:
            return
        wanted = first.index if first.picture is not None else result.prediction.slice
        row, changed = self.rows.slice_of(first, wanted)
        self._changes.rows.update(dict.fromkeys(one.id for one in changed))
        if row is not None:
            self._change(row.answered(result.prediction))

    def _fail(self, result: results.Unreadable) -> None:
        row = self.rows.get(result.row)
        if row is not None and result.index is not None:
            row, changed = self.rows.slice_of(row, result.index)
            self._changes.rows.update(dict.fromkeys(one.id for one in changed))
        if row is None:
            return
        self._change(row.failed(result.message))
        if row.id == self.selected:
            self.view.forget()
        self._finish(results.Done(row.id))

    def _finish(self, result: results.Done) -> None:
        """Take a file off the batch."""
        if self._batch.finish(result.row):
            self._changes.parts.add("progress")
            if self.progress is None:
                self.tell(summarise(self.rows))

    def _show_explanation(self, result: results.Explained) -> None:
        row = self.rows.get(result.request.row)
        if not self.view.show(result) or row is None or row.prediction is not None:
            return
        answer, plane = result.explanation.prediction, result.request.plane
        if plane is not None:  # asked for before the batch came to it
            self.volumes.answer(results.SliceAnswered(row.id, plane, answer))
        else:
            self._change(row.answered(answer))

    def _tell_saved(self, result: results.Saved) -> None:
        self.tell(f"saved {result.what}: {printable(result.where)}", passing=True)

    def _trouble(self, result: Trouble) -> None:
        self._release(result.worker)
        self.tell(printable(result.message), trouble=True)

    def _crash(self, result: Crash) -> None:
        self._release(result.worker)
        raise result.error

    def _release(self, worker: str) -> None:
        """Wait no more for a worker whose job failed."""
        if worker == "explanations":
            self.view.stop()
        elif worker == "answers":
            self._loading, self._no_model = False, self._classifier is None
            self._stop_rows()

    # Small steps

    def _classify(self, numbers: list[int]) -> None:
        if numbers:
            if self.progress is None and self._classifier and not self.message.trouble:
                self.tell("")  # what was said of the batch before
            self._batch.add(numbers)
            self._changes.parts.add("progress")
            self._submit(numbers)
        if self._no_model:
            self._stop_rows()

    def _submit(self, numbers: list[int]) -> None:
        if self._classifier is not None and numbers:
            rows = [self.rows[number] for number in numbers]
            self._answers.do(partial(answering.answer, self._classifier, rows))

    def _stop_rows(self) -> int:
        """End the batch; say how many of its files have no answer."""
        # A file that was just answered is stopped too: nobody knows whether it has more slices.
        rows = [self.rows[number] for number in self._batch.stop()]
        for row in rows:
            self._change(replace(row, state=State.STOPPED))
        self._changes.parts.add("progress")
        return sum(row.answer is None for row in rows)

    def _touch(self, number: int) -> None:
        self._changes.rows[number] = None

    def _change(self, row: Row) -> None:
        self.rows.put(row)
        self._touch(row.id)
        if row.id == self.selected:
            self._changes.parts.add("shown")
