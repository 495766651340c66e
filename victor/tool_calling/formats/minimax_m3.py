"""MiniMax M3's calls: every parameter is a tag of its own name, tags nest, each has a prefix.

Format: <https://huggingface.co/MiniMaxAI>, the chat template of M3. Knows nothing about reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, coerced, make_call, types_of
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import JsonObject, ToolCall

__all__ = ["OPENER", "minimax_m3"]

_MARK = "]<]minimax[>["
OPENER = f"{_MARK}<tool_call>"
"""What begins a block of calls."""

_INVOKE = Markers((f"{_MARK}<invoke name=",))
_PREFIX = Markers((_MARK,))
_TAG_END = Markers((">",))
_TAG = re.compile(r"<(/?)([^\s<>/]+)")
_MAX_DEPTH = 128


@dataclass(slots=True)
class _Node:
    name: str
    text: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class _Body:
    parameters: list[_Node] = field(default_factory=list)
    error: str | None = None


def minimax_m3() -> Reader:
    """Return a reader of a block of MiniMax M3's calls."""
    return _read


def _read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
    calls: list[ToolCall] = []
    while True:
        yield from tape.skip_space()
        if not (yield from tape.skip(_INVOKE)):
            break
        head, ended = yield from tape.head(_TAG_END)
        name = head.strip().strip("\"'")
        if not ended or not name:
            break
        body = _Body()
        yield from _fill(tape, body)
        calls.append(_call(name, body, offered.get(name), tape.kept))
    if calls:
        yield from tape.skip(Markers((f"{_MARK}</tool_call>",)))
    return calls or None


def _fill(tape: Tape, body: _Body) -> Steps[None]:
    """Read the parameters of a call; a mistake keeps those before it."""
    open_nodes: list[_Node] = []
    while True:
        text, prefix = yield from tape.through(_PREFIX)
        if open_nodes:
            open_nodes[-1].text.append(text)
        elif text.strip() and prefix:
            body.error = body.error or "there is text between the parameters"
        head, ended = yield from tape.head(_TAG_END)
        tag = _TAG.match(head) if ended and prefix else None
        if tag is None:
            if not prefix or not ended:
                _cut(body, open_nodes)
                return
            continue
        if tag[1] and tag[2] == "invoke":
            return
        _apply(body, open_nodes, tag[2], closes=bool(tag[1]))


def _cut(body: _Body, open_nodes: list[_Node]) -> None:
    if open_nodes and body.error is None:
        body.parameters.append(open_nodes[0])
        for outer, inner in pairwise(open_nodes):
            outer.children.append(inner)
    body.error = body.error or CUT_OFF


def _apply(body: _Body, open_nodes: list[_Node], name: str, *, closes: bool) -> None:
    if not closes:
        if len(open_nodes) == _MAX_DEPTH:
            body.error = "the arguments are nested too deep"
            open_nodes.clear()
        open_nodes.append(_Node(name))
        return
    if not open_nodes or open_nodes[-1].name != name:
        body.error = body.error or f"the tag {name!r} is closed but not open"
        return
    node = open_nodes.pop()
    if open_nodes:
        open_nodes[-1].children.append(node)
    elif body.error is None:
        body.parameters.append(node)


def _call(name: str, body: _Body, schema: Mapping[str, Any] | None, raw: str) -> ToolCall:
    arguments: JsonObject = {}
    for node in body.parameters:
        if node.name in arguments:
            body.error = body.error or f"the parameter {node.name!r} is given twice"
        arguments[node.name] = _value(node, _inner(schema, node.name), schema)
    return make_call(name, arguments, raw=raw, error=body.error)


def _value(node: _Node, schema: Any, root: Mapping[str, Any] | None) -> Any:
    if not node.children:
        text = "".join(node.text)
        types = types_of(schema, root)
        if not text.strip() and types and "string" not in types:
            return {} if "object" in types else [] if "array" in types else text
        return coerced(text, schema, root)
    if all(child.name == "item" for child in node.children):
        return [_value(child, _inner(schema, None), root) for child in node.children]
    found: JsonObject = {}
    for child in node.children:
        value = _value(child, _inner(schema, child.name), root)
        if child.name in found:  # a list whose items are not called so
            before = found[child.name]
            value = [*before, value] if isinstance(before, list) else [before, value]
        found[child.name] = value
    return found


def _inner(schema: Any, name: str | None) -> Any:
    """Return the schema of a property, or with None of an item."""
    for one in _alternatives(schema):
        if name is None:
            if "items" in one:
                return one["items"]
        elif isinstance(one.get("properties"), Mapping) and name in one["properties"]:
            return one["properties"][name]
    return None


def _alternatives(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
        for word in ("anyOf", "oneOf", "allOf"):
            yield from (one for one in schema.get(word, ()) if isinstance(one, Mapping))
