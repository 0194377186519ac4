"""What the window knows and can do, without a window.

The view calls commands, and `ViewModel.poll` again and again; `poll` takes what the
workers have finished, and says what has changed. All of it happens in one thread, so
that there is nothing to lock.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from tumorlens.apps.desktop import jobs
from tumorlens.apps.desktop.batch import Batch, Progress
from tumorlens.apps.desktop.row_list import RowList
from tumorlens.apps.desktop.rows import Row, State, printable, to_csv
from tumorlens.apps.desktop.settings import Settings
from tumorlens.apps.desktop.state import Changes, Choice, Message, Options, Shown
from tumorlens.apps.desktop.worker import Crash, Trouble, Worker

if TYPE_CHECKING:
    from PIL.Image import Image

    from tumorlens.classify import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice
    from tumorlens.models.card import Card

__all__ = ["ViewModel"]

_POLL_SECONDS = 0.015  # of one poll: the window must answer in between


class ViewModel:
    """State and commands of the window.

    Parameters
    ----------
    load
        Loads the model; called in a worker.
    settings
        What is remembered; the folder changes as pictures are opened.
    clock
        Seconds, for the time left.
    """

    def __init__(
        self,
        load: Callable[[], Classifier],
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self.settings = settings or Settings()
        self.rows = RowList()
        self.selected: int | None = None
        self.choice = Choice()
        self.options = Options()
        self.colormap = "inferno"
        self.strength = 0.6
        self.shown: Shown | None = None
        self.explaining = False
        self.message = Message("")
        self._loading = self._no_model = False
        self._classifier: Classifier | None = None
        self._pasted = 0
        self._drag_folder: str | None = None
        self._packing: Explanation | None = None
        self._packed: jobs.Packed | None = None
        self._batch = Batch(clock)
        self._changes = Changes()
        self._results: SimpleQueue[object] = SimpleQueue()
        self._reader = jobs.Reader()
        self._finder, self._reading, self._answers, self._explanations, self._saver = (
            Worker(name, self._results)
            for name in ("finder", "reader", "answers", "explanations", "saver")
        )
        self._takers: dict[type, Callable[[Any], None]] = {
            jobs.Loaded: self._start_answering,
            jobs.Found: self._list_files,
            jobs.Pasted: self._list_slices,
            jobs.Answered: self._answer,
            jobs.Done: self._finish,
            jobs.Unreadable: self._fail,
            jobs.Seen: self._see,
            jobs.Explained: self._show_explanation,
            jobs.Saved: self._tell_saved,
            jobs.Packed: self._remember_packed,
            Trouble: self._trouble,
            Crash: _raise,
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
        changes, self._changes = self._changes, Changes()
        return changes

    # Commands

    def start(self) -> None:
        """Load the model. Not before the window stands, so that it stands at once."""
        self._loading, self._no_model = True, False
        self.tell("loading the model …")
        self._answers.do(partial(jobs.load_model, self._load))

    def open(self, paths: Iterable[str]) -> None:
        """List files and the files of folders, and classify them."""
        given = [path for path in paths if path]
        if not given:
            return
        first = Path(given[0])
        self.settings.folder = str(first if first.is_dir() else first.absolute().parent)
        self._finder.do(partial(jobs.find, given))

    def paste(self, content: bytes | Image) -> None:
        """List a picture that no file holds, and classify it."""
        self._pasted += 1
        self._finder.do(partial(jobs.paste, f"pasted picture {self._pasted}", content))

    def add_slice(self, name: str, picture: Slice) -> None:
        """List a slice that is read already, and classify it."""
        self._list_slices(jobs.Pasted(name, (picture,)))

    def select(self, number: int) -> None:
        """Show a row."""
        if number in self.rows and number != self.selected:
            self.selected = number
            self._changes.parts |= {"selection", "shown"}
            self._explain()

    def choose(self, choice: Choice) -> None:
        """Change what is explained, and how."""
        if choice.versus is not None and choice.versus == choice.target:
            choice = replace(choice, versus=None)
        if choice != self.choice:
            self.choice = choice
            self._changes.parts.add("options")
            self._explain()

    def set_strength(self, strength: float) -> None:
        """Change the density of the overlay, from 0 to 1; nothing is computed again."""
        self.strength = min(1.0, max(0.0, strength))

    def set_colormap(self, colormap: str) -> None:
        """Colour the evidence differently; nothing is explained again."""
        self.colormap = colormap
        shown = self.shown
        if shown and shown.explanation and not self.explaining:
            job = partial(jobs.colour, shown.explanation, shown.request, colormap)
            self._reading.do_instead(job)

    def cancel(self) -> None:
        """Stop finding and classifying; what is answered stays."""
        self._finder.cancel()
        if self.progress is None:
            return
        if not self._loading:  # nothing else waits behind the model
            self._answers.cancel()
        left = _files(self._stop_rows())
        self.tell(f"stopped; {left} not classified")

    def resume(self) -> None:
        """Classify what was left out when the batch was cancelled, or the model did not load."""
        if self._no_model:
            self.start()
        left = [row for row in self.rows if row.state is State.STOPPED]
        for row in left:
            self._change(replace(row, state=State.WAITING))
        self._classify([row.id for row in left])

    def remove(self, numbers: Sequence[int]) -> None:
        """Take rows off the list; the files stay where they are."""
        order = self.rows.numbers()
        for number in numbers:
            if self.rows.remove(number):
                self._changes.rows.pop(number, None)
                self._changes.gone.append(number)
                if self._batch.forget(number):
                    self._changes.parts.add("progress")
        if self.selected is not None and self.selected not in self.rows:
            near = self.rows.nearest(order, self.selected)
            self.selected, self.shown, self.explaining = None, None, False
            self._changes.parts |= {"selection", "shown"}
            if near is not None:
                self.select(near)

    def clear(self) -> None:
        """Forget everything that was opened."""
        self.cancel()
        self.remove(self.rows.numbers())
        self._reader = jobs.Reader()
        self.tell("")

    def tell(self, text: str, *, trouble: bool = False) -> None:
        """Show a sentence, or none."""
        self.message = Message(text, trouble)
        self._changes.parts.add("message")

    def save_overlay(self, path: str) -> None:
        """Save the overlay as it is shown, as PNG."""
        if explanation := self._explained():
            look = self.strength, self.colormap
            self._saver.do(partial(jobs.save_overlay, explanation, *look, path))

    def save_record(self, folder: str) -> None:
        """Save map, overlay and manifest in a new folder below `folder`."""
        if (explanation := self._explained()) and (row := self.row):
            self._saver.do(partial(jobs.save_record, explanation, folder, row.name))

    def save_table(self, path: str) -> None:
        """Save the list as CSV."""
        text = to_csv(self.rows, self.options.classes)
        self._saver.do(partial(jobs.save_table, text, len(self.rows), path))

    def prepare_drag(self) -> None:
        """Write the record of what is shown where it can be dragged from."""
        explanation = self.shown.explanation if self.shown else None
        row = self.row
        if explanation is None or row is None or self.dragged or explanation is self._packing:
            return
        if self._drag_folder is None:
            self._drag_folder = tempfile.mkdtemp(prefix="tumorlens-")  # for nobody else's eyes
        self._packing = explanation
        self._saver.do(partial(jobs.pack, explanation, self._drag_folder, row.name))

    @property
    def dragged(self) -> str | None:
        """The record of what is shown, once it can be dragged."""
        explanation = self.shown.explanation if self.shown else None
        packed = self._packed
        return packed.where if packed and packed.explanation is explanation else None

    def close(self, timeout: float = 2.0) -> bool:
        """Stop all work; what is being saved is saved.

        Returns
        -------
        bool
            Whether all workers have ended within `timeout` seconds each.
        """
        stopping = (self._finder, self._reading, self._answers, self._explanations)
        for worker in stopping:
            worker.close(0)
        saved = self._saver.finish(timeout)
        ended = [worker.close(timeout) for worker in stopping]
        if self._drag_folder is not None:
            shutil.rmtree(self._drag_folder, ignore_errors=True)
        return saved and all(ended)

    # What the workers say

    def _start_answering(self, result: jobs.Loaded) -> None:
        from tumorlens.explain.cam import METHODS  # noqa: PLC0415
        from tumorlens.explain.colormaps import COLORMAPS  # noqa: PLC0415

        self._classifier, self._loading = result.classifier, False
        self.options = Options(
            methods={name: method.title for name, method in METHODS.items()},
            of_no_class=frozenset(n for n, method in METHODS.items() if not method.of_class),
            layers=result.classifier.layers,
            classes=result.classifier.card.classes,
            colormaps=tuple(COLORMAPS),
        )
        self._changes.parts |= {"options", "shown"}
        self.tell("")
        self._batch.restart_clock()
        self._submit(self._batch.pending)
        self._explain()

    def _list_files(self, result: jobs.Found) -> None:
        self._show_new([self.rows.add(name, path) for name, path in result.files])

    def _list_slices(self, result: jobs.Pasted) -> None:
        names = [result.name]
        if len(result.slices) > 1:
            names = [f"{result.name} [{i}]" for i in range(len(result.slices))]
        pairs = zip(names, result.slices, strict=True)
        self._show_new([self.rows.add(name, None, picture) for name, picture in pairs])

    def _show_new(self, rows: Sequence[Row | None]) -> None:
        new = [row.id for row in rows if row is not None]
        self._changes.rows.update(dict.fromkeys(new))
        self._classify(new)
        if self.selected is None and new:
            self.select(new[0])

    def _answer(self, result: jobs.Answered) -> None:
        first = self.rows.get(result.row)
        if first is None:
            return
        answer = result.prediction
        wanted = first.index if first.picture is not None else answer.slice
        row, changed = self.rows.slice_of(first, wanted)
        self._changes.rows.update(dict.fromkeys(one.id for one in changed))
        if row is not None:
            self._change(replace(row, state=State.ANSWERED, prediction=answer))

    def _fail(self, result: jobs.Unreadable) -> None:
        row = self.rows.get(result.row)
        if row is None:
            return
        self._change(replace(row, state=State.UNREADABLE, error=printable(result.message)))
        if row.id == self.selected:
            self.explaining, self.shown = False, None
        self._finish(jobs.Done(row.id))

    def _finish(self, result: jobs.Done) -> None:
        """Take a file off the batch."""
        if self._batch.finish(result.row):
            self._changes.parts.add("progress")
            if self.progress is None:
                self._summarise()

    def _see(self, result: jobs.Seen) -> None:
        if result.request.row == self.selected and self.shown is None:
            self.shown = Shown(result.request, result.picture, result.plain)
            self._changes.parts.add("shown")

    def _show_explanation(self, result: jobs.Explained) -> None:
        if self.selected is None or result.request != self._request(self.selected):
            return  # something else has been asked for meanwhile
        explanation = result.explanation
        self.shown = Shown(
            request=result.request,
            picture=explanation.picture,
            plain=result.plain,
            explanation=explanation,
            full=result.full,
            ramp=result.ramp,
        )
        self.explaining = False
        self._changes.parts |= {"shown", "options"}
        row = self.rows[result.request.row]
        if row.prediction is None:  # asked for before the batch came to it
            answer = explanation.prediction
            self._change(replace(row, state=State.ANSWERED, prediction=answer))

    def _tell_saved(self, result: jobs.Saved) -> None:
        self.tell(f"saved {result.what}: {printable(result.where)}")

    def _remember_packed(self, result: jobs.Packed) -> None:
        self._packed = result

    def _trouble(self, result: Trouble) -> None:
        if result.worker == "explanations":
            self.explaining = False
            self._changes.parts |= {"shown", "options"}
        elif result.worker == "answers":
            self._loading, self._no_model = False, self._classifier is None
            self._stop_rows()
        self.tell(printable(result.message), trouble=True)

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
            self._answers.do(partial(jobs.answer, self._classifier, rows))

    def _stop_rows(self) -> int:
        """End the batch; say how many of its files have no answer."""
        # A file that was just answered is stopped too: nobody knows whether it has more slices.
        rows = [self.rows[number] for number in self._batch.stop()]
        for row in rows:
            self._change(replace(row, state=State.STOPPED))
        self._changes.parts.add("progress")
        return sum(row.prediction is None for row in rows)

    def _summarise(self) -> None:
        answers = [row.prediction for row in self.rows if row.prediction is not None]
        doubtful = sum(not answer.assessable for answer in answers)
        unreadable = sum(row.state is State.UNREADABLE for row in self.rows)
        text = f"{len(answers)} slice{'' if len(answers) == 1 else 's'} classified"
        text += f", {doubtful} of them not assessable" if doubtful else ""
        text += f", {_files(unreadable)} could not be read" if unreadable else ""
        self.tell(text)

    def _explain(self) -> None:
        """Ask for the selected slice and its explanation; forget what was asked before."""
        row = self.row
        if row is None:
            return
        if self.shown is not None and self.shown.request.row != row.id:
            self.shown = None
        self._changes.parts.add("shown")
        readable = row.state is not State.UNREADABLE
        self.explaining = readable and self._classifier is not None
        if not readable:
            return
        request = self._request(row.id)
        if self.shown is None:
            self._reading.do_instead(partial(jobs.see, self._reader, row, request))
        if self._classifier is not None:
            reader, colormap = self._reader, self.colormap
            job = partial(jobs.explain, self._classifier, reader, row, request, colormap)
            self._explanations.do_instead(job)

    def _request(self, number: int) -> jobs.Request:
        names = ("method", "layer", "target", "versus")
        chosen = {name: getattr(self.choice, name) for name in names}
        # What is left to the model is not named.
        options = {name: value for name, value in chosen.items() if value is not None}
        return jobs.Request(number, options)

    def _explained(self) -> Explanation | None:
        explanation = self.shown.explanation if self.shown else None
        if explanation is None:
            self.tell("nothing to save yet: select a slice and wait for its overlay", trouble=True)
        return explanation

    def _change(self, row: Row) -> None:
        self.rows.put(row)
        self._changes.rows[row.id] = None
        if row.id == self.selected:
            self._changes.parts.add("shown")


def _raise(crash: Crash) -> None:
    raise crash.error


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"
