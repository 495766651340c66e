"""Calls written as one JSON object or array, with or without a marker before it.

Hermes and its many kin: <https://github.com/NousResearch/Hermes-Function-Calling>; Llama 3, Mistral
before v11, Granite 3, Command R, Jamba, InternLM 2 and more. They differ in markers and in how the
keys are called. Knows nothing about reasoning or content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, make_call, read_arguments
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.literals import loads, loads_part
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.tool_calling.formats.typed import conformed
from victor.types import JsonObject, ToolCall

__all__ = ["free_json", "json_block", "named_by_key"]

_NAMES = ("name", "tool_name", "function")
_ARGUMENTS = ("arguments", "parameters")
_IDS = ("id", "tool_call_id")
_NAME = re.compile(r'"(?:name|tool_name)"\s*:\s*"([^"\\]+)"')
_FIRST_KEY = re.compile(
    r"(?:\[\s*)?\{\s*([\"'])"
    r"(?:name|tool_name|arguments|parameters|type|function|id|tool_call_id)\1\s*:"
)
_FIRST_KEY_PART = 48
"""Characters within which the first key of a call has to come."""
_STRAY = ("", "}", "}\n", "]", "]\n", ",", ",\n")
"""What some models write too much, before the marker after the call."""
_GAP = 64
"""Characters there may be between two calls."""


def json_block(
    *closers: str,
    again: Sequence[str] = (),
    before: Sequence[str] = (),
    by_key: bool = False,
    coerces: bool = False,
) -> Reader:
    """Return a reader of JSON calls after a marker.

    Args:
        closers: markers that may end the block.
        again: markers that may come once more before the JSON, with no meaning.
        before: what has to come first; one of them.
        by_key: whether an object's only key is the name.
        coerces: whether values that are text get their types from the schema.
    """
    ends = Markers(stray + closer for closer in closers for stray in _STRAY)
    repeated = Markers(again)
    first = Markers(before)

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        if before and not (yield from tape.skip(first)):
            return None
        while (yield from tape.skip(repeated)):
            yield from tape.skip_space()
        calls: list[ToolCall] = []
        yield from tape.skip_space()
        if (yield from tape.ahead(1)) not in {"{", "["}:
            return None
        while True:
            raw, complete = yield from tape.value()
            found = _calls(raw, offered, complete=complete, by_key=by_key, coerces=coerces)
            if not found:
                return calls or None
            calls += found
            if not (yield from _another(tape)):
                break
        yield from tape.skip(ends, spaced=True)
        return calls

    return read


def named_by_key(*closers: str) -> Reader:
    """Return a reader of `[{"name of the tool": {arguments}}]`."""
    return json_block(*closers, by_key=True)


def free_json(*closers: str) -> Reader:
    """Return a reader of JSON calls without a marker, whose tool has to be an offered one.

    Args:
        closers: markers that may come after the last call.
    """
    ends = Markers(closers)

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        # Before all of a long text is held back it has to look like a call.
        if not (yield from _another(tape, joiners="")):
            return None
        calls: list[ToolCall] = []
        while True:
            raw, complete = yield from tape.value()
            found = _calls(raw, offered, complete=complete, strict=True)
            if not found or any(offered and call.name not in offered for call in found):
                return None
            calls += found
            if not (yield from _another(tape)):
                break
        yield from tape.skip(ends, spaced=True)
        return calls

    return read


def _another(tape: Tape, joiners: str = ",;") -> Steps[bool]:
    """Tell whether a call comes, and read what stands before it, at most one of the joiners."""
    for count in range(_GAP):
        mark = (yield from tape.ahead(count + 1))[count:]
        if mark and mark in "{[":
            first = yield from tape.ahead(count + _FIRST_KEY_PART)
            if not _FIRST_KEY.match(first, count):
                return False
            tape.take(count)
            return True
        if mark and mark in joiners:
            joiners = ""
        elif not mark.isspace():
            return False
    return False


def _calls(
    raw: str,
    offered: Offered,
    *,
    complete: bool,
    strict: bool = False,
    by_key: bool = False,
    coerces: bool = False,
) -> list[ToolCall]:
    """Return the calls of one JSON value; none where it is something else."""
    try:
        value = loads(raw) if complete else loads_part(raw)
    except ValueError as error:
        return [] if strict else _broken(raw, f"the call is not valid JSON: {error}")
    if value is None:
        return [] if strict else _broken(raw, CUT_OFF)
    items = value if isinstance(value, list) else [value]
    calls: list[ToolCall] = []
    for index, item in enumerate(items):
        is_cut = not complete and index == len(items) - 1
        call = _by_key(item) if by_key else _call(item, raw, cut=is_cut, strict=strict)
        if call is None:
            if is_cut:
                continue
            return []
        if is_cut and call.error is None:
            call = call.model_copy(update={"error": CUT_OFF, "raw_arguments": raw})
        if coerces:
            schema = offered.get(call.name)
            fitting = conformed(call.arguments, schema, schema)
            call = call.model_copy(update={"arguments": fitting})
        calls.append(call)
    return calls


def _by_key(item: Any) -> ToolCall | None:
    if not isinstance(item, dict) or len(item) != 1:
        return None
    ((name, arguments),) = item.items()
    return make_call(name, arguments) if isinstance(arguments, dict) else None


def _call(item: Any, raw: str, *, cut: bool, strict: bool) -> ToolCall | None:
    if not isinstance(item, Mapping):
        return None
    if isinstance(item.get("function"), Mapping):  # OpenAI's nesting, which Llama likes to write
        item = {**item, **item["function"]}
    name = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), "")
    key = next((key for key in _ARGUMENTS if key in item), None)
    if not name or (strict and key is None):
        return None
    call_id = next((item[key] for key in _IDS if isinstance(item.get(key), (str, int))), None)
    fields = _fields(item[key] if key else None, raw, complete=not cut)
    return ToolCall(name=name, **fields, **({"id": str(call_id)} if call_id is not None else {}))


def _fields(given: Any, raw: str, *, complete: bool) -> JsonObject:
    if given is None:
        return {"arguments": {}}
    if isinstance(given, dict):
        return {"arguments": given}
    if isinstance(given, str):
        return read_arguments(given, complete=complete)
    why = f"the arguments are a JSON {type(given).__name__}, not an object"
    return {"arguments": {}, "raw_arguments": raw, "error": why}


def _broken(raw: str, why: str) -> list[ToolCall]:
    named = _NAME.search(raw)
    return [make_call(named[1], {}, raw=raw, error=why)] if named else []
