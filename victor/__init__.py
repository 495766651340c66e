"""victor: an agent runtime that keeps working when LLM providers don't.

The names a program needs. They are loaded when first used: `import victor` itself does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Attachment",
    "Capabilities",
    "Capability",
    "CompletionResponse",
    "Message",
    "RunResult",
    "StreamChunk",
    "Tool",
    "ToolCall",
    "ToolDefinition",
    "Usage",
    "VictorError",
    "__version__",
    "create_provider",
    "list_providers",
    "register_provider",
    "tool",
]

if TYPE_CHECKING:
    from victor.agent.agent import Agent
    from victor.agent.events import RunResult
    from victor.errors import VictorError
    from victor.providers.registry import create_provider, list_providers, register_provider
    from victor.tools.base import Tool, tool
    from victor.types import (
        Attachment,
        Capabilities,
        Capability,
        CompletionResponse,
        Message,
        StreamChunk,
        ToolCall,
        ToolDefinition,
        Usage,
    )

_HOMES = {
    "Agent": "victor.agent.agent",
    "RunResult": "victor.agent.events",
    "VictorError": "victor.errors",
    "create_provider": "victor.providers.registry",
    "list_providers": "victor.providers.registry",
    "register_provider": "victor.providers.registry",
    "Tool": "victor.tools.base",
    "tool": "victor.tools.base",
    "Attachment": "victor.types",
    "Capabilities": "victor.types",
    "Capability": "victor.types",
    "CompletionResponse": "victor.types",
    "Message": "victor.types",
    "StreamChunk": "victor.types",
    "ToolCall": "victor.types",
    "ToolDefinition": "victor.types",
    "Usage": "victor.types",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'victor' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
