"""Reads reasoning, content and tool calls out of a model's whole text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from victor.tool_calling.parser import TextToolCallParser
from victor.types import ToolCall, ToolDefinition

__all__ = ["ParsedText", "parse_text"]


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a model's text consists of."""

    content: str = ""
    """The text outside of reasoning and calls."""
    reasoning: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)


def parse_text(
    text: str,
    format: str | None,  # noqa: A002 - the contract's name
    tools: Sequence[ToolDefinition | Mapping[str, Any]] = (),
    starts_in_reasoning: bool = False,  # noqa: FBT001, FBT002 - the contract's signature
) -> ParsedText:
    """Read what a model wrote.

    Args:
        text: the whole answer.
        format: as in `TextToolCallParser`, like all that follow.
        tools: the tools on offer.
        starts_in_reasoning: whether the prompt opened the reasoning.

    Raises:
        ConfigError: there is no format of that name.
    """
    parser = TextToolCallParser(format, tools, starts_in_reasoning)
    first, last = parser.feed(text), parser.finish()
    return ParsedText(
        first.content + last.content,
        (first.reasoning + last.reasoning) or None,
        first.tool_calls + last.tool_calls,
    )
