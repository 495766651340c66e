from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from victor.tools.text import Limits, as_text, as_utf8, from_utf8, lines_of, within


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("né".encode(), ("né", ""), id="utf-8"),
        pytest.param(b"\xef\xbb\xbfx", ("x", ""), id="bom"),
        pytest.param("né".encode("utf-16"), ("né", "decoded as UTF-16"), id="utf-16"),
        pytest.param(b"n\xe9", ("né", "not valid UTF-8, decoded as Latin-1"), id="latin-1"),
        pytest.param(b"\x7fELF\0\0", None, id="binary"),
        pytest.param(b"", ("", ""), id="empty"),
    ],
)
def test_bytes_are_decoded(content: bytes, expected: tuple[str, str] | None) -> None:
    assert as_text(content) == expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\n\n", ["a", ""]),
        ("a\u2028b\x0cc\rd", ["a\u2028b\x0cc\rd"]),
    ],
)
def test_lines_end_where_editors_end_them(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


LIMITS = Limits(characters=20, lines=3, line_characters=8)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        pytest.param(["a", "b"], ["a", "b"], id="fits"),
        pytest.param(["a"] * 5, ["a"] * 3, id="lines"),
        pytest.param(["12345678"] * 3, ["12345678"] * 2, id="characters"),
        pytest.param(["123456789" * 2], ["12345678 [... 10 more characters]"], id="long-line"),
        pytest.param([], [], id="none"),
    ],
)
def test_lines_are_cut_to_the_limits(lines: list[str], kept: list[str]) -> None:
    assert within(lines, LIMITS) == kept


@given(st.lists(st.text(max_size=30), max_size=10))
def test_some_line_is_kept_and_the_order_stays(lines: list[str]) -> None:
    kept = within(lines, LIMITS)
    assert bool(kept) == bool(lines)
    assert all(new.startswith(old[:8]) for new, old in zip(kept, lines, strict=False))


@pytest.mark.parametrize(
    ("content", "text", "codec"),
    [
        pytest.param("né".encode(), "né", "utf-8", id="utf-8"),
        pytest.param(b"n\xe9", "né", "latin-1", id="latin-1"),
        pytest.param(b"\xff\xfen\0", "\ufeffn", "utf-16-le", id="little"),
        pytest.param(b"\xfe\xff\0n", "\ufeffn", "utf-16-be", id="big"),
    ],
)
def test_text_of_any_encoding_is_had_as_utf8(content: bytes, text: str, codec: str) -> None:
    assert as_utf8(content) == (text.encode(), codec)


@given(st.binary(), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"]))
def test_every_content_is_put_back_as_it_was(content: bytes, mark: bytes) -> None:
    content = mark + content
    assert from_utf8(*as_utf8(content)) == content


def test_character_that_an_encoding_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="the file is in latin-1, which has no '…'"):
        from_utf8("né…".encode(), "latin-1")
