from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from victor.tools.base import ToolContext, ToolError
from victor.tools.edit import Replacement, edit, replaced

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
        pytest.param("if a:\n\tb\n", "if a:\n    b\n", "x", "was not found", id="tab-or-spaces"),
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
    first, *shown, last = str(caught.value).split("\n")
    assert first == "old was not found. The nearest place is:"
    assert "10\tline 10" in shown
    assert 3 <= len(shown) <= 7
    assert last == "Copy the text exactly, with its indentation, without the numbers."


def test_nearest_place_is_short_and_quick_in_a_large_file() -> None:
    content = "\n".join(f"line {n} " + "x" * 500 for n in range(20_000)).encode()
    with pytest.raises(ToolError) as caught:
        replaced(content, "lime 7 " + "x" * 499, "y")
    assert len(str(caught.value)) < 2_000


async def test_edit_writes_the_file_and_says_where(context: ToolContext, workspace: Path) -> None:
    path = workspace / "x.py"
    path.write_text("a\nb\nc\n")
    path.chmod(0o750)
    result = await edit.run({"path": "x.py", "old": "b", "new": "x\ny"}, context)
    assert result.content == "Edited x.py, 2 lines from 2."
    assert path.read_text() == "a\nx\ny\nc\n"
    assert path.stat().st_mode & 0o777 == 0o750
    result = await edit.run({"path": "x.py", "old": "  a", "new": "  z"}, context)
    assert result.content == "Edited x.py, line 1." + NOTE
    assert path.read_text() == "z\nx\ny\nc\n"


async def test_refused_edit_leaves_the_file(context: ToolContext, workspace: Path) -> None:
    (workspace / "x").write_text("aa")
    (workspace / "link").symlink_to("x")
    before = (workspace / "x").stat()
    for arguments in [
        {"path": "x", "old": "a", "new": "b"},
        {"path": "link", "old": "aa", "new": "b"},
        {"path": "y", "old": "a", "new": "b"},
        {"path": "../outside/secret.txt", "old": "outside", "new": "b"},
    ]:
        assert (await edit.run(arguments, context)).is_error
    assert (workspace / "x").stat() == before


def test_replacement_tells_the_lines() -> None:
    assert replaced(b"a\nb\n", "b\n", "x\ny\n") == Replacement(b"a\nx\ny\n", line=2, lines=2)
