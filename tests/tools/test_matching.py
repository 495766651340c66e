from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from victor.tools.base import ToolError
from victor.tools.matching import Replacement, replaced

NOTE = " Note: the old text matched only apart from whitespace; check the result."


@pytest.mark.parametrize(
    ("content", "old", "new", "result"),
    [
        pytest.param("a b c", "b", "x", "a x c", id="within-a-line"),
        pytest.param("a\nb\nc", "b\nc", "x", "a\nx", id="lines-without-final-newline"),
        pytest.param("a\nb\n", "b\n", "", "a\n", id="deletion"),
        pytest.param("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n", id="crlf"),
        pytest.param("a\r\nb\r\n", "a", "x\ny", "x\r\ny\r\nb\r\n", id="crlf-of-the-file"),
        pytest.param("a\r\nb\n", "b\n", "x\ny\n", "a\r\nx\ny\n", id="mixed-ends-of-the-place"),
        pytest.param("a\r\nb\r\n", "a\r\nb", "x", "x\r\n", id="crlf-given"),
        pytest.param("a.b\naxb\n", "a.b", r"\1", "\\1\naxb\n", id="nothing-is-a-pattern"),
        pytest.param("é\u2028ü\n", "ü", "u", "é\u2028u\n", id="unicode"),
    ],
)
def test_exact_text_is_replaced(content: str, old: str, new: str, result: str) -> None:
    found = replaced(content.encode(), old, new)
    assert found.content == result.encode()
    assert found.note == ""


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert replaced(b"\xff\0a\xfe\r", "a", "b").content == b"\xff\0b\xfe\r"


@given(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.text(min_size=1, max_size=20),
    st.text(max_size=20),
)
@settings(max_examples=200)
def test_exact_edit_changes_the_match_and_no_other_byte(
    before: bytes, after: bytes, old: str, new: str
) -> None:
    assume("\r" not in old + new and old != new)
    content = before + old.encode() + after
    first = content.find(old.encode())
    assume(first == len(before) and content.find(old.encode(), first + 1) < 0)
    assume(b"\r\n" not in content)
    assert replaced(content, old, new).content == before + new.encode() + after


@given(
    st.lists(st.sampled_from(["a", " a", "\tb", "  b  c", "", " "]), max_size=8),
    st.lists(st.sampled_from(["a", "a ", "b", "b c", "  b c", ""]), min_size=1, max_size=3),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=300)
def test_any_edit_keeps_the_other_lines(lines: list[str], old: list[str], end: str) -> None:
    content = end.join(lines).encode()
    try:
        found = replaced(content, "\n".join(old), "NEW")
    except ToolError:
        return
    start, stop = found.content.split(b"NEW")
    assert content.startswith(start.rstrip(b" \t"))
    assert content.endswith(stop)
    assert found.line == start.count(b"\n") + 1


@pytest.mark.parametrize(
    ("content", "old", "new", "result"),
    [
        pytest.param(
            "def f():\n    if x:\n        y()\n",
            "if x:\n    y()",
            "if z:\n    y()\n\n    w()",
            "def f():\n    if z:\n        y()\n\n        w()\n",
            id="indented-further",
        ),
        pytest.param(
            "a\n  b\nc\n", "    b\n", "    x\n      y\n", "a\n  x\n    y\nc\n", id="indented-less"
        ),
        pytest.param("a = [1,  2]\n", "a = [1, 2]", "a = []", "a = []\n", id="inner-space"),
        pytest.param("a  \nb\n", "a\nb\n", "x\n", "x\n", id="trailing-space"),
        pytest.param("a  \nb", "a\nb\n", "x\n", "x", id="no-final-newline"),
        pytest.param("a  \r\nb\r\nc", "a\nb", "x\ny", "x\r\ny\r\nc", id="crlf"),
        pytest.param("a  \nb\nc\n", "a\nb", "", "c\n", id="deletion"),
        pytest.param("\ta \n\n\tb\n", "a\n\nb", "c\n\nd", "\tc\n\n\td\n", id="blank-line"),
        pytest.param(
            "a:\n    b\n", "a:\n  b", "a:\n  c:\n    d", "a:\n    c:\n        d\n", id="levels"
        ),
        pytest.param(
            "a:\n\tb\n", "a:\n    b", "a:\n    c:\n        d", "a:\n\tc:\n\t\td\n", id="tabs"
        ),
        pytest.param("\t\tb\n", "    b", "    c:\n      d", "\t\tc:\n\t\t\td\n", id="tabs-apart"),
        pytest.param("    b\n", "\t\tb", "\t\tc\n\td", "    c\n  d\n", id="spaces-for-tabs"),
    ],
)
def test_whole_lines_may_differ_in_whitespace_with_a_note(
    content: str, old: str, new: str, result: str
) -> None:
    found = replaced(content.encode(), old, new)
    assert found.content == result.encode()
    assert found.note == NOTE


