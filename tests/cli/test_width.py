from __future__ import annotations

import os
import pty
import sys
import termios

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.cli.width import cells, columns, fitted, marked


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("a\tb", 10), ("日本", 4), ("日\t", 10), ("e\u0301", 1), ("", 0)],
    ids=["plain", "tab", "wide", "both", "combined", "empty"],
)
def test_text_takes_as_many_columns_as_it_may(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 4, "日…"), ("abc", 1, "a…")],
    ids=["fits", "cut", "wide", "least"],
)
def test_what_does_not_fit_is_cut(text: str, room: int, shown: str) -> None:
    assert fitted(text, room) == shown


def test_a_line_is_broken_and_every_piece_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "16")
    assert marked(["abcdefghijklmnop", "", "日本語日本語"]) == [
        "  | abcdefghijk",
        "  : lmnop",
        "  | ",
        "  | 日本語日本",
        "  : 語",
    ]


def test_nothing_unseen_stays_unseen() -> None:
    assert marked(["a\x1b[2J\r\n\u202e"]) == ["  | a<U+001B>[2J<U+000D>\n<U+202E>"]


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200))
def test_nothing_is_lost_and_nothing_too_wide(text: str) -> None:
    line = text.replace("\n", " ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "40")
        first, *rest = marked([line])
        assert all(cells(piece) < 40 for piece in (first, *rest))
        patch.setenv("COLUMNS", "100000")
        whole = marked([line])
    assert [first[4:] + "".join(piece[4:] for piece in rest)] == [piece[4:] for piece in whole]


@pytest.mark.parametrize(("wide", "found"), [(44, 44), (0, 80)], ids=["known", "unknown"])
def test_the_width_is_that_of_stderr(
    wide: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, wide))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "__stdout__", None)
    with os.fdopen(slave, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        assert columns() == found
    monkeypatch.setattr(sys, "stderr", None)
    assert columns() == 80
    os.close(master)
