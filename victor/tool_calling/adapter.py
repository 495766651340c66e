"""The contract of a tool-calling adapter: tools for a model whose API does not call them well.

An adapter rewrites a conversation before it is sent and reads the tool calls out of what comes
back. Knows nothing about providers or HTTP.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from victor.types import CompletionResponse, JsonObject, Message, StreamChunk, ToolDefinition

__all__ = ["Step", "ToolCallFormat", "ToolCallingAdapter", "ToolCallingCapabilities"]


class ToolCallFormat(StrEnum):
    """How a tool call looks in what the model writes."""

    NATIVE = "native"
    """The API has calls of its own; no adapter is needed."""
    CONSTRAINED = "constrained"
    """One JSON object per answer, which the server's JSON-schema output enforces."""
    TEXT = "text"
    """In the text, in the format of the model's family; see `tool_calling/formats`."""


@dataclass(frozen=True, slots=True)
class ToolCallingCapabilities:
    """What an adapter needs and can do."""

    format: ToolCallFormat
    parallel: bool = False
    """Whether one answer may hold several calls."""
    needs_json_schema: bool = False
    """Whether the server has to take `response_format` of type `json_schema`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request, as the adapter wants it sent."""

    messages: list[Message]
    options: JsonObject = field(default_factory=dict)
    """Options of the request, such as `response_format`."""
    offers_tools: bool = True
    """False where the adapter asks for the plain answer: then nothing is parsed."""


class ToolCallingAdapter(ABC):
    """Gives a model tools by other means than its API."""

    capabilities: ToolCallingCapabilities

    @abstractmethod
    def convert_tools(self, tools: Sequence[ToolDefinition]) -> Any:
        """Return the tools as the model or the server is shown them."""

    @abstractmethod
    def prepare(self, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Step:
        """Rewrite a conversation, tool calls and results included, for the next answer."""

    @abstractmethod
    def parse_tool_calls(self, response: CompletionResponse) -> CompletionResponse:
        """Move the tool calls out of the text of an answer to a step that offered tools.

        A call that is cut off keeps `error` set and is never executed.
        """

    @abstractmethod
    def parse_stream(self, chunks: AsyncIterator[StreamChunk]) -> AsyncIterator[StreamChunk]:
        """Do the same for a stream; the answer's text comes through while it arrives."""
