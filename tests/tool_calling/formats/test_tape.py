from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tool_calling.formats.tape import Markers, Steps, Tape

_T = TypeVar("_T")


def _run(text: str, step: Callable[[Tape], Steps[_T]]) -> tuple[_T, str]:
    """Run a step over a text that comes a character at a time; return its result and the rest."""
    tape = Tape()
    steps = step(tape)
    waiting = iter(text)
    result: list[_T] = []

    def outcome() -> Steps[None]:
        result.append((yield from steps))

    for _ in outcome():
        piece = next(waiting, None)
        if piece is None:
            tape.end()
        else:
            tape.feed(piece)
    tape.feed("".join(waiting))
    tape.end()
    return result[0], tape.text_before(Markers(()))[0]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("abc<x>d", ("abc", "<x>")),
        ("a<xy>d", ("a", "<xy>")),
        ("a<x", ("a<x", None)),
        ("", ("", None)),
        ("<<x>", ("<", "<x>")),
    ],
    ids=str,
)
def test_text_is_read_through_a_marker(text: str, result: tuple[str, str | None]) -> None:
    assert _run(text, lambda tape: tape.through(Markers(["<x>", "<xy>"])))[0] == result


def test_longest_marker_wins_and_the_first_before_it() -> None:
    markers = Markers(["ab", "abc", "xabcd"])
    assert _run("abcd", lambda tape: tape.skip(markers)) == ("abc", "d")
    assert _run("abx", lambda tape: tape.skip(markers)) == ("ab", "x")
    assert _run("xabcd", lambda tape: tape.through(markers))[0] == ("", "xabcd")
    assert _run("xabce", lambda tape: tape.through(markers)) == (("x", "abc"), "e")


@pytest.mark.parametrize(
    ("text", "result", "rest"),
    [
        ("name>rest", ("name", ">"), "rest"),
        ("a long name>rest", ("a long n", None), "a long name>rest"),
        ("name", ("name", None), "name"),
    ],
    ids=["found", "too far", "missing"],
)
def test_head_is_read_only_with_its_end(
    text: str, result: tuple[str, str | None], rest: str
) -> None:
    assert _run(text, lambda tape: tape.head(Markers([">"]), 8)) == (result, rest)


@pytest.mark.parametrize(
    ("text", "raw", "complete"),
    [
        ('{"a": "}"} x', '{"a": "}"}', True),
        ('{"a": "\\"}"}]', '{"a": "\\"}"}', True),
        ("[[1], [2]], 3", "[[1], [2]]", True),
        ('{"a": "b', '{"a": "b', False),
        ('{"a": "<"}<end>', '{"a": "<"}', True),
        ('{"a": <end>', '{"a": ', False),
        ('{"a": "\\', '{"a": "\\', False),
    ],
    ids=str,
)
def test_value_ends_with_its_last_bracket(text: str, raw: str, complete: bool) -> None:
    found, rest = _run(text, lambda tape: tape.value())
    assert found == (raw, complete)
    assert raw + rest == text


def test_python_quotes_count_where_asked_for() -> None:
    assert _run("[f(a=']')] x", lambda tape: tape.value("\"'"))[0] == ("[f(a=']')]", True)


def test_what_is_read_is_kept() -> None:
    tape = Tape()
    tape.feed("ab cd")
    tape.keep("<x>")
    assert tape.take(3) == "ab "
    assert tape.kept == "<x>ab "
    assert not tape.is_empty


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab<>", max_size=20), st.sets(st.text("ab<", min_size=1, max_size=4)))
def test_marker_is_found_the_same_a_character_at_a_time(text: str, marks: set[str]) -> None:
    markers = Markers(marks)
    stop, marker = markers.search(text, 0, ended=True)
    assert _run(text, lambda tape: tape.through(markers))[0] == (text[:stop], marker)