@pytest.mark.parametrize(
    ("content", "old", "new", "text"),
    [
        pytest.param("a", "", "x", "old is empty", id="empty"),
        pytest.param("a", "a", "a", "the same", id="same"),
        pytest.param("a\r\n", "a\r\n", "a\n", "the same", id="same-apart-from-line-ends"),
        pytest.param("ab\nb\nb", "b", "x", "more than once, at lines 1, 2, 3;", id="often"),
        pytest.param("aaa", "aa", "x", "more than once, at lines 1, 1;", id="overlapping"),
        pytest.param("x\n" * 50, "x", "y", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10;", id="very-often"),
        pytest.param(" a  b\n\ta  b\n", "a b", "x", "once, at lines 1, 2;", id="often-by-lines"),
        pytest.param("abc", "zzz", "x", "nor anything like it", id="nothing-near"),
        pytest.param("", "zzz", "x", "nor anything like it", id="empty-file"),
        pytest.param("abc", " \n ", "x", "nor anything like it", id="blank"),
        pytest.param("if a:\n    b\n", "  if a:\n   b\n", "x", "was not found", id="uneven-indent"),
        pytest.param("a  b c", "a b", "x", "was not found", id="part-of-a-line"),
        pytest.param("a\n\tb\n  c\n", "a\n  b\n  c", "x", "was not found", id="mixed-indent"),
        pytest.param("a\nb\n c\n", "a\n b\n  c", "x", "was not found", id="other-levels"),
    ],
)
def test_what_is_not_there_once_is_refused(content: str, old: str, new: str, text: str) -> None:
    with pytest.raises(ToolError, match=text):
        replaced(content.encode(), old, new)


@pytest.mark.parametrize(
    "old",
    [
        pytest.param("line 9\nline X\nline 11", id="by-equal-lines"),
        pytest.param("lin 10", id="by-likeness"),
        pytest.param("line 10 -- is not there\nline 11\nmore", id="by-one-line"),
    ],
)
def test_nearest_place_is_shown_with_its_numbers(old: str) -> None:
    content = "\n".join(f"line {n}" for n in range(1, 41)).encode()
    with pytest.raises(ToolError) as caught:
        replaced(content, old, "x")
    first, *shown, difference, last = str(caught.value).split("\n")
    assert first == "old was not found. The nearest place is:"
    assert "10\tline 10" in shown
    assert 3 <= len(shown) <= 7
    assert difference.startswith("First difference, in line ")
    assert last == "Copy the text exactly, with its indentation, without the numbers."


@pytest.mark.parametrize(
    ("content", "old", "difference"),
    [
        ("if a:\n\tb\n", "if a:\n    b\n", "in line 2: '\\tb' is there, '    b' was given."),
        ("x = value + 1\ny\n", "x = valve + 1\ny\n", "in line 1: 'x = value + 1' is there, 'x = v"),
        (
            "same\n" + "z" * 99,
            "same\n" + "z" * 98,
            "in line 2: 'zzzzzzzzzzz' is there, 'zzzzzzzzzz'",
        ),
    ],
    ids=["tab", "letter", "end"],
)
def test_first_difference_is_shown(content: str, old: str, difference: str) -> None:
    with pytest.raises(ToolError) as caught:
        replaced(content.encode(), old + "\nmore", "x")
    assert difference in str(caught.value)


def test_nearest_place_is_short_and_quick_in_a_large_file() -> None:
    content = "\n".join(f"line {n} " + "x" * 500 for n in range(20_000)).encode()
    with pytest.raises(ToolError) as caught:
        replaced(content, "lime 7 " + "x" * 499, "y")
    assert len(str(caught.value)) < 2_000


def test_replacement_tells_the_lines() -> None:
    assert replaced(b"a\nb\n", "b\n", "x\ny\n") == Replacement(b"a\nx\ny\n", line=2, lines=2)


@pytest.mark.parametrize(
    ("content", "old", "new", "result", "places"),
    [
        pytest.param("a b a", "a", "xx", "xx b xx", 2, id="all"),
        pytest.param("aaa", "aa", "b", "ba", 1, id="overlapping"),
        pytest.param("a\r\nb\na\nb\n", "a\nb", "x\ny", "x\r\ny\nx\ny\n", 2, id="line-ends"),
        pytest.param("aba", "a", "", "b", 2, id="deletion"),
    ],
)
def test_every_occurrence_is_replaced_where_that_is_wanted(
    content: str, old: str, new: str, result: str, places: int
) -> None:
    found = replaced(content.encode(), old, new, every=True)
    assert (found.content, found.places) == (result.encode(), places)


blocks = st.lists(st.sampled_from(["a", "b", " a", "a b", "", "é"]), max_size=8)


@settings(max_examples=200)
@given(blocks, blocks, blocks, st.sampled_from(["\n", "\r\n"]))
def test_replaced_text_changes_nothing_else(
    before: list[str], old: list[str], after: list[str], end: str
) -> None:
    mark = ["<<", *old, ">>"]
    content = end.join([*before, *mark, *after])
    found = replaced(content.encode(), "\n".join(mark), "x\ny")
    if old or len(before) + len(after):
        assert found.content.decode() == end.join([*before, "x", "y", *after])
    assert found.line == len(before) + 1
    assert not found.note
