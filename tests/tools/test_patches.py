from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tools.base import ToolError
from victor.tools.patches import FileChange, Hunk, parsed_patch, patched_paths

MARKED = """\
*** Begin Patch
*** Add File: new/a.txt
+one
+
+two
*** Update File: b.py
*** Move to: c.py
@@ class B:
@@     def f(self):
 x
-y
+z

@@
 last
+more
*** End of File
*** Delete File: d.txt
*** End Patch
"""

UNIFIED = """\
diff --git a/b.py b/b.py
index 111..222 100644
--- a/b.py
+++ b/b.py
@@ -3,2 +3,2 @@ def f():
 x
-y
+z
@@ -9 +9,2 @@
 last
+more
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-bye
\\ No newline at end of file
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+hello
\\ No newline at end of file
diff --git a/old.txt b/moved.txt
similarity index 100%
rename from old.txt
rename to moved.txt
"""


def test_marked_patch_is_read() -> None:
    add, update, delete = parsed_patch(MARKED)
    assert add == FileChange("add", "new/a.txt", [Hunk([("+", "one"), ("+", ""), ("+", "two")])])
    assert update == FileChange(
        "update",
        "b.py",
        [
            Hunk([(" ", "x"), ("-", "y"), ("+", "z")], ["class B:", "    def f(self):"]),
            Hunk([(" ", "last"), ("+", "more")], at_end=True),
        ],
        move_to="c.py",
    )
    assert delete == FileChange("delete", "d.txt")


def test_unified_diff_is_read() -> None:
    update, gone, new, moved = parsed_patch(UNIFIED)
    assert update == FileChange(
        "update",
        "b.py",
        [
            Hunk([(" ", "x"), ("-", "y"), ("+", "z")], line=3),
            Hunk([(" ", "last"), ("+", "more")], line=9),
        ],
    )
    assert gone == FileChange("delete", "gone.txt", [Hunk([("-", "bye")], line=1, ends_bare=False)])
    assert new == FileChange("add", "new.txt", [Hunk([("+", "hello")], line=0, ends_bare=True)])
    assert moved == FileChange("update", "old.txt", move_to="moved.txt")


def test_renamed_and_changed_file_is_one_change() -> None:
    (change,) = parsed_patch(
        "diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n"
        "--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n"
    )
    assert (change.path, change.move_to) == ("x", "y")


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param("```diff\n--- a/x\t2020-01-01\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```", id="fence"),
        pytest.param("--- x\r\n+++ x\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n", id="crlf"),
        pytest.param("\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n-a\n+b\n\n", id="wrong-counts"),
        pytest.param(
            "*** Begin Patch\n*** Update File: x\n-a\n+b\n*** End Patch", id="without-header"
        ),
        pytest.param(
            "*** Begin Patch\n*** Update File: x \n@@ -1,4 +1,4 @@ f\n-a\n+b\n\n*** End Patch\n",
            id="numbers-in-the-other-format",
        ),
    ],
)
def test_what_models_get_nearly_right_is_read(patch: str) -> None:
    (change,) = parsed_patch(patch)
    assert (change.kind, change.path) == ("update", "x")
    assert [hunk.lines for hunk in change.hunks] == [[("-", "a"), ("+", "b")]]


def test_lines_like_a_header_inside_a_hunk_are_its_content() -> None:
    patch = (
        "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- old\n+++ new\n same\n"
        "--- a/y\n+++ b/y\n@@ -1 +1 @@\n-1\n+2\n"
    )
    first, second = parsed_patch(patch)
    assert first.hunks[0].lines == [("-", "-- old"), ("+", "++ new"), (" ", "same")]
    assert second.path == "y"


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ("", "no patch"),
        ("hello", "no patch"),
        ("*** Begin Patch", "cut off"),
        ("*** Begin Patch\n*** Update File: x\n-a", "cut off"),
        ("*** Begin Patch\n*** End Patch", "changes no file"),
        ("*** Begin Patch\nhello\n*** End Patch", "line 2 of the patch, 'hello', is not"),
        ("*** Begin Patch\n*** Add File: x\n+a\nb\n*** End Patch", "line 4 .*begin with \\+"),
        (
            "*** Begin Patch\n*** Update File: x\n@@\n a\nb\n*** End Patch",
            "line 5 .*a space, \\+ or",
        ),
        ("*** Begin Patch\n*** Update File: x\n*** End Patch", "has no hunk"),
        ("--- a/x\n+++ b/x\n@@ what @@\n-a\n+b\n", "line 3 of the diff"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\nhello", "line 6 .*belongs to no hunk"),
        ("--- /dev/null\n+++ /dev/null\n", "both sides"),
        ('--- "a/\\303"\n+++ "b/\\303"\n@@ -1 +1 @@\n-a\n+b\n', "without quotes"),
    ],
)
def test_what_is_no_patch_is_refused_with_the_reason(patch: str, text: str) -> None:
    with pytest.raises(ToolError, match=text):
        parsed_patch(patch)


def test_every_path_of_a_patch_is_told() -> None:
    assert patched_paths(MARKED) == ["new/a.txt", "b.py", "c.py", "d.txt"]


PIECES = """\
*** Begin Patch|*** End Patch|*** Add File: a|*** Update File: b|*** Delete File: c|*** Move to: d\
|*** End of File|@@|@@ x|--- a/x|+++ b/x|@@ -1,2 +1,2 @@|+a|-a| a||diff --git a/x b/x\
|\\ No newline|rename from x|rename to y"""
pieces = st.sampled_from(PIECES.split("|"))


@settings(max_examples=300)
@given(st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=15))
def test_anything_is_read_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(ToolError):
        assert parsed_patch("\n".join(lines))
