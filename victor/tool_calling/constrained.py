"""Constrained tool calling: each answer is one JSON object, enforced by the server's grammar.

The object names a tool and its arguments; the answer itself is one more tool, called `answer`. With
it even a model of half a billion parameters always writes a valid call. The wording was chosen by
measuring (docs/architecture.md, "The embedded model"). Knows nothing about HTTP or files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from victor.tool_calling.adapter import (
    Step,
    ToolCallFormat,
    ToolCallingAdapter,
    ToolCallingCapabilities,
)
from victor.types import (
    CompletionResponse,
    JsonObject,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
)

__all__ = ["ConstrainedAdapter"]

_ANSWER = "answer"
_LEAD = "You do not know what the tools would return: use a tool."
_FINAL = "Answer the question from the text. Be short and exact."
_MAX_RESULTS = 8_000
"""Characters of tool results in the last request: about half of a window of 4,096 tokens."""
_MAX_REMEMBERED = 600
"""Characters kept of each earlier question and answer."""
_REMEMBERED = 4


class ConstrainedAdapter(ToolCallingAdapter):
    """Tools by JSON schema, for models whose own tool calling cannot be trusted.

    Args:
        chain: offer tools again after a result. Tiny models repeat the call they just made; with
            False they get one, or two where the first only looked around, and then have to answer
            from what came back.
    """

    capabilities = ToolCallingCapabilities(ToolCallFormat.CONSTRAINED, needs_json_schema=True)

    def __init__(self, *, chain: bool = False) -> None:
        self._chain = chain

    def convert_tools(self, tools: Sequence[ToolDefinition]) -> JsonObject:
        """Return `response_format` with one alternative per tool, and one for the answer."""
        answer = {"type": "object", "properties": {"text": {"type": "string"}}}
        options = [_call_schema(tool.name, tool.parameters) for tool in tools]
        options.append(_call_schema(_ANSWER, answer | _closed("text")))
        schema = {"anyOf": options}
        return {
            "type": "json_schema",
            "json_schema": {"name": "step", "strict": True, "schema": schema},
        }

    def prepare(self, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Step:
        asked = _last_user(messages)
        earlier, question, since = messages[:asked], messages[asked], messages[asked + 1 :]
        system = "\n".join(one.content for one in earlier if one.role == "system")
        left = list(tools) if self._chain else _still_useful(tools, since)
        if not left:
            return Step(_answer_from(system, earlier, question, since), offers_tools=False)
        prompt = Message(role="system", content=_prompt(system, left))
        rewritten = [prompt, *_remembered(earlier), question, *_spelled_out(since, question)]
        return Step(rewritten, {"response_format": self.convert_tools(left)})

    def parse_tool_calls(self, response: CompletionResponse) -> CompletionResponse:
        text, calls = _parse(response.content)
        stop = response.stop_reason
        return response.model_copy(
            update={
                "content": text,
                "tool_calls": calls,
                "stop_reason": "tool_calls" if calls and stop == "stop" else stop,
            }
        )

    async def parse_stream(self, chunks: AsyncIterator[StreamChunk]) -> AsyncIterator[StreamChunk]:
        written = ""
        shown = 0
        async for chunk in chunks:
            written += chunk.content
            answer = _partial_answer(written)
            if len(answer) > shown:
                yield StreamChunk(answer[shown:])
                shown = len(answer)
            elif chunk.content or chunk.reasoning:
                yield StreamChunk(reasoning=chunk.reasoning, tool_call_delta=chunk.content)
            if chunk.is_final:
                text, calls = _parse(written)
                chunk.content = text[shown:]
                if calls:
                    chunk.tool_calls = calls
                    if chunk.stop_reason == "stop":
                        chunk.stop_reason = "tool_calls"
                yield chunk


def _closed(*required: str) -> JsonObject:
    return {"required": list(required), "additionalProperties": False}


def _call_schema(name: str, parameters: JsonObject) -> JsonObject:
    properties = {"tool": {"const": name}, "arguments": parameters}
    return {"type": "object", "properties": properties} | _closed("tool", "arguments")


def _last_user(messages: Sequence[Message]) -> int:
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            return index
    return len(messages) - 1


def _still_useful(
    tools: Sequence[ToolDefinition], since: Sequence[Message]
) -> list[ToolDefinition]:
    """Return what to offer a tiny model next: everything at first, then what it has not tried.

    After a result it is asked for the answer, unless the call could not have found anything: it
    failed, or it took no argument that had to do with the question.
    """
    results = [one for one in since if one.role == "tool"]
    if not results:
        return list(tools)
    calls = [call for one in since for call in one.tool_calls or ()]
    used = {call.name for call in calls}
    if len(results) > 1:
        return []
    needs = {tool.name: bool(tool.parameters.get("required")) for tool in tools}
    specific = any(needs.get(call.name, True) for call in calls)
    failed = results[-1].content.startswith(("Error:", "No match"))
    return [tool for tool in tools if tool.name not in used] if failed or not specific else []


def _prompt(system: str, tools: Sequence[ToolDefinition]) -> str:
    lines = [system, _LEAD, "Reply with one JSON object: call a tool.", "Tools:"]
    for tool in tools:
        arguments = ", ".join(tool.parameters.get("properties", {}))
        lines.append(f"- {tool.name}({arguments}): {tool.description}")
    lines.append(f"- {_ANSWER}(text): Only for greetings and arithmetic.")
    lines += _choices(tools)
    examples = [
        f"{example.request}\n{_call_text(tool.name, example.arguments)}"
        for tool in tools
        for example in tool.examples
    ]
    examples.append(f"What is 3 + 4?\n{_call_text(_ANSWER, {'text': '3 + 4 = 7'})}")
    return "\n".join([line for line in lines if line] + ["Examples:", *examples])


def _choices(tools: Sequence[ToolDefinition]) -> list[str]:
    """Say which values a parameter may have; the grammar enforces them, the model has to know."""
    lines = []
    for tool in tools:
        for name, schema in tool.parameters.get("properties", {}).items():
            if isinstance(schema, dict) and "enum" in schema:
                lines.append(f"{name} is one of: {', '.join(map(str, schema['enum']))}")
    return lines


def _call_text(name: str, arguments: JsonObject) -> str:
    return to_json({"tool": name, "arguments": arguments}).decode()


def _remembered(earlier: Sequence[Message]) -> list[Message]:
    """Return the last questions and answers before this one, shortened, without tools."""
    spoken = [one for one in earlier if one.role in {"user", "assistant"} and one.content]
    return [
        Message(role=one.role, content=one.content[:_MAX_REMEMBERED])
        for one in spoken[-_REMEMBERED:]
    ]


def _spelled_out(since: Sequence[Message], question: Message) -> list[Message]:
    """Write calls and results as plain turns, which every chat template knows."""
    spelled: list[Message] = []
    for one in since:
        if one.role == "tool":
            text = f"Result of {one.name or 'the tool'}:\n{one.content}\n\n"
            text += f"Next step for: {question.content}"
            spelled.append(Message(role="user", content=text))
        elif one.tool_calls:
            calls = "\n".join(_call_text(call.name, call.arguments) for call in one.tool_calls)
            spelled.append(Message(role="assistant", content=calls))
        else:
            spelled.append(one)
    return spelled


def _answer_from(
    system: str, earlier: Sequence[Message], question: Message, since: Sequence[Message]
) -> list[Message]:
    """Write the last request: the results, then the question, and no word about tools."""
    results = [one.content for one in since if one.role == "tool"]
    room = _MAX_RESULTS // max(1, len(results))
    text = "\n\n".join(result[:room] for result in results)
    lead = f"{system}\n{_FINAL}" if system else _FINAL
    return [
        Message(role="system", content=lead),
        *_remembered(earlier),
        question.model_copy(update={"content": f"{text}\n\nQuestion: {question.content}"}),
    ]


def _parse(written: str) -> tuple[str, list[ToolCall] | None]:
    """Return the text and the calls of a step."""
    try:
        value: Any = from_json(written)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        answer = _partial_answer(written)
        if answer:
            return answer, None
        return _broken(written)
    arguments = value.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    if value["tool"] == _ANSWER:
        return str(arguments.get("text", "")), None
    return "", [ToolCall(name=value["tool"], arguments=arguments)]


def _broken(written: str) -> tuple[str, list[ToolCall] | None]:
    """Return a call that was cut off as one that cannot run; other text is the answer."""
    try:
        value = from_json(written, allow_partial="trailing-strings")
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        return written, None
    why = "the call was cut off before its arguments were complete"
    return "", [ToolCall(name=value["tool"] or "unknown", raw_arguments=written, error=why)]


def _partial_answer(written: str) -> str:
    """Return as much of the answer's text as has arrived; empty while it is a tool call."""
    try:
        value = from_json(written, allow_partial="trailing-strings")
    except ValueError:
        return ""
    if not isinstance(value, dict) or value.get("tool") != _ANSWER:
        return ""
    arguments = value.get("arguments")
    text = arguments.get("text") if isinstance(arguments, dict) else None
    return text if isinstance(text, str) else ""
