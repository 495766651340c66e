"""Calls written as tags: one for the call, one for each parameter, and raw text between.

Qwen3-Coder (<https://huggingface.co/Qwen/Qwen3-Coder-480B-A35B-Instruct/blob/main/chat_template.jinja>),
Seed-OSS, MiniMax M2, DeepSeek V3.2 and V4, Step 3, Kimi K3 and more differ in how the tags are
spelled. Knows nothing about reasoning or content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, parameter_schema, read_arguments, unwrapped
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.json_blocks import json_block
from victor.tool_calling.formats.literals import loads
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.tool_calling.formats.typed import typed
from victor.types import JsonObject, ToolCall

__all__ = ["Tags", "tagged"]

_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_QUOTED = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)')")
_NAME = re.compile(r"[\w.\-:/]+")
_HEAD = 512
"""Characters a tag may have."""


@dataclass(frozen=True, slots=True)
class Tags:
    """How a family spells its tags."""

    call: tuple[str, ...]
    """What begins the tag of a call, up to its name."""
    call_end: str
    parameter: tuple[str, ...]
    parameter_end: str
    outer_ends: tuple[str, ...] = ()
    """What may close a block of calls."""
    head_end: str = ">"
    trims_lines: bool = False
    """Whether the line breaks next to the tags do not belong to a value."""
    trims_pairs: bool = False
    """The same, but only where there are two of them: on lines of its own the value is."""
    cdata: bool = False
    special: bool = False
    """Whether the tags are tokens of their own, so that they cannot be part of a value."""
    escapes: bool = False
    """Whether quotes and ampersands in attributes are written as in XML."""


@dataclass(slots=True)
class _Call:
    name: str
    schema: Mapping[str, Any] | None
    arguments: JsonObject = field(default_factory=dict)
    error: str | None = None


def tagged(tags: Tags) -> Reader:
    """Return a reader of calls in tags; its opener is the tag of a block or of a call."""
    return _Reader(tags).read


class _Reader:
    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._calls = Markers(tags.call)
        self._outer_end = Markers(tags.outer_ends)
        self._head_end = Markers((tags.head_end,))
        self._head_ends = Markers(
            (tags.head_end, "<", "\n") if tags.head_end == ">" else (tags.head_end,)
        )
        self._call_end = Markers((tags.call_end,))
        self._inside = Markers((*tags.parameter, tags.call_end, *tags.outer_ends))
        self._value_end = Markers((tags.parameter_end, tags.call_end, *tags.parameter))
        self._cdata = Markers(("<![CDATA[",))
        self._cdata_end = Markers(("]]>",))
        self._only_end = Markers((tags.parameter_end,))
        self._json = json_block()

    def read(self, tape: Tape, offered: Offered, opener: str) -> Steps[Found]:
        calls: list[ToolCall] = []
        marker: str | None = opener if opener in self._tags.call else None
        if marker is None:
            yield from tape.skip_space()
            if (yield from tape.skip(self._outer_end)) or (yield from self._has_ended(tape)):
                return []  # an empty block
            if self._tags.outer_ends and (yield from tape.ahead(1)) == "{":
                found = yield from self._json(tape, offered, opener)
                calls = found if isinstance(found, list) else []
            marker = yield from tape.skip(self._calls)
        while marker:
            call = yield from self._call(tape, offered)
            if call is None:
                break
            calls.append(call)
            marker = yield from tape.skip(self._calls, spaced=True)
        if calls:
            yield from tape.skip(self._outer_end, spaced=True)
        return calls or None

    def _has_ended(self, tape: Tape) -> Steps[bool]:
        """Tell whether the answer ends after a marker that cannot be text."""
        return self._tags.special and not (yield from tape.ahead(1))

    def _call(self, tape: Tape, offered: Offered) -> Steps[ToolCall | None]:
        begin = tape.mark
        head = yield from self._head(tape)
        name = self._name(head or "")
        if not _NAME.fullmatch(name):
            return None
        call = _Call(name, offered.get(name))
        yield from tape.skip_space()
        if (yield from tape.ahead(1)) == "{":
            raw, complete = yield from tape.value()
            yield from tape.skip_space()
            yield from tape.skip(self._call_end)
            return ToolCall(name=name, **read_arguments(raw, complete=complete))
        marker = yield from tape.skip(self._inside)
        if marker is None and (yield from tape.ahead(1)) not in {"", "<"}:
            return None  # the tag is only mentioned
        yield from self._parameters(tape, call, marker)
        arguments = unwrapped(call.arguments, call.schema)
        raw_text = tape.kept_since(begin) if call.error else None
        return ToolCall(name=name, arguments=arguments, error=call.error, raw_arguments=raw_text)

    def _parameters(self, tape: Tape, call: _Call, marker: str | None) -> Steps[None]:
        while marker != self._tags.call_end:
            if marker in self._tags.outer_ends:
                return  # the call's own end is missing, and nothing else
            if marker is None:
                _, marker = yield from tape.through(self._inside)
                call.error = "there is text between the parameters" if marker else CUT_OFF
                if not marker:
                    return
                continue
            marker = yield from self._parameter(tape, call)
            if marker is None:
                yield from tape.skip_space()
                marker = yield from tape.skip(self._inside)

    def _parameter(self, tape: Tape, call: _Call) -> Steps[str | None]:
        """Read a parameter; return the marker that was read because the parameter's end misses."""
        head = yield from self._head(tape)
        if head is None:
            call.error = "a parameter has no name"
            return None
        name = self._name(head)
        value, marker = yield from self._value(tape, call)
        if marker is None:
            call.error = CUT_OFF
        if name in call.arguments:
            call.error = f"the parameter {name!r} is given twice"
        attributes = {found[1]: found[2] or found[3] or "" for found in _ATTRIBUTE.finditer(head)}
        call.arguments[name] = self._typed(value, name, attributes, call)
        return None if marker == self._tags.parameter_end else marker

    def _value(self, tape: Tape, call: _Call) -> Steps[tuple[str, str | None]]:
        if self._tags.cdata and (yield from tape.skip(self._cdata)):
            value, ended = yield from tape.through(self._cdata_end)
            if ended:
                rest, ended = yield from tape.through(self._only_end)
                value += rest.rstrip()
            return value, ended
        pieces: list[str] = []
        while True:
            piece, marker = yield from tape.through(self._value_end)
            pieces.append(piece)
            if marker in {None, self._tags.parameter_end} or self._tags.special:
                break
            if (yield from self._ends(tape, piece, marker or "", call)):
                break
            pieces.append(marker or "")
        value = "".join(pieces)
        return self._trimmed(value, closed=marker == self._tags.parameter_end), marker

    def _trimmed(self, value: str, *, closed: bool) -> str:
        pair = value[:1] == "\n" == value[-1:] and len(value) > 1
        if self._tags.trims_lines or (self._tags.trims_pairs and pair):
            value = value.removeprefix("\r").removeprefix("\n")
            return value.removesuffix("\n").removesuffix("\r")
        # Without its end the value goes on to the line of the next tag.
        return value if closed or self._tags.special else value.removesuffix("\n")

    def _ends(self, tape: Tape, before: str, marker: str, call: _Call) -> Steps[bool]:
        """Tell whether a tag inside a value ends it, as the value's own end is missing.

        It may as well be part of the value: a file that is written can have tags, too.
        """
        if marker == self._tags.call_end:
            rest = (yield from tape.ahead(self._outer_end.longest + 8)).lstrip()
            return not rest or rest.startswith(self._tags.outer_ends)
        if not before.endswith("\n"):
            return False
        head, _ = yield from tape.peek(self._head_end, 64)
        name = self._name(head)
        known = (call.schema or {}).get("properties")
        return name not in call.arguments and (not known or name in known)

    def _typed(self, text: str, name: str, attributes: Mapping[str, str], call: _Call) -> Any:
        own = parameter_schema(call.schema, name)
        if own is not None:
            return typed(text, own, call.schema)
        said = attributes.get("string") or attributes.get("type") or "true"
        if said in {"true", "string"}:
            return text
        try:
            return loads(text)
        except ValueError:
            return text

    def _head(self, tape: Tape) -> Steps[str | None]:
        """Read the rest of a tag; one whose end is missing ends before the next or the line."""
        text, marker = yield from tape.peek(self._head_ends, _HEAD)
        if marker is None:
            return None
        tape.take(len(text) + (len(marker) if marker == self._tags.head_end else 0))
        return text

    def _name(self, head: str) -> str:
        quoted = _QUOTED.match(head)
        name = (quoted[1] or quoted[2] or "") if quoted else head.strip()
        return name.replace("&quot;", '"').replace("&amp;", "&") if self._tags.escapes else name
