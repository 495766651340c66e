from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.tools.base import Tool, ToolContext
from victor.tools.edit import edit, multi_edit
from victor.tools.files import write
from victor.tools.read import read
from victor.tools.seen import SeenFiles

CHANGES = [
    pytest.param(edit, {"old": "a", "new": "b"}, id="edit"),
    pytest.param(multi_edit, {"edits": [{"old": "a", "new": "b"}]}, id="multi-edit"),
    pytest.param(write, {"content": "b\n"}, id="write"),
]


@pytest.mark.parametrize(("change", "arguments"), CHANGES)
@pytest.mark.parametrize("path", ["x", "./x", "sub/../x"])
async def test_file_changed_since_it_was_read_is_not_overwritten(
    context: ToolContext, workspace: Path, change: Tool, arguments: dict[str, str], path: str
) -> None:
    file = workspace / "x"
    file.write_text("a\n")
    await read.run({"path": path}, context)
    file.write_text("a\nsomebody else's\n")
    result = await change.run({"path": "x", **arguments}, context)
    assert result.is_error
    assert "has changed since you read it" in result.content
    assert file.read_text() == "a\nsomebody else's\n"
    await read.run({"path": path, "offset": 2}, context)
    assert not (await change.run({"path": "x", **arguments}, context)).is_error


@pytest.mark.parametrize(("change", "arguments"), CHANGES)
async def test_file_that_was_only_touched_or_never_read_may_be_changed(
    context: ToolContext, workspace: Path, change: Tool, arguments: dict[str, str]
) -> None:
    file = workspace / "x"
    file.write_text("a\n")
    assert not (await change.run({"path": "x", **arguments}, context)).is_error
    file.write_text("a\n")
    await read.run({"path": "x"}, context)
    os.utime(file, (0, 0))
    assert not (await change.run({"path": "x", **arguments}, context)).is_error


async def test_what_the_model_wrote_it_has_seen(context: ToolContext, workspace: Path) -> None:
    await write.run({"path": "x", "content": "a b\n"}, context)
    assert not (await edit.run({"path": "x", "old": "a", "new": "c"}, context)).is_error
    assert not (await edit.run({"path": "x", "old": "b", "new": "d"}, context)).is_error
    (workspace / "x").write_text("other\n")
    assert (await write.run({"path": "x", "content": ""}, context)).is_error


async def test_file_that_is_gone_may_be_written_anew(context: ToolContext, workspace: Path) -> None:
    await write.run({"path": "x", "content": "a"}, context)
    (workspace / "x").unlink()
    result = await write.run({"path": "x", "content": "b"}, context)
    assert result.content == "Created x (1 line)."


def test_forgotten_file_is_not_checked(workspace: Path) -> None:
    seen = SeenFiles()
    seen.remember(workspace, "x", b"a")
    seen.remember(workspace, "x", None)
    assert not seen.knows(workspace, "x")
    seen.check(workspace, "x", b"b")
