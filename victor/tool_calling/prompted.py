"""Tools in the prompt: they are described there, and the calls are read out of the answer's text.

For models whose server neither calls tools nor takes a schema. The models write what they are shown
by example, in the format of a family they may have been trained on. Knows nothing about HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic_core import to_json

from victor.tool_calling.adapter import (
    Step,
    ToolCallFormat,
    ToolCallingAdapter,
    ToolCallingCapabilities,
)
from victor.tool_calling.parser import TextToolCallParser
from victor.tool_calling.text import parse_text
from victor.types import (
    CompletionResponse,
    JsonObject,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
)

__all__ = ["PROMPTED_FORMATS", "PromptedAdapter", "ThinkingReader"]


def _text(value: Any) -> str:
    return to_json(value).decode()


def _as_hermes(name: str, arguments: Mapping[str, Any]) -> str:
    return f"<tool_call>\n{_text({'name': name, 'arguments': arguments})}\n</tool_call>"


def _as_llama(name: str, arguments: Mapping[str, Any]) -> str:
    return _text({"name": name, "parameters": arguments})


def _as_qwen_coder(name: str, arguments: Mapping[str, Any]) -> str:
    lines = ["<tool_call>", f"<function={name}>"]
    for key, value in arguments.items():
        text = value if isinstance(value, str) else _text(value)
        lines += [f"<parameter={key}>", text, "</parameter>"]
    return "\n".join([*lines, "</function>", "</tool_call>"])


@dataclass(frozen=True, slots=True)
class _Writing:
    write: Callable[[str, Mapping[str, Any]], str]
    joined: str = "\n"
    """What stands between the calls of one answer."""


_WRITINGS: Mapping[str, _Writing] = MappingProxyType(
    {
        "hermes": _Writing(_as_hermes),
        "llama3_json": _Writing(_as_llama, "; "),
        "qwen3_coder": _Writing(_as_qwen_coder),
    }
)

PROMPTED_FORMATS = tuple(_WRITINGS)
"""The formats a prompt can be written in; a model of any other family is shown `hermes`."""


class PromptedAdapter(ToolCallingAdapter):
    """Tools by prompt. It remembers the tools of the last `prepare`: use one for each conversation.

    Args:
        format: the format of the model's family (`ModelData.tool_format`); one that cannot be
            written here, and None, is `hermes`.
        starts_in_reasoning: whether the model's template opens the reasoning in the prompt.
    """

    capabilities = ToolCallingCapabilities(ToolCallFormat.TEXT, parallel=True)

    def __init__(
        self,
        format: str | None = None,  # noqa: A002 - the name it has everywhere
        *,
        starts_in_reasoning: bool = False,
    ) -> None:
        self.format = format if format is not None and format in _WRITINGS else "hermes"
        self._writing = _WRITINGS[self.format]
        self._starts_in_reasoning = starts_in_reasoning
        self._tools: list[ToolDefinition] = []

    def convert_tools(self, tools: Sequence[ToolDefinition]) -> str:
        """Return what the prompt says about the tools."""
        lines = ["You can call these tools. Each line is one tool as JSON:", "<tools>"]
        for tool in tools:
            known = {"name": tool.name, "description": tool.description}
            lines.append(_text(known | {"parameters": tool.parameters}))
        shape = self._writing.write("name-of-the-tool", {"parameter": "value"})
        lines += ["</tools>", "To call a tool, write exactly this and nothing after it:", shape]
        for tool in tools:
            for example in tool.examples:
                lines += [
                    f"For example, for {example.request!r}:",
                    self._writing.write(tool.name, example.arguments),
                ]
        lines.append("If no tool is needed, answer in plain text.")
        return "\n".join(lines)

    def prepare(self, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Step:
        self._tools = list(tools)
        system = [one.content for one in messages if one.role == "system" and one.content]
        if tools:
            system.append(self.convert_tools(tools))
        rewritten: list[Message] = []
        if system:
            rewritten.append(Message(role="system", content="\n\n".join(system)))
        results: list[Message] = []
        for one in messages:
            if one.role == "tool":
                results.append(one)
                continue
            rewritten += _as_turn(results)
            results = []
            if one.role != "system":
                rewritten.append(self._spelled_out(one))
        return Step([*rewritten, *_as_turn(results)], offers_tools=bool(tools))

    def _spelled_out(self, message: Message) -> Message:
        if not message.tool_calls:
            return message
        calls = (self._writing.write(one.name, one.arguments) for one in message.tool_calls)
        content = "\n".join(filter(None, (message.content, self._writing.joined.join(calls))))
        return message.model_copy(update={"content": content, "tool_calls": None})

    def parse_tool_calls(self, response: CompletionResponse) -> CompletionResponse:
        found = parse_text(response.content, self.format, self._tools, self._starts(response))
        calls = [*(response.tool_calls or ()), *found.tool_calls] or None
        update: JsonObject = {
            "content": found.content,
            "reasoning": (response.reasoning or "") + (found.reasoning or "") or None,
            "tool_calls": calls,
            "stop_reason": _stop_reason(response.stop_reason, calls),
        }
        return response.model_copy(update=update)

    def _starts(self, answer: CompletionResponse | StreamChunk) -> bool:
        # A server that took the reasoning out of the text took its markers, too.
        return self._starts_in_reasoning and not answer.reasoning

    async def parse_stream(self, chunks: AsyncIterator[StreamChunk]) -> AsyncIterator[StreamChunk]:
        parser: TextToolCallParser | None = None
        calls: list[ToolCall] = []
        async for chunk in chunks:
            if parser is None:
                parser = TextToolCallParser(self.format, self._tools, self._starts(chunk))
            new = parser.feed(chunk.content)
            content, reasoning = new.content, chunk.reasoning + new.reasoning
            calls += new.tool_calls
            if not chunk.is_final:
                silent = not content and not reasoning
                yield replace(
                    chunk,
                    content=content,
                    reasoning=reasoning,
                    tool_call_delta=chunk.content if silent else chunk.tool_call_delta,
                )
                continue
            last = parser.finish()
            calls += last.tool_calls
            given = [*(chunk.tool_calls or ()), *calls] or None
            yield replace(
                chunk,
                content=content + last.content,
                reasoning=reasoning + last.reasoning,
                tool_calls=given,
                stop_reason=_stop_reason(chunk.stop_reason, given),
            )


class ThinkingReader(PromptedAdapter):
    """Takes `<think>` out of the text of a model whose server leaves it there; adds no tools.

    Args:
        starts_in_reasoning: whether the model's template opens the reasoning in the prompt.
    """

    def __init__(self, *, starts_in_reasoning: bool = False) -> None:
        super().__init__(starts_in_reasoning=starts_in_reasoning)
        self.format = "plain"


def _stop_reason(given: str | None, calls: Sequence[ToolCall] | None) -> str | None:
    return "tool_calls" if calls and given == "stop" else given


def _as_turn(results: Sequence[Message]) -> list[Message]:
    """Write the results of one turn's calls as one turn of the user, which every template knows."""
    if not results:
        return []
    pieces = [
        f"<tool_response>\n{_text({'name': one.name or 'tool', 'content': one.content})}\n"
        "</tool_response>"
        for one in results
    ]
    attached = [attachment for one in results for attachment in one.attachments]
    return [Message(role="user", content="\n".join(pieces), attachments=attached)]
