"""Calls written as one JSON object or array, with or without a marker before it.

Hermes and its many kin: <https://github.com/NousResearch/Hermes-Function-Calling>; Llama 3, Mistral
before v11, Granite 3, Command R, Jamba, InternLM 2 and more. They differ in markers and in how the
keys are called. Knows nothing about reasoning or content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, coerced_arguments, make_call, read_arguments
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.literals import loads, loads_part
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import JsonObject, ToolCall

__all__ = ["free_json", "json_block", "named_by_key"]

_NAMES = ("name", "tool_name", "function")
_ARGUMENTS = ("arguments", "parameters")
_IDS = ("id", "tool_call_id")
_NAME = re.compile(r'"(?:name|tool_name)"\s*:\s*"([^"\\]+)"')
_FIRST_KEY = re.compile(
    r'(?:\[\s*)?\{\s*"(?:name|tool_name|arguments|parameters|type|function|id)"\s*:'
)
_FIRST_KEY_PART = 48
"""Characters within which the first key of a call has to come."""


def json_block(
    *closers: str,
    again: Sequence[str] = (),
    before: Sequence[str] = (),
    joiners: str = ",;",
    by_key: bool = False,
    coerces: bool = False,
) -> Reader:
    """Return a reader of JSON calls after a marker.

    Args:
        closers: markers that may end the block.
        again: markers that may come once more before the JSON, with no meaning.
        before: what has to come first; one of them.
        joiners: what may stand between two values of a block.
        by_key: whether an object's only key is the name.
        coerces: whether values that are text get their types from the schema.
    """
    ends = Markers(closers)
    between = Markers(tuple(joiners))
    repeated = Markers(again)
    first = Markers(before)

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        if before and not (yield from tape.skip(first)):
            return None
        while (yield from tape.skip(repeated)):
            yield from tape.skip_space()
        calls: list[ToolCall] = []
        while True:
            yield from tape.skip_space()
            if (yield from tape.ahead(1)) not in {"{", "["}:
                break
            raw, complete = yield from tape.value()
            found = _calls(raw, offered, complete=complete, by_key=by_key, coerces=coerces)
            if not found:
                return calls or None
            calls += found
            yield from tape.skip_space()
            yield from tape.skip(between)
        if calls:
            yield from tape.skip(ends)
        return calls or None

    return read


def named_by_key(*closers: str) -> Reader:
    """Return a reader of `[{"name of the tool": {arguments}}]`."""
    return json_block(*closers, by_key=True)


def free_json(*closers: str, joiners: str = ";") -> Reader:
    """Return a reader of JSON calls without a marker, whose tool has to be an offered one.

    Args:
        closers: markers that may come after the last call.
        joiners: what stands between two calls.
    """
    ends = Markers(closers)
    between = Markers(tuple(joiners))

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        calls: list[ToolCall] = []
        while True:
            # Before all of a long text is held back it has to look like a call.
            if not _FIRST_KEY.match((yield from tape.ahead(_FIRST_KEY_PART))):
                break
            raw, complete = yield from tape.value()
            found = _calls(raw, offered, complete=complete, strict=True)
            if not found or any(offered and call.name not in offered for call in found):
                return None
            calls += found
            yield from tape.skip_space()
            if not (yield from tape.skip(between)):
                break
            yield from tape.skip_space()
        if calls and closers:
            yield from tape.skip(ends)
        return calls or None

    return read


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
            typed = coerced_arguments(call.arguments, offered.get(call.name))
            call = call.model_copy(update={"arguments": typed})
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
