from __future__ import annotations

from pathlib import Path

import pytest

from victor.errors import ConfigError
from victor.tools.workspace import workspace_tools

READ = [("list_files", "read"), ("read", "read"), ("search", "read")]
WRITE = [("write", "edit"), ("edit", "edit"), ("shell", "execute")]


@pytest.mark.parametrize("compact", [False, True], ids=["full", "compact"])
@pytest.mark.parametrize(
    ("writable", "expected"), [(True, READ + WRITE), (False, READ)], ids=["all", "read-only"]
)
def test_tools_and_their_effects(
    workspace: Path, writable: bool, compact: bool, expected: list[tuple[str, str]]
) -> None:
    tools = workspace_tools(workspace, writable=writable, compact=compact)
    assert sorted((tool.name, tool.effect) for tool in tools) == sorted(expected)
    assert all(tool.description for tool in tools)


def test_workspace_must_be_a_directory(workspace: Path) -> None:
    (workspace / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        workspace_tools(workspace / "file")
