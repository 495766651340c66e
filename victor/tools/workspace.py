"""The built-in tools of a workspace, chosen for a model and a permission to write.

Knows nothing about which model asks or who gave the permission.
"""

from __future__ import annotations

from pathlib import Path

from victor.errors import ConfigError
from victor.tools.base import Tool
from victor.tools.compact import compact_tools
from victor.tools.edit import edit
from victor.tools.files import list_files, read, write
from victor.tools.search import search
from victor.tools.shell import shell

__all__ = ["workspace_tools"]


def workspace_tools(workspace: Path, *, writable: bool = True, compact: bool = False) -> list[Tool]:
    """Return the tools that work on one directory.

    Args:
        workspace: the directory; the tools find it in their `ToolContext`.
        writable: False leaves out write, edit and shell.
        compact: shorter definitions and results, for models with a context of about 4,096 tokens.

    Raises:
        ConfigError: the workspace is not a directory.
    """
    if not workspace.is_dir():
        raise ConfigError(f"the workspace {str(workspace)!r} is not a directory; give one that is")
    looking = compact_tools() if compact else [list_files, read, search]
    return [*looking, write, edit, shell] if writable else looking
