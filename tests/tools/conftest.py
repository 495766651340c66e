from __future__ import annotations

from pathlib import Path

import pytest

from victor.tools.base import ToolContext


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Give a directory with neighbours that must not be reached."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("outside\n")
    (tmp_path / "workspace-two").mkdir()
    (tmp_path / "workspace-two" / "secret.txt").write_text("outside\n")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return workspace


@pytest.fixture
def context(workspace: Path) -> ToolContext:
    return ToolContext(workspace)
