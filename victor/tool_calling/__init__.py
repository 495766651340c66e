"""Tools for every model: the public names, loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "ConstrainedAdapter",
    "ParsedText",
    "PromptedAdapter",
    "TextDelta",
    "TextToolCallParser",
    "ToolCallFormat",
    "ToolCallingAdapter",
    "ToolCallingCapabilities",
    "parse_text",
]

if TYPE_CHECKING:
    from victor.tool_calling.adapter import (
        ToolCallFormat,
        ToolCallingAdapter,
        ToolCallingCapabilities,
    )
    from victor.tool_calling.constrained import ConstrainedAdapter
    from victor.tool_calling.parser import TextDelta, TextToolCallParser
    from victor.tool_calling.prompted import PromptedAdapter
    from victor.tool_calling.text import ParsedText, parse_text

_HOMES = {
    "ToolCallFormat": "adapter",
    "ToolCallingAdapter": "adapter",
    "ToolCallingCapabilities": "adapter",
    "ConstrainedAdapter": "constrained",
    "TextDelta": "parser",
    "TextToolCallParser": "parser",
    "PromptedAdapter": "prompted",
    "ParsedText": "text",
    "parse_text": "text",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'victor.tool_calling' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"victor.tool_calling.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
