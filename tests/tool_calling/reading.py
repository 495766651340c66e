"""Helpers of the tests here: read a text in pieces, and compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from victor.tool_calling.parser import TextToolCallParser
from victor.types import ToolDefinition

Tools = Sequence[ToolDefinition | Mapping[str, Any]]


class Read(NamedTuple):
    content: str
    reasoning: str
    calls: list[tuple[str, dict[str, Any]]]
    errors: list[str | None]
    ids: list[str]


def read(
    pieces: Iterable[str],
    name: str | None,
    tools: Tools = (),
    *,
    starts_in_reasoning: bool = False,
) -> Read:
    parser = TextToolCallParser(name, tools, starts_in_reasoning)
    deltas = [parser.feed(piece) for piece in pieces]
    deltas.append(parser.finish())
    calls = [call for delta in deltas for call in delta.tool_calls]
    return Read(
        "".join(delta.content for delta in deltas),
        "".join(delta.reasoning for delta in deltas),
        [(call.name, call.arguments) for call in calls],
        [call.error for call in calls],
        [call.id for call in calls],
    )


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    """Cut a text into pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: 3 is 3.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
