"""The built-in tools of a workspace, chosen for a model and a permission to write.

Knows nothing about which model asks or who gave the permission.
"""

from __future__ import annotations

from pathlib import Path

from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox.policy import NO_REACH, Reach
from victor.tools.apply_patch import apply_patch
from victor.tools.ask_user import ask_user
from victor.tools.background import background_tools
from victor.tools.base import Tool
from victor.tools.compact import compact_tools
from victor.tools.edit import edit, multi_edit
from victor.tools.files import list_files, write
from victor.tools.grep import glob, grep
from victor.tools.read import read
from victor.tools.shell import Consent, shell_tool
from victor.tools.todo import todo
from victor.tools.web import web_fetch

__all__ = ["workspace_tools"]


def workspace_tools(
    workspace: Path,
    *,
    writable: bool = True,
    compact: bool = False,
    patches: bool = False,
    sandbox: SandboxMode = "auto",
    reach: Reach = NO_REACH,
    consent: Consent | None = None,
) -> list[Tool]:
    """Return the tools that work on one directory.

    Args:
        workspace: the directory; the tools find it in their `ToolContext`.
        writable: False leaves only what looks at files.
        compact: shorter definitions and results and fewer tools, for models with a context of
            about 4,096 tokens.
        patches: apply_patch in place of edit and multi_edit, for models trained on patches.
        sandbox: how commands are confined, as for `shell_tool`.
        reach: what they may have beyond that, as for `shell_tool`.
        consent: asked before a command runs that nothing confines, as for `shell_tool`.

    Raises:
        ConfigError: the workspace is not a directory.
    """
    if not workspace.is_dir():
        raise ConfigError(f"the workspace {str(workspace)!r} is not a directory; give one that is")
    looking = compact_tools() if compact else [list_files, read, glob, grep]
    if not writable:
        return looking
    shell = shell_tool(sandbox, reach=reach, consent=consent)
    if compact:
        return [*looking, write, edit, shell]
    editing = [apply_patch] if patches else [edit, multi_edit]
    background = background_tools(sandbox, reach=reach, consent=consent)
    return [*looking, write, *editing, shell, *background, web_fetch, todo, ask_user]
