from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tools.globs import glob_matcher


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.py", "a/b/x.py", True),
        ("*.py", "a/b/x.pyc", False),
        ("./a/*.py", "a/x.py", True),
        ("a/*.py", "a/b/x.py", False),
        ("a/**/*.py", "a/x.py", True),
        ("a/**/*.py", "a/b/c/x.py", True),
        ("a/**", "a/b/c", True),
        ("?.[ch]", "x.h", True),
        ("?.[ch]", "x.o", False),
        ("[!a-c]", "d", True),
        ("[^a-c]", "b", False),
        ("a/[!x]c", "a//c", False),
        ("app/[id]/*", "app/[id]/page", True),
        ("app/[id]/*", "app/d/page", True),
        ("*.{py,[ch]}", "x.c", True),
        ("*.{py,[ch]}", "x.{py,[ch]}", False),
        ("[z-a]", "[z-a]", True),
        ("[", "[", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("a[]b]", "a]", True),
        ("a[\\]", "a\\", True),
        ("*", "a\nb", True),
    ],
)
def test_pattern_matches_as_ripgrep_has_it(pattern: str, path: str, matches: bool) -> None:
    assert glob_matcher(pattern)(path) is matches


@settings(max_examples=300)
@given(st.text("ab[]{},!^-*?\\/&|~", max_size=12))
def test_any_text_is_a_pattern(pattern: str) -> None:
    assert glob_matcher(pattern)("x/y") in {True, False}
