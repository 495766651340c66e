from __future__ import annotations

from pathlib import Path

import pytest

from victor.tools.base import ToolContext, Toolset
from victor.tools.compact import compact_tools
from victor.tools.text import COMPACT


def test_read_needs_no_workspace_to_be_defined(workspace: Path) -> None:
    assert choices(ToolContext(workspace / "gone")) is None


def choices(context: ToolContext) -> object:
    _search, read, _list = Toolset(compact_tools()).definitions(context)
    return read.parameters["properties"]["path"].get("enum")


def test_read_names_the_files_there_are_now(context: ToolContext, workspace: Path) -> None:
    assert choices(context) is None
    (workspace / "docs").mkdir()
    (workspace / "docs" / "a.md").touch()
    (workspace / "z.txt").touch()
    assert choices(context) == ["z.txt", "docs/a.md"]
    for number in range(58):
        (workspace / f"{number}.txt").touch()
    assert len(str(choices(context)).split(",")) == 60
    (workspace / "one-more.txt").touch()
    assert choices(context) is None


def test_definitions_are_as_short_as_can_be(context: ToolContext) -> None:
    definitions = Toolset(compact_tools()).definitions(context)
    assert [(d.name, list(d.parameters["properties"])) for d in definitions] == [
        ("search", ["query"]),
        ("read", ["path"]),
        ("list_files", []),
    ]
    assert all(0 < len(d.description) < 70 for d in definitions)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("list_files", {}), ("read", {"path": "0.txt"}), ("search", {"query": "word"})],
)
async def test_results_are_short(
    context: ToolContext, workspace: Path, name: str, arguments: dict[str, str]
) -> None:
    for number in range(300):
        (workspace / f"{number}.txt").write_text("word and some more words\n" * 300)
    tool = Toolset(compact_tools()).get(name)
    assert tool is not None
    result = await tool.run(arguments, context)
    assert not result.is_error
    assert len(result.content) < COMPACT.characters + 100
    assert result.content.endswith("]")


async def test_read_gives_plain_lines(context: ToolContext, workspace: Path) -> None:
    (workspace / "x").write_text("a\nb\n")
    read = Toolset(compact_tools()).get("read")
    assert read is not None
    assert (await read.run({"path": "x"}, context)).content == "a\nb"
