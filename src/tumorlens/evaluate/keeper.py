"""A classifier that keeps what its network made of each slice, also under other looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tumorlens.classifier import Classifier
from tumorlens.evaluate.looks import Look
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.models.session import Session
from tumorlens.prediction import Prediction

__all__ = ["Keeper"]


class Keeper(Classifier):
    """A classifier that keeps what novelty is measured by of the first slice of each file.

    Parameters
    ----------
    session
        The network.
    looks
        Under which looks it is to see each slice too; `vectors` holds what it made of the
        slices as they are, `looked` what it made of them under each look, by path.
    """

    def __init__(self, session: Session, looks: Mapping[str, Look]) -> None:
        super().__init__(session)
        self._looks = looks
        self.vectors: dict[str | None, NDArray[np.float32]] = {}
        self.looked: dict[str, dict[str | None, NDArray[np.float32]]] = {x: {} for x in looks}

    def predict_prepared(
        self, batch: Sequence[Slice], prepared: Sequence[Prepared]
    ) -> list[Prediction]:
        """Classify slices, and see them under the looks."""
        found, _, vectors = self.seen(batch, prepared)
        self._keep(batch, vectors, self.vectors)
        greys = [np.rint(one.pixels * 255).astype(np.uint8) for one in prepared]
        for name, look in self._looks.items():
            shown = [
                dataclasses.replace(one, pixels=look(grey).astype(np.float32) / np.float32(255))
                for one, grey in zip(prepared, greys, strict=True)
            ]
            self._keep(batch, self.seen(batch, shown)[2], self.looked[name])
        return found

    def views(
        self, paths: Sequence[str]
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Give the vectors ``(n, channels)`` of files, as they are and under each look."""
        looked = {
            name: np.stack([kept[path] for path in paths]) for name, kept in self.looked.items()
        }
        return np.stack([self.vectors[path] for path in paths]), looked

    @staticmethod
    def _keep(
        batch: Sequence[Slice],
        vectors: NDArray[np.float32],
        kept: dict[str | None, NDArray[np.float32]],
    ) -> None:
        for picture, vector in zip(batch, vectors, strict=True):
            if picture.index == 0:
                kept[picture.path] = vector
