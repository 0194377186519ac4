"""Values that others wrote: no number overflows, no text reaches a terminal as it came."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens import errors
from tumorlens.errors import MissingExtraError, ModelError, UnreadableImageError
from tumorlens.untrusted import is_number, is_whole, printable, read_json


@pytest.mark.parametrize("value", [0, -3, 7.5, 1e299, -1e299, 2**900])
def test_numbers_that_can_be_computed_with(value: float) -> None:
    assert is_number(value)
    assert float(value) * 2 == 2 * value
    assert is_whole(value) is isinstance(value, int)


@pytest.mark.parametrize(
    "value", [True, False, None, "1", [1], float("nan"), float("inf"), 10**400, -(10**400), 1e301]
)
def test_what_is_no_such_number(value: object) -> None:
    assert not is_number(value)
    assert not is_whole(value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.text()
    | st.floats(-1e300, 1e300),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=20,
)


@given(JSON)
def test_honest_json_is_read_as_json_reads_it(value: object) -> None:
    assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"[{10**400}]", "a number of 401 digits is too large to compute with"),
        (f'{{"a": -{10**302}}}', "too large"),
        ("9" * 10**6, "a number of 1000000 digits"),
        ("[1e999]", "1e999 is too large"),
        ("1." + "0" * 10**6 + "e999", "1.000"),
        ("[NaN]", "NaN is no JSON"),
        ("[-Infinity]", "-Infinity is no JSON"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested too deeply"),
        ("[" * 10**5, "nested too deeply"),
        ("[", "Expecting value"),
        (b"\xff\xfe\x00", "codec"),
    ],
    ids=lambda x: str(x)[:12],
)
def test_json_that_no_program_of_ours_can_use_is_refused(text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read_json(text)
    assert len(str(caught.value)) < 200


@given(st.text())
def test_whatever_it_is_one_line_is_shown(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


@given(st.text(max_size=200), st.integers(10, 50))
def test_no_more_is_shown_than_asked_for(text: str, most: int) -> None:
    assert len(printable(text, most)) <= most
    if len(text) > most:
        assert printable(text, most)[0] == printable(text)[0]
        assert printable(text, most)[-1] == printable(text)[-1]


@pytest.mark.parametrize("code", ["\x1b[2J", "\n", "\r", "\x00", "\x9b31m", "\u202e", "\ud800"])
def test_terminals_are_not_commanded(code: str) -> None:
    assert printable(f"a{code}b").isprintable()


ESCAPE = "\x1b]0;owned\x07\nok"


@pytest.mark.parametrize(
    "error",
    [
        *(
            kind(ESCAPE)
            for kind in vars(errors).values()
            if isinstance(kind, type)
            and issubclass(kind, errors.TumorLensError)
            and kind not in (UnreadableImageError, MissingExtraError)
        ),
        UnreadableImageError(ESCAPE, ESCAPE, "give another"),
        MissingExtraError(ESCAPE, "hub"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_of_ours_is_one_line(error: errors.TumorLensError) -> None:
    assert str(error).isprintable()
    assert "owned" in str(error)


def test_a_long_message_keeps_its_place_and_its_cure() -> None:
    said = str(ModelError(f"a/model.json: {'x' * 10**6}; export it again"))
    assert len(said) <= 5000
    assert said.startswith("a/model.json: xxx")
    assert said.endswith("xxx; export it again")
