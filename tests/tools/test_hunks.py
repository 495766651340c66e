from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tools.base import ToolError
from victor.tools.hunks import patched
from victor.tools.patches import Hunk, parsed_patch


def hunk(text: str, *anchors: str, line: int | None = None, at_end: bool = False) -> Hunk:
    lines = [(one[0], one[1:]) for one in text.split("\n")]
    return Hunk(lines, list(anchors), line=line, at_end=at_end)


NOTE = "hunk 1 matched only apart from whitespace; check the result"


@pytest.mark.parametrize(
    ("content", "change", "result"),
    [
        pytest.param("a\nb\nc\n", hunk(" a\n-b\n+x\n+y"), "a\nx\ny\nc\n", id="exact"),
        pytest.param("a\r\nb\r\n", hunk("-b\n+x\n+y"), "a\r\nx\r\ny\r\n", id="crlf"),
        pytest.param("a\nb", hunk("-b\n+x"), "a\nx", id="no-final-newline"),
        pytest.param("a\nb", hunk(" b\n+x"), "a\nb\nx", id="added-after-a-bare-line"),
        pytest.param("a\nb\n", hunk("-a\n-b"), "", id="all-removed"),
        pytest.param("", hunk("+a\n+b"), "a\nb\n", id="empty-file"),
        pytest.param("a\n", hunk("+b"), "a\nb\n", id="added-at-the-end"),
        pytest.param("a\nb\n", hunk("+x", line=1), "a\nx\nb\n", id="added-after-a-line"),
        pytest.param("\ufeffa\nb\n", hunk("-a\n+x"), "\ufeffx\nb\n", id="byte-order-mark"),
        pytest.param("x\nk:\nx\n", hunk("-x\n+y", "k:"), "x\nk:\ny\n", id="anchor"),
        pytest.param(
            "class A:\n  f\n  x\nclass B:\n  f\n  x\n",
            hunk("-  x\n+  y", "class B:", "f"),
            "class A:\n  f\n  x\nclass B:\n  f\n  y\n",
            id="two-anchors",
        ),
        pytest.param(
            "def f(a):\n  x\n", hunk("-  x\n+  y", "def f"), "def f(a):\n  y\n", id="part"
        ),
        pytest.param("k\nx\n", hunk(" k\n-x\n+y", "k"), "k\ny\n", id="anchor-repeated"),
        pytest.param("x\nx\nx\n", hunk("-x\n+y", line=2), "x\ny\nx\n", id="number-decides"),
        pytest.param("x\nx\n", hunk("-x\n+y", at_end=True), "x\ny\n", id="end-of-file"),
        pytest.param("a\nb\n", hunk("-b\n+x", line=9), "a\nx\n", id="wrong-number"),
    ],
)
def test_hunk_goes_where_its_lines_are(content: str, change: Hunk, result: str) -> None:
    assert patched(content.encode(), [change]) == (result.encode(), [])


@pytest.mark.parametrize(
    ("content", "change", "result"),
    [
        pytest.param("a  \nb\n", hunk(" a\n-b\n+c"), "a  \nc\n", id="space-at-the-end"),
        pytest.param("    a\n    b\n", hunk(" a\n-b\n+c"), "    a\n    c\n", id="indentation"),
        pytest.param("x = [1,  2]\n", hunk("-x = [1, 2]\n+x = 3"), "x = 3\n", id="inner-space"),
    ],
)
def test_whitespace_may_differ_with_a_note(content: str, change: Hunk, result: str) -> None:
    assert patched(content.encode(), [change]) == (result.encode(), [NOTE])


def test_bytes_that_are_no_text_stay() -> None:
    assert patched(b"\xff\xfe\na\n", [hunk("-a\n+\xe9")]) == (b"\xff\xfe\n\xc3\xa9\n", [])


