"""Tools for agents: make one with `@tool`.

The built-in ones are in `victor.tools.workspace`.
"""

from __future__ import annotations

from victor.tools.base import Effect, Tool, ToolContext, ToolError, ToolResult, Toolset, tool

__all__ = ["Effect", "Tool", "ToolContext", "ToolError", "ToolResult", "Toolset", "tool"]
