"""OpenAI Responses, the items of an output: what they say, and which of them are the caller's.

Spec: https://platform.openai.com/docs/api-reference/responses/object
An output is a list of items: messages, reasoning, calls of the caller's tools, and what the server
did with its own. Reads whatever type a field has. Knows nothing about requests, streams or errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from victor.providers.reading import mapping, unique_calls, word
from victor.types import JsonObject, ToolCall

__all__ = [
    "WIRE",
    "Reading",
    "call_positions",
    "open_positions",
    "read_items",
    "state_of",
    "texts_of",
]

WIRE = "openai-responses"
"""The key in `Message.provider_state`."""

_CALLS = frozenset({"function_call", "custom_tool_call"})
_WRAPPER = "multi_tool_use.parallel"
# Calls of hosted tools that wait for the caller unless their result stands in the same output.
_ACTIONS = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "local_shell_call",
        "mcp_approval_request",
        "shell_call",
    }
)
# What a plain message, or a call, cannot say: the phase of an answer, the origin of a tool.
_MARKS = ("phase", "namespace", "caller")


@dataclass(frozen=True, slots=True)
class Reading:
    """What an output says."""

    content: str
    reasoning: str
    calls: list[ToolCall]
    refused: bool
    items: list[JsonObject]
    """The items themselves, in order; every call among them is one of `calls`."""


def read_items(output: Iterable[Any]) -> Reading:
    """Read an output, whatever is in it."""
    items = [part for item in output if _is_item(item) for part in _unwrapped(item)]
    content, refused = texts_of(items)
    calls = [items[position] for position in call_positions(items)]
    return Reading(
        content=content,
        reasoning="".join(_thought(item) for item in items if item["type"] == "reasoning"),
        calls=unique_calls(
            (_call_id(item), word(item.get("name")), _arguments(item)) for item in calls
        ),
        refused=refused,
        items=items,
    )


def texts_of(items: Iterable[Mapping[str, Any]]) -> tuple[str, bool]:
    """Return the text of all messages, and whether any of it is a refusal."""
    found: list[str] = []
    refused = False
    for item in items:
        if item.get("type") != "message":
            continue
        parts = item.get("content")
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, str):
                found.append(part)
            elif isinstance(part, Mapping):
                refusal = word(part.get("refusal"))
                refused = refused or bool(refusal)
                found.append(word(part.get("text")) or refusal)
    return "".join(found), refused


def call_positions(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return where the calls of the caller's tools are.

    A custom call with a message after it was answered by the server: xAI shows its own searches so.
    """
    kinds = [item.get("type") for item in items]
    last = max((at for at, kind in enumerate(kinds) if kind == "message"), default=-1)
    return [
        at
        for at, kind in enumerate(kinds)
        if kind == "function_call" or (kind == "custom_tool_call" and at > last)
    ]


def open_positions(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return where the server waits for the caller to run or to allow a hosted tool."""
    answered = {
        word(item.get("call_id")) for item in items if word(item.get("type")).endswith("_output")
    }
    return [at for at, item in enumerate(items) if _is_open(item, answered)]


def _is_open(item: Mapping[str, Any], answered: set[str]) -> bool:
    if item.get("type") == "tool_search_call":
        return item.get("execution") == "client"
    return item.get("type") in _ACTIONS and word(item.get("call_id")) not in answered


def state_of(items: list[JsonObject], provider: str) -> JsonObject | None:
    """Return what a message has to keep to be sent back; None where its own fields say it all."""
    kinds = [item["type"] for item in items]
    calls = ["function_call"] * kinds.count("function_call")
    marked = any(item.get(mark) for item in items for mark in _MARKS)
    if kinds in (calls, ["message", *calls]) and not marked:
        return None
    return {WIRE: {"provider": provider, "items": items}}


def _is_item(item: Any) -> bool:
    """Tell whether this is an item; a call nobody named is none, as nothing can run it."""
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        return False
    return item["type"] not in _CALLS or bool(word(item.get("name")))


def _thought(item: Mapping[str, Any]) -> str:
    summary, content = (_plain_text(item.get(key)) for key in ("summary", "content"))
    return summary if summary == content else summary + content


def _plain_text(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    return "".join(word(part) or word(mapping(part).get("text")) for part in parts)


def _call_id(item: Mapping[str, Any]) -> str:
    return word(item.get("call_id")) or word(item.get("id"))


def _arguments(item: Mapping[str, Any]) -> str | Mapping[str, Any] | None:
    if item["type"] == "custom_tool_call":
        return {"input": word(item.get("input"))}
    value = item.get("arguments")
    # Anything but text and objects is written out, to be refused like any other bad arguments.
    return value if value is None or isinstance(value, str | Mapping) else to_json(value).decode()


def _unwrapped(item: JsonObject) -> list[JsonObject]:
    """Return the calls in the wrapper that models are trained with and sometimes let through."""
    if item["type"] != "function_call" or item["name"] != _WRAPPER:
        return [item]
    uses = _parsed(item.get("arguments")).get("tool_uses")
    found: list[JsonObject] = []
    for use in uses if isinstance(uses, list) else []:
        name = word(mapping(use).get("recipient_name")).removeprefix("functions.")
        arguments = mapping(use).get("parameters")
        if name:
            number = f"_{len(found)}" if found else ""
            call: JsonObject = {"type": "function_call", "call_id": _call_id(item) + number}
            text = arguments if isinstance(arguments, str) else to_json(arguments).decode()
            found.append({**call, "name": name, "arguments": text})
    return found or [item]


def _parsed(arguments: Any) -> Mapping[str, Any]:
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments.encode("utf-8", "surrogatepass"))
        except ValueError:
            return {}
    return mapping(arguments)