@pytest.mark.parametrize(
    ("content", "change", "text"),
    [
        ("x\nx\n", hunk("-x\n+y"), "more than one place, at lines 1, 2"),
        ("x\nx\n", hunk("-x\n+y", line=9), "more than one place"),
        ("a\nbcde\n", hunk("-bcdf\n+y"), "(?s)not found.*nearest place is.*2\tbcde"),
        ("a\n", hunk("-zzz\n+y"), "not found. Read the file"),
        ("a\n", hunk("-a\n+y", "zzz"), "its line 'zzz' after @@ is not in the file"),
        ("a\n", hunk("+y", "a"), "give a line of context"),
        ("a\n", hunk("+y", line=5), "there is no line 5"),
        ("\tif:\n  a\n", hunk(" if:\n-    a\n+b"), "not found"),
        ("a\n", hunk("-\n+y"), "not found"),
    ],
)
def test_hunk_that_fits_nowhere_or_twice_is_refused(content: str, change: Hunk, text: str) -> None:
    with pytest.raises(ToolError, match="hunk 1 of 1: ") as caught:
        patched(content.encode(), [change])
    assert caught.match(text)


def test_hunks_go_from_top_to_bottom() -> None:
    content = b"x\na\nx\nb\nx\n"
    assert patched(content, [hunk(" a\n-x\n+1"), hunk("-x\n+2")])[0] == b"x\na\n1\nb\n2\n"
    with pytest.raises(ToolError, match=r"hunk 2 of 2: its old lines were not found below line 4"):
        patched(content, [hunk("-b\n+1"), hunk("-a\n+2")])


lines = st.lists(
    st.sampled_from(["a", "b", "  c", "", "é", "\tx ", "-- y", "+", "@@"]), max_size=12
)


@settings(max_examples=200)
@given(lines, lines, st.booleans(), st.booleans(), st.integers(0, 3))
def test_diff_of_two_texts_makes_the_one_of_the_other(
    before: list[str], after: list[str], old_bare: bool, new_bare: bool, around: int
) -> None:
    old, new = (
        "\n".join(text) + ("" if bare or not text else "\n")
        for text, bare in ((before, old_bare), (after, new_bare))
    )
    made = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), "a/f", "b/f", n=around
    )
    diff = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made
    )
    if diff:
        (change,) = parsed_patch(diff)
        assert patched(old.encode(), change.hunks) == (new.encode(), [])


@settings(max_examples=200)
@given(lines, lines)
def test_patch_without_numbers_is_applied_right_or_refused(
    before: list[str], after: list[str]
) -> None:
    old, new = ("".join(f"{line}\n" for line in text) for text in (before, after))
    whole = [*(f"-{line}" for line in before), *(f"+{line}" for line in after)]
    diff = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
    body = ["@@" if line.startswith("@@ -") else line for line in diff]
    for lines_of_patch in (whole, body):
        if not lines_of_patch:
            continue
        text = "\n".join(
            ["*** Begin Patch", "*** Update File: f", *lines_of_patch, "*** End Patch"]
        )
        try:
            (change,) = parsed_patch(text)
            content, notes = patched(old.encode(), change.hunks)
        except ToolError:
            continue
        if lines_of_patch is whole:
            assert content == new.encode()
        assert not notes or "whitespace" in notes[0]


@pytest.mark.parametrize("codec", ["latin-1", "utf-16"])
def test_file_keeps_its_encoding(codec: str) -> None:
    content = "café\nsol\n".encode(codec)
    made = patched(content, [hunk(" café\n-sol\n+señor")])
    assert made == ("café\nseñor\n".encode(codec), [])


def test_character_that_the_encoding_lacks_is_refused() -> None:
    with pytest.raises(ToolError, match="which has no '…'; use another character"):
        patched(b"caf\xe9\nsol\n", [hunk("-sol\n+…")])


@pytest.mark.parametrize("header", ["@@", "@@ @@", "@@ ... @@"])
def test_hunk_of_a_diff_needs_no_numbers(header: str) -> None:
    diff = f"--- a/f\n+++ b/f\n{header}\n a\n\n-b\n+c\n{header}\n-d\n+e\n--- a/g\n+++ b/g\n"
    first, _ = parsed_patch(diff + "@@ -1 +1 @@\n-x\n+y\n")
    assert patched(b"a\n\nb\nd\n", first.hunks) == (b"a\n\nc\ne\n", [])


def test_empty_line_of_context_counts_at_the_very_end() -> None:
    (change,) = parsed_patch("--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n+a\n ")
    assert patched(b"\n", change.hunks) == (b"a\n\n", [])
