"""MiniMax M3's calls: every parameter is a tag of its own name, tags nest, each has a prefix.

Format: <https://huggingface.co/MiniMaxAI>, the chat template of M3. Knows nothing about reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, make_call, types_of
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.tool_calling.formats.typed import inner_schema, typed
from victor.types import JsonObject, ToolCall

__all__ = ["OPENER", "minimax_m3"]

_MARK = "]<]minimax[>["
OPENER = f"{_MARK}<tool_call>"
"""What begins a block of calls."""

_INVOKE = Markers((f"{_MARK}<invoke name=",))
_PREFIX = Markers((_MARK,))
_TAG_END = Markers((">",))
_END = Markers((f"{_MARK}</tool_call>",))
_TAG = re.compile(r"<(/?)([^\s<>/]+)")
_MAX_DEPTH = 128
_MIXED = "$text"
"""The name for text between the tags inside of a value."""


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
    yield from tape.skip_space()
    if (yield from tape.skip(_END)):
        return calls  # an empty block
    while True:
        yield from tape.skip_space()
        if not (yield from tape.skip(_INVOKE)):
            break
        head, ended = yield from tape.head(_TAG_END)
        name = head.strip().strip("\"'")
        if not ended or not name:
            break
        body, begin = _Body(), tape.mark
        yield from _fill(tape, body)
        schema = offered.get(name)
        raw = tape.kept_since(begin) if body.error else None
        arguments = _members(body.parameters, schema, schema)
        calls.append(make_call(name, arguments, raw=raw, error=body.error))
    if calls:
        yield from tape.skip(_END)
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
            if open_nodes and body.error is None:
                body.error = f"the tag {open_nodes[-1].name!r} is open but not closed"
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


def _value(node: _Node, schema: Any, root: Mapping[str, Any] | None) -> Any:
    text = "".join(node.text)
    if not node.children:
        types = types_of(schema, root)
        if not text.strip() and types and "string" not in types:
            return {} if "object" in types else [] if "array" in types else text
        return typed(text, schema, root)
    types = types_of(schema, root)
    named_items = all(child.name == "item" for child in node.children)
    if "array" in types or (named_items and "object" not in types):
        inner = inner_schema(schema, None, root)
        return [_value(child, inner, root) for child in node.children]
    found = _members(node.children, schema, root)
    if text.strip() and _MIXED not in found:
        found[_MIXED] = text
    return found


def _members(nodes: list[_Node], schema: Any, root: Mapping[str, Any] | None) -> JsonObject:
    """Return what tags of different names are; those of one name are a list."""
    found: JsonObject = {}
    repeated: set[str] = set()
    for node in nodes:
        value = _value(node, inner_schema(schema, node.name, root), root)
        if node.name not in found:
            found[node.name] = value
        elif node.name in repeated:
            found[node.name].append(value)
        else:
            found[node.name] = [found[node.name], value]
            repeated.add(node.name)
    return found
