"""Files of a store, brought to the machine that answers for them, under their names there."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.archive.lanes import Opened, Part, Place, listed_or_parts, open_place
from tumorlens.archive.store import Store
from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.volume import Volume
from tumorlens.sources.failure import Failure, parts_or_fail
from tumorlens.sources.series import find_units, is_dicom

__all__ = ["Fetched"]


class Fetched:
    """Files of stores, in a folder here; files that lie here already are left where they are.

    Parameters
    ----------
    stores
        By the number of the path that was given; that of a path on this machine is not there.
    folder
        Where to bring them.
    """

    def __init__(self, stores: Mapping[int, Store], folder: Path) -> None:
        self._stores = stores
        self._folder = folder
        self._brought: dict[tuple[int, str], Path | Failure] = {}
        self._count = 0

    def is_dicom(self, place: Place) -> bool:
        """Say whether a file is DICOM; it is brought for that."""
        if place.root not in self._stores:
            return is_dicom(place.path)
        found = self._bring(place.root, place.path)
        return not isinstance(found, Failure) and is_dicom(str(found))

    def opened(self, place: Place) -> Opened:
        """Open a file or the files of a series, as `tumorlens.archive.lanes.open_place` does."""
        if place.root not in self._stores:
            return open_place(place)
        if place.files:
            return self._series(place)
        parts = self._parts(place.root, place.path)
        found = self._brought.pop((place.root, place.path))
        if isinstance(found, Path):
            found.unlink()  # what a file holds is in memory
        return listed_or_parts(parts)

    def _series(self, place: Place) -> Iterator[Part]:
        """Find the series among files of a folder; those that cannot be had are named."""
        names, files = dict[str, str](), list[str]()
        for name in place.files:
            found = self._bring(place.root, name)
            path = str(self._folder / "none" / str(len(files)))  # is no DICOM file
            files.append(path if isinstance(found, Failure) else str(found))
            names[files[-1]] = name
        names[str(self._folder)] = os.path.dirname(place.path)  # noqa: PTH120  # as local ones
        for unit in find_units(files):
            if isinstance(unit, str):
                yield from self._parts(place.root, names[unit])
            elif isinstance(unit, Volume):
                yield _renamed(unit, names)
            else:
                yield Failure(names[unit.path], _of(unit.error, names))

    def _parts(self, root: int, name: str) -> list[Part]:
        found = self._bring(root, name)
        if isinstance(found, Failure):
            return [found]
        return [*parts_or_fail(name, io.BytesIO(found.read_bytes()))]

    def _bring(self, root: int, name: str) -> Path | Failure:
        """Copy a file once, and no more of it than is read."""
        key = root, name
        if key not in self._brought:
            store = self._stores[root]
            try:
                content = store.read(name.removeprefix(store.start), Limits().max_bytes + 1)
            except OSError as error:
                told = f"it cannot be opened ({str(error).splitlines()[0]})"
                failure = UnreadableImageError(name, told, "check the path")
                self._brought[key] = Failure(name, failure)
            else:
                path = self._folder / f"{self._count:08d}"
                self._count += 1
                path.write_bytes(content)
                self._brought[key] = path
        return self._brought[key]


def _renamed(volume: Volume, names: Mapping[str, str]) -> Volume:
    """Call a volume's files as they are called where they come from."""

    def pixels(index: int) -> NDArray[np.float32]:
        try:
            return volume.pixels(index)
        except UnreadableImageError as error:
            raise _of(error, names) from error

    path = names.get(volume.path or "", volume.path)
    paths: Sequence[str] = [names.get(x, x) for x in volume.paths]
    return replace(volume, pixels=pixels, path=path, paths=tuple(paths), recut=None)


def _of(error: UnreadableImageError, names: Mapping[str, str]) -> UnreadableImageError:
    return UnreadableImageError(names.get(error.source, error.source), error.found, error.hint)
