"""Whatever callers have, a few slices at a time: paths, bytes, pictures, arrays, slices."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from operator import length_hint
from typing import Literal, TypeAlias

from tumorlens.errors import UnreadableImageError
from tumorlens.images.prepare import Prepared
from tumorlens.images.read import Readable, read_slices
from tumorlens.images.slice import Slice
from tumorlens.prediction import Prediction, Predictor
from tumorlens.progress import Progress, silent
from tumorlens.sources.failure import Failure

__all__ = ["OnError", "Source", "as_slices", "counted", "gather", "predict_found"]

Source: TypeAlias = Readable | Slice
"""Whatever a slice can come from."""

OnError: TypeAlias = Literal["raise", "return", "skip"]
"""What becomes of a picture that cannot be read."""


def as_slices(source: Source) -> list[Slice]:
    """Read a source; a slice stands for itself."""
    return [source] if isinstance(source, Slice) else read_slices(source)


def counted(sources: Iterable[Source], progress: Progress) -> Iterable[Source]:
    """Tell of each source once it is done with."""
    return sources if progress is silent else _tell(_several(sources), progress)


def _tell(sources: Iterable[Source], progress: Progress) -> Iterator[Source]:
    total = length_hint(sources)
    for done, source in enumerate(sources, 1):
        yield source
        progress("reading", done, total)


def _several(sources: Iterable[Source]) -> Iterable[Source]:
    if isinstance(sources, str | bytes | os.PathLike):
        raise TypeError("`sources` must be several sources, such as a list of paths")
    return sources


def gather(
    sources: Iterable[Source], batch_size: int, on_error: OnError = "raise"
) -> Iterator[list[Slice | Failure]]:
    """Read sources into batches; what was read before a picture that cannot be comes first."""
    if batch_size not in range(1, 1_000_000):
        raise ValueError(f"`batch_size` must be a whole number from 1, got {batch_size!r}")
    if on_error not in ("raise", "return", "skip"):
        raise ValueError(f'`on_error` must be "raise", "return" or "skip", got {on_error!r}')
    batch: list[Slice | Failure] = []
    for source in _several(sources):
        try:
            batch += as_slices(source)
        except UnreadableImageError as error:
            if on_error == "return":
                batch.append(Failure(error.source, error))
            elif on_error == "raise":
                if batch:
                    yield batch
                raise
        while len(batch) >= batch_size:
            yield batch[:batch_size]
            batch = batch[batch_size:]
    if batch:
        yield batch


def predict_found(
    classifier: Predictor, found: Sequence[tuple[Slice, Prepared] | Failure]
) -> Iterator[Prediction | Failure]:
    """Classify slices that are read and prepared, in one go; failures keep their places."""
    good = [item for item in found if not isinstance(item, Failure)]
    answers: Iterator[Prediction] = iter(())
    if good:
        pictures, prepared = zip(*good, strict=True)
        answers = iter(classifier.predict_prepared(list(pictures), list(prepared)))
    for item in found:
        yield item if isinstance(item, Failure) else next(answers)
