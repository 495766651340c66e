"""Constrained tool calling: each answer is one JSON object, enforced by the server's grammar.

The object names a tool and its arguments; the answer itself is one more tool, called `answer`. With
it even a model of half a billion parameters always writes a valid call. What the model is told is
in `step_prompt.py`, what it is held to in `step_schema.py`. Knows nothing about HTTP or files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from pydantic_core import from_json

from victor.errors import ConfigError, ProviderInvalidRequestError
from victor.tool_calling.adapter import (
    Step,
    ToolCallFormat,
    ToolCallingAdapter,
    ToolCallingCapabilities,
)
from victor.tool_calling.step_prompt import call_text, last_request, opening, with_tools
from victor.tool_calling.step_schema import ANSWER, step_schema
from victor.types import (
    CompletionResponse,
    JsonObject,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
)

__all__ = ["ConstrainedAdapter"]

_MAX_RESULTS = 8_000
"""Characters of tool results in one request: about half of a window of 4,096 tokens."""
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
        """Return `response_format` with one alternative per tool, and one for the answer.

        Raises:
            ConfigError: a tool has the name by which the model answers.
        """
        if any(tool.name == ANSWER for tool in tools):
            raise ConfigError(
                f"with this model {ANSWER!r} cannot be a tool's name, as it is how the model "
                "answers; set another one with tool(name=...)"
            )
        return {
            "type": "json_schema",
            "json_schema": {"name": "step", "strict": True, "schema": step_schema(tools)},
        }

    def prepare(self, messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> Step:
        if not messages:
            raise ProviderInvalidRequestError("there is no message to answer")
        asked = _last_user(messages)
        earlier, question, since = messages[:asked], messages[asked], messages[asked + 1 :]
        system = "\n".join(one.content for one in earlier if one.role == "system")
        left = list(tools) if self._chain else _still_useful(tools, since)
        if not left:
            return Step(_answer_from(system, earlier, question, since, tools), offers_tools=False)
        rewritten = [
            *opening(system, left),
            *_remembered(earlier),
            with_tools(question, left),
            *_spelled_out(since, question),
        ]
        return Step(rewritten, {"response_format": self.convert_tools(left)})

    def parse_tool_calls(self, response: CompletionResponse) -> CompletionResponse:
        text, calls = _parse(response.content)
        stop = _stop_reason(response.stop_reason, calls)
        return response.model_copy(
            update={"content": text, "tool_calls": calls, "stop_reason": stop}
        )

    async def parse_stream(self, chunks: AsyncIterator[StreamChunk]) -> AsyncIterator[StreamChunk]:
        written = ""
        shown = 0
        async for chunk in chunks:
            written += chunk.content
            if chunk.is_final:
                text, calls = _parse(written)
                stop = _stop_reason(chunk.stop_reason, calls)
                yield replace(chunk, content=text[shown:], tool_calls=calls, stop_reason=stop)
            elif chunk.content or chunk.reasoning:
                new = _text_of(_step(written))[shown:]
                shown += len(new)
                yield StreamChunk(
                    new, chunk.reasoning, tool_call_delta="" if new else chunk.content
                )


def _stop_reason(given: str | None, calls: Sequence[ToolCall] | None) -> str | None:
    return "tool_calls" if calls and given == "stop" else given


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
    room = _room(since)
    for one in since:
        if one.role == "tool":
            text = f"Result of {one.name or 'the tool'}:\n{one.content[:room]}\n\n"
            text += f"Next step for: {question.content}"
            spelled.append(Message(role="user", content=text))
        elif one.tool_calls:
            calls = "\n".join(call_text(call.name, call.arguments) for call in one.tool_calls)
            spelled.append(Message(role="assistant", content=calls))
        else:
            spelled.append(one)
    return spelled


def _room(since: Sequence[Message]) -> int:
    """Return how many characters of each result there is room for."""
    return _MAX_RESULTS // max(1, sum(one.role == "tool" for one in since))


def _answer_from(
    system: str,
    earlier: Sequence[Message],
    question: Message,
    since: Sequence[Message],
    tools: Sequence[ToolDefinition],
) -> list[Message]:
    """Write the last request: the results, then the question, and no word about tools."""
    room = _room(since)
    text = "\n\n".join(one.content[:room] for one in since if one.role == "tool")
    task, asked = last_request(question.content, text, tools)
    return [
        Message(role="system", content=f"{system}\n{task}" if system else task),
        *_remembered(earlier),
        question.model_copy(update={"content": asked}),
    ]


def _parse(written: str) -> tuple[str, list[ToolCall] | None]:
    """Return the text and the calls of a step; what is no step at all is text."""
    step = _step(written)
    if step is None:
        return written, None
    name, arguments = step["tool"], step.get("arguments")
    if name == ANSWER:
        return _text_of(step), None
    try:
        from_json(written)
    except ValueError:
        why = "the call was cut off before its arguments were complete"
    else:
        if name and isinstance(arguments, dict):
            return "", [ToolCall(name=name, arguments=arguments)]
        why = "a call needs the name of a tool and an object of arguments"
    return "", [ToolCall(name=name or "unknown", raw_arguments=written, error=why)]


def _step(written: str) -> JsonObject | None:
    """Return as much of a step as has arrived; None while it does not name a tool."""
    try:
        value = from_json(written, allow_partial="trailing-strings")
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("tool"), str) else None


def _text_of(step: JsonObject | None) -> str:
    """Return the text of an answer; empty for a tool call."""
    if step is None or step["tool"] != ANSWER:
        return ""
    arguments = step.get("arguments")
    text = arguments.get("text") if isinstance(arguments, dict) else None
    return text if isinstance(text, str) else ""
