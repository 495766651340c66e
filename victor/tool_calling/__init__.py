"""Tools for every model: the public names."""

from __future__ import annotations

from victor.tool_calling.adapter import (
    ToolCallFormat,
    ToolCallingAdapter,
    ToolCallingCapabilities,
)
from victor.tool_calling.constrained import ConstrainedAdapter

__all__ = [
    "ConstrainedAdapter",
    "ToolCallFormat",
    "ToolCallingAdapter",
    "ToolCallingCapabilities",
]
