"""What the view model says to the view: choices, what is shown, messages, changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tumorlens.apps.session.results import Drawn, Explained, Request

if TYPE_CHECKING:
    from tumorlens.classifier import Classifier
    from tumorlens.explain.explanation import Explanation
    from tumorlens.images.slice import Slice

__all__ = ["Changes", "Choice", "Message", "Options", "Shown", "options_of"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to explain, and how; ``None`` leaves it to the model.

    Parameters
    ----------
    method
        A key of `tumorlens.explain.cam.METHODS`.
    layer
        A layer of the model; its last one when ``None``.
    target
        The class to explain; the most probable one when ``None``.
    versus
        The class to explain it against, or ``None``.
    """

    method: str | None = None
    layer: str | None = None
    target: str | None = None
    versus: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What there is to choose from; empty until the model is loaded.

    Parameters
    ----------
    methods
        Ways to explain, and what people call them.
    of_no_class
        Those of them that take no notice of the class.
    of_no_layer
        Those that look at the picture itself and at no layer.
    layers
        Layers to be explained, early to late: some of the model's, by their depth.
    classes
        The model's classes.
    colormaps
        What evidence can be coloured with.
    """

    methods: dict[str, str] = field(default_factory=dict)
    of_no_class: frozenset[str] = frozenset()
    of_no_layer: frozenset[str] = frozenset()
    layers: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    colormaps: tuple[str, ...] = ()


def options_of(classifier: Classifier) -> Options:
    """List what a model offers to choose from."""
    from tumorlens.explain.cam import METHODS  # noqa: PLC0415
    from tumorlens.explain.colormaps import COLORMAPS  # noqa: PLC0415
    from tumorlens.explain.stops import depth_stops  # noqa: PLC0415

    return Options(
        methods={name: method.title for name, method in METHODS.items()},
        of_no_class=frozenset(n for n, method in METHODS.items() if not method.of_class),
        of_no_layer=frozenset({"occlusion"}),
        layers=depth_stops(classifier.layers),
        classes=classifier.card.classes,
        colormaps=tuple(COLORMAPS),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The slice in the middle of the window.

    Parameters
    ----------
    request
        What was asked for.
    picture
        The slice.
    drawn
        Its pictures.
    explanation
        Its explanation, once it is there.
    second
        What another method says of it, once it is there.
    """

    request: Request
    picture: Slice
    drawn: Drawn
    explanation: Explanation | None = None
    second: Explained | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for the person at the window.

    Parameters
    ----------
    text
        The sentence; empty when there is nothing to say.
    trouble
        Whether the person should do something about it.
    until
        When it is no longer worth saying, in seconds of the view model's clock.
    """

    text: str
    trouble: bool = False
    until: float = math.inf


@dataclass(slots=True)
class Changes:
    """What has changed since the last poll.

    Parameters
    ----------
    rows
        Numbers of the rows that are new or different, in the order of their change.
    gone
        Numbers of the rows that are no more.
    parts
        Any of ``"selection"``, ``"shown"``, ``"slices"``, ``"look"``, ``"options"``,
        ``"computing"``, ``"progress"``, ``"message"``.
    """

    rows: dict[int, None] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
