from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.tools.apply_patch import apply_patch
from victor.tools.base import ToolContext
from victor.tools.read import read

PATCH = """\
*** Begin Patch
*** Add File: new/a.txt
+one
*** Update File: b.txt
@@
 x
-y
+z
*** Update File: run.sh
*** Move to: bin/run.sh
@@
-echo a
+echo b
*** Delete File: d.txt
*** End Patch
"""


@pytest.fixture
def tree(workspace: Path) -> Path:
    (workspace / "b.txt").write_text("x\ny\n")
    (workspace / "run.sh").write_text("echo a\n")
    (workspace / "run.sh").chmod(0o755)
    (workspace / "d.txt").write_text("d\n")
    return workspace


def contents(workspace: Path) -> dict[str, str]:
    return {
        str(path.relative_to(workspace)): path.read_text()
        for path in workspace.rglob("*")
        if path.is_file()
    }


def update(path: str, old: str, new: str) -> str:
    return f"*** Update File: {path}\n@@\n-{old}\n+{new}\n"


def marked(*parts: str) -> str:
    return "*** Begin Patch\n" + "".join(parts) + "*** End Patch\n"


async def test_whole_patch_is_applied(context: ToolContext, tree: Path) -> None:
    result = await apply_patch.run({"patch": PATCH}, context)
    assert result.content.split("\n") == [
        "Created new/a.txt.",
        "Edited b.txt.",
        "Moved run.sh to bin/run.sh.",
        "Removed d.txt.",
    ]
    assert contents(tree) == {"new/a.txt": "one\n", "b.txt": "x\nz\n", "bin/run.sh": "echo b\n"}
    assert (tree / "bin/run.sh").stat().st_mode & 0o777 == 0o755


async def test_unified_diff_is_applied(context: ToolContext, tree: Path) -> None:
    patch = "--- a/b.txt\n+++ b/b.txt\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"
    assert (await apply_patch.run({"patch": patch}, context)).content == "Edited b.txt."
    assert (tree / "b.txt").read_text() == "x\nz\n"


async def test_file_may_be_changed_twice_in_one_patch(context: ToolContext, tree: Path) -> None:
    patch = marked(update("b.txt", "y", "z"), update("b.txt", "z", "w"))
    assert not (await apply_patch.run({"patch": patch}, context)).is_error
    assert (tree / "b.txt").read_text() == "x\nw\n"


async def test_moves_may_follow_each_other_or_go_nowhere(context: ToolContext, tree: Path) -> None:
    patch = marked(
        "*** Update File: run.sh\n*** Move to: a.sh\n",
        "*** Update File: a.sh\n*** Move to: b.sh\n",
        "*** Update File: d.txt\n*** Move to: ./d.txt\n@@\n-d\n+e\n",
    )
    result = await apply_patch.run({"patch": patch}, context)
    assert result.content == "Moved run.sh to a.sh.\nMoved a.sh to b.sh.\nEdited d.txt."
    assert contents(tree) == {"b.txt": "x\ny\n", "b.sh": "echo a\n", "d.txt": "e\n"}
    assert (tree / "b.sh").stat().st_mode & 0o777 == 0o755


async def test_file_may_be_removed_and_made_anew(context: ToolContext, tree: Path) -> None:
    patch = marked("*** Delete File: d.txt\n*** Add File: d.txt\n+new\n*** Delete File: b.txt\n")
    assert not (await apply_patch.run({"patch": patch}, context)).is_error
    assert contents(tree) == {"run.sh": "echo a\n", "d.txt": "new\n"}


async def test_loose_match_is_noted(context: ToolContext, tree: Path) -> None:
    result = await apply_patch.run({"patch": marked(update("b.txt", "  y", "  z"))}, context)
    assert result.content == (
        "Edited b.txt. Note: hunk 1 matched only apart from whitespace; check the result."
    )


@pytest.mark.parametrize(
    ("last", "text"),
    [
        pytest.param(update("b.txt", "nothing", "x"), "hunk 1 of 1: its old", id="no-match"),
        pytest.param(update("../outside/secret.txt", "outside", "x"), "outside the", id="outside"),
        pytest.param("*** Add File: b.txt\n+x\n", "is there already", id="there-already"),
        pytest.param("*** Delete File: gone\n", "there is no 'gone'", id="missing"),
        pytest.param("*** Add File: .git/hooks/x\n+x\n", "protected", id="protected"),
        pytest.param("*** Add File: link\n+x\n", "symbolic link", id="link"),
        pytest.param("*** Delete File: read-only\n", "read-only", id="last-step-fails"),
        pytest.param(
            "*** Delete File: b.txt\n*** Delete File: b.txt\n", "has removed", id="removed-twice"
        ),
        pytest.param(
            "*** Update File: b.txt\n*** Move to: run.sh\n", "is there already", id="move-onto"
        ),
    ],
)
async def test_patch_is_applied_whole_or_not_at_all(
    context: ToolContext, tree: Path, last: str, text: str
) -> None:
    (tree / "link").symlink_to("nowhere")
    (tree / "read-only").write_text("r\n")
    (tree / "read-only").chmod(0o444)
    before = contents(tree)
    first = "*** Add File: first\n+1\n" + update("run.sh", "echo a", "x")
    patch = marked(first, "*** Delete File: d.txt\n", last)
    result = await apply_patch.run({"patch": patch}, context)
    assert result.is_error
    assert text in result.content
    assert result.content.endswith("Nothing was changed.")
    assert contents(tree) == before
    assert (tree / "run.sh").stat().st_mode & 0o777 == 0o755


async def test_file_changed_since_it_was_read_is_left_alone(
    context: ToolContext, tree: Path
) -> None:
    await read.run({"path": "b.txt"}, context)
    (tree / "b.txt").write_text("x\ny\nmore\n")
    patch = marked(update("b.txt", "y", "z"))
    result = await apply_patch.run({"patch": patch}, context)
    assert "has changed since you read it" in result.content
    await read.run({"path": "b.txt"}, context)
    assert not (await apply_patch.run({"patch": patch}, context)).is_error
    again = marked(update("b.txt", "z", "w"))
    assert not (await apply_patch.run({"patch": again}, context)).is_error


async def test_what_cannot_be_put_back_is_said(
    context: ToolContext, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename
    calls: list[str] = []

    def failing(source: str, target: str, **options: int) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(source, target, **options)

    monkeypatch.setattr("victor.tools.replace.os.rename", failing)
    patch = marked(update("b.txt", "y", "z"), update("d.txt", "d", "e"))
    result = await apply_patch.run({"patch": patch}, context)
    assert "failed half-way, and b.txt could not be put back" in result.content
