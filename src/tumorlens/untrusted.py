"""Values that others wrote: which can be computed with, and how they are shown.

Whatever a file, a card or a server says may be absurd. A number may be too large for
any computation, a text may move the cursor, change colours or fill the screen.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeGuard

__all__ = ["is_number", "is_whole", "printable", "read_json"]

_HUGE: Final = 1e300  # no honest number comes near; larger ones overflow when computed with
_DIGITS: Final = 302  # of a number of that size, with its sign
_DEEPEST: Final = 64  # JSON within JSON; configs of networks and cards stay below 20
_LONGEST: Final = 5000  # characters: longer than any path, shorter than any nuisance


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a value is a number, and not a truth, that floats can compute with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_HUGE <= value <= _HUGE  # false for NaN too


def is_whole(value: object) -> TypeGuard[int]:
    """Say whether a value is such a number, and an integer."""
    return isinstance(value, int) and is_number(value)


def read_json(text: str | bytes) -> Any:
    """Read JSON in which every number can be computed with, and which is not nested without end.

    Raises
    ------
    ValueError
        When it is no such JSON; the message says why.
    """
    try:
        values = json.loads(
            text, parse_int=_read_int, parse_float=_read_float, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level = [values]
    for _ in range(_DEEPEST):
        inner = [x for x in level if isinstance(x, dict | list)]
        level = [y for x in inner for y in (x.values() if isinstance(x, dict) else x)]
        if not level:
            return values
    raise ValueError("it is nested too deeply")


def printable(value: object, most: int = _LONGEST) -> str:
    """Write a value as one line that any terminal, page or window can show.

    Parameters
    ----------
    value
        Any object; its ``str`` is what is shown.
    most
        How many characters to show. Of a longer text the middle is left out: an error
        begins with where it is and ends with how to mend it.

    Returns
    -------
    str
        Without control characters, line ends, text directions and halves of characters.
    """
    text = str(value)
    if len(text) > most:
        end = most // 3
        text = f"{text[: most - end - 3]} … {text[-end:]}"
    return "".join(char if char.isprintable() else "�" for char in text)


def _read_int(digits: str) -> int:
    # Its length first: to read an integer takes the square of its length.
    if len(digits) > _DIGITS or not is_number(number := int(digits)):
        raise ValueError(f"a number of {len(digits)} digits is too large to compute with")
    return number


def _read_float(digits: str) -> float:
    number = float(digits)
    if not is_number(number):
        raise ValueError(f"{digits[:40]} is too large to compute with")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
