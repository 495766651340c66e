"""What a constrained model is told about its tools, so that it chooses the right one.

Half a billion parameters choose by example. Tools that bring examples of their own are taught by
those. For all others it is shown how to choose among tools that do not exist: one list of them,
requests, and the steps they call for. That text never changes, so that a server reads it once. All
wording was chosen by measuring (docs/architecture.md, "The embedded model"). Knows nothing about
schemas and conversations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from victor.tool_calling.arguments import resolved
from victor.tool_calling.step_schema import ANSWER
from victor.types import JsonObject, Message, ToolDefinition

__all__ = ["call_text", "last_request", "opening", "with_tools"]

_TASK = "Choose the one tool that does what the user asks. Reply with one JSON object."
_WORDS = f"- {ANSWER}(text): No tool fits: greetings, thanks, small talk, general knowledge."
_SHOWN_TOOLS = """\
- book_table(restaurant, people): Reserve a table in a restaurant.
- stock_price(company): Look up what a company's share costs.
- resize_image(path, width): Change the size of a picture."""
_FROM_PASSAGES = "Answer the question from the text. Be short and exact."
_FROM_RESULT = "Answer the user in one sentence. Repeat the figures and names of the result."
_LISTING = 4_000
"""Characters for all descriptions together: about a quarter of a window of 4,096 tokens."""
_LONGEST, _SHORTEST = 400, 60
_MOST_CHOICES = 20


def call_text(name: str, arguments: JsonObject) -> str:
    """Write a step as the model writes it."""
    return to_json({"tool": name, "arguments": arguments}).decode()


def opening(system: str, tools: Sequence[ToolDefinition]) -> list[Message]:
    """Return what comes before the conversation.

    Args:
        system: the caller's own system prompt.
        tools: what is on offer, at least one.
    """
    if _bring_examples(tools):
        return [Message(role="system", content=_taught_by_their_own(system, tools))]
    messages = [Message(role="system", content=f"{system}\n{_TASK}" if system else _TASK)]
    for request, step in _shown():
        messages += [
            Message(role="user", content=_asked(_SHOWN_TOOLS, request)),
            Message(role="assistant", content=step),
        ]
    return messages


def with_tools(question: Message, tools: Sequence[ToolDefinition]) -> Message:
    """Return the question as the examples of `opening` put theirs."""
    if _bring_examples(tools):
        return question
    room = max(_SHORTEST, min(_LONGEST, _LISTING // len(tools)))
    listing = "\n".join(_line(tool, room) for tool in tools)
    own = [
        f"Request: {one.request}\n{call_text(tool.name, one.arguments)}\n"
        for tool in tools
        for one in tool.examples
    ]
    content = _asked(listing, question.content, "".join(own))
    return question.model_copy(update={"content": content})


def last_request(question: str, results: str, tools: Sequence[ToolDefinition]) -> tuple[str, str]:
    """Return what to do with the results of tools, and the question with them.

    Args:
        question: the user's.
        results: their texts.
        tools: what was on offer; those that bring examples return passages of files.
    """
    if _bring_examples(tools):
        return _FROM_PASSAGES, f"{results}\n\nQuestion: {question}"
    return _FROM_RESULT, f"{question}\n\nThe result is:\n{results}"


def _bring_examples(tools: Sequence[ToolDefinition]) -> bool:
    return all(tool.examples for tool in tools)


def _shown() -> list[tuple[str, str]]:
    return [
        (
            "Make photo.png 300 pixels wide",
            call_text("resize_image", {"path": "photo.png", "width": 300}),
        ),
        ("Hello!", call_text(ANSWER, {"text": "Hello! How can I help?"})),
        (
            "We are four and want to eat at Luigi's",
            call_text("book_table", {"restaurant": "Luigi's", "people": 4}),
        ),
        ("Who painted the Mona Lisa?", call_text(ANSWER, {"text": "Leonardo da Vinci."})),
    ]


def _asked(listing: str, request: str, examples: str = "") -> str:
    return f"Tools:\n{listing}\n{_WORDS}\n\n{examples}Request: {request}"


def _line(tool: ToolDefinition, room: int) -> str:
    schema = tool.parameters
    properties, required = schema.get("properties", {}), schema.get("required", [])
    arguments = ", ".join(
        name + ("" if name in required else "?") + _choices(one, schema)
        for name, one in properties.items()
    )
    description = " ".join(tool.description.split())
    if len(description) > room:
        description = description[: room - 1] + "…"
    return f"- {tool.name}({arguments}): {description}"


def _choices(schema: Any, root: Mapping[str, Any]) -> str:
    """Say which values a parameter may have; the grammar enforces them, the model has to know."""
    values = _enumerated(schema, root)
    if not values:
        return ""
    shown = [str(one) for one in values[:_MOST_CHOICES]]
    return ": " + "|".join([*shown, *(["…"] if len(values) > len(shown) else [])])


def _enumerated(schema: Any, root: Mapping[str, Any]) -> list[Any]:
    if not isinstance(schema, Mapping):
        return []
    inner = [schema, *(schema.get("anyOf") or ())]
    found = [resolved(one["$ref"], root) if "$ref" in one else one for one in inner]
    values = [one["enum"] for one in found if isinstance(one, Mapping) and one.get("enum")]
    return list(values[0]) if values else []


# ------------------------------------------------------- tools that bring examples of their own

_LEAD = "You do not know what the tools would return: use a tool."


def _taught_by_their_own(system: str, tools: Sequence[ToolDefinition]) -> str:
    lines = [system, _LEAD, "Reply with one JSON object: call a tool.", "Tools:"]
    for tool in tools:
        arguments = ", ".join(tool.parameters.get("properties", {}))
        lines.append(f"- {tool.name}({arguments}): {tool.description}")
    lines.append(f"- {ANSWER}(text): Only for greetings and arithmetic.")
    for tool in tools:
        for name, schema in tool.parameters.get("properties", {}).items():
            if values := _enumerated(schema, tool.parameters):
                lines.append(f"{name} is one of: {', '.join(map(str, values))}")
    examples = [
        f"{example.request}\n{call_text(tool.name, example.arguments)}"
        for tool in tools
        for example in tool.examples
    ]
    examples.append(f"What is 3 + 4?\n{call_text(ANSWER, {'text': '3 + 4 = 7'})}")
    return "\n".join([line for line in lines if line] + ["Examples:", *examples])
