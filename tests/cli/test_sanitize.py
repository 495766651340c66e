from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from victor.cli.sanitize import TerminalSanitizer, one_line, reveal, sanitize_terminal

# Text rich in what matters: introducers, terminators, parameters, joiners and plain letters.
_NASTY = st.text(
    st.one_of(
        st.sampled_from(
            "\x1b\x1b[]PX^_\\\x07\x9b\x9c\x9d\x90\x18\x1a;0?m2J \n\r\tabé\u200d\u200c\u202e"
        ),
        st.characters(),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]52;c;cm0gLXJm\x07clip", "clip"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1bP1$r0m\x1b\\dcs", "dcs"),
        ("\x1b_app\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\end", "end"),
        ("\x1bcreset", "reset"),
        ("\x1b(0lqk", "lqk"),
        ("\x1b]never ends\nnext line", "\nnext line"),
        ("\x1b]cut\x18off", "off"),
        ("\x1b[31", ""),
        ("a\rb\bc\x7fd\x85e", "abcde"),
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("a\u200bb\U000e0041c\ufeff", "a<U+200B>b<U+E0041>c<U+FEFF>"),
        ("م\u200cی", "م\u200cی"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("a\u200db\u200c", "a<U+200D>b<U+200C>"),
        ("é\u200d\u200d", "é\u200d<U+200D>"),
        ("\ud800", "<U+D800>"),
        (
            "[bold]x[/bold] [link=https://evil.example]",
            "[bold]x[/bold] [link=https://evil.example]",
        ),
    ],
    ids=ascii,
)
def test_sequences_go_as_a_whole_and_the_invisible_becomes_visible(text: str, shown: str) -> None:
    assert sanitize_terminal(text) == shown


@given(_NASTY)
@settings(max_examples=300, deadline=None)
def test_no_control_character_survives(text: str) -> None:
    for cleaned in (sanitize_terminal(text), reveal(text)):
        for character in cleaned:
            if character not in "\n\t":
                assert unicodedata.category(character) not in {"Cc", "Cs"}
                assert unicodedata.bidirectional(character) not in {
                    "RLO",
                    "LRO",
                    "RLI",
                    "LRI",
                    "FSI",
                }


@given(_NASTY, st.lists(st.integers(0, 40), max_size=6))
@example("\x1b]8;;x\x1b\\y", [1, 2, 3, 4, 5, 6, 7, 8])
@example("\x1b (é\u200d", [1, 2, 3, 4])
@settings(max_examples=300, deadline=None)
def test_however_a_text_is_cut_the_same_is_shown(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    sanitizer = TerminalSanitizer()
    pieces = [sanitizer.feed(text[a:b]) for a, b in pairwise(places)]
    assert "".join(pieces) == sanitize_terminal(text)


@given(_NASTY)
@settings(max_examples=100, deadline=None)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = sanitize_terminal(text)
    assert sanitize_terminal(once) == once


def test_an_endless_sequence_does_not_pile_up() -> None:
    sanitizer = TerminalSanitizer()
    sanitizer.feed("\x1b]")
    for _ in range(1000):
        assert sanitizer.feed("x" * 1000) == ""
    assert sanitizer.feed("\x07seen") == "seen"
    assert len(vars(sanitizer)["_cut"]) <= 2


def test_revealing_takes_nothing_away() -> None:
    assert reveal("ls \x1b]x; rm -rf ~\r\u200b") == "ls <U+001B>]x; rm -rf ~<U+000D><U+200B>"
    assert reveal("two\n\tlines") == "two\n\tlines"


def test_one_line_is_one_short_line() -> None:
    assert one_line("a\n b\x1b[31m\r\n\tc") == "a b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
