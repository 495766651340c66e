"""Calls written as a name and pairs of tags for key and value.

GLM 4.5 to 4.7 (<https://huggingface.co/zai-org/GLM-4.5/blob/main/chat_template.jinja>), Ling 3,
Poolside's models, Hunyuan V3 and K2 Horizon, which may say a value's type. Values are raw text.
Knows nothing about reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from victor.tool_calling.arguments import (
    CUT_OFF,
    make_call,
    parameter_schema,
    types_of,
    unwrapped,
)
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.tool_calling.formats.typed import typed
from victor.types import JsonObject

__all__ = ["pairs"]

_NAME = re.compile(r"[\w.\-:/]+")
_TAG = Markers(("<",))
_TEXT = "there is text between the parameters"


def pairs(closer: str, *, prefix: str = "", separator: str = "") -> Reader:
    """Return a reader of `name<arg_key>key</arg_key><arg_value>value</arg_value>...`.

    Args:
        closer: ends a call.
        prefix: stands before the name in the four tags.
        separator: follows the name where the format has one.
    """
    return _Reader(closer, prefix, separator).read


@dataclass(slots=True)
class _Call:
    schema: Mapping[str, Any] | None
    arguments: JsonObject = field(default_factory=dict)
    error: str | None = None


class _Reader:
    def __init__(self, closer: str, prefix: str, separator: str) -> None:
        self._closer = closer
        self._end = Markers((closer,))
        self._key = f"<{prefix}arg_key>"
        self._parts = Markers((self._key, closer))
        self._separator = Markers((separator,) if separator else ())
        self._key_end = Markers((f"</{prefix}arg_key>",))
        self._type = f"<{prefix}arg_type>"
        self._type_end = Markers((f"</{prefix}arg_type>",))
        self._value = Markers((f"<{prefix}arg_value>",))
        self._before_value = Markers((self._type, f"<{prefix}arg_value>"))
        self._value_end = Markers((f"</{prefix}arg_value>",))

    def read(self, tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        begin = tape.mark
        yield from tape.skip_space()
        if (yield from tape.skip(self._end)):
            return []  # an empty block
        name = yield from _name(tape)
        if not name:
            return None
        yield from tape.skip(self._separator)
        yield from tape.skip_space()
        call = _Call(offered.get(name))
        marker = yield from tape.skip(self._parts)
        if marker is None:
            return None  # the name may be cut off itself, or this is prose
        while marker == self._key and (yield from self._pair(tape, call)):
            yield from tape.skip_space()
            marker = yield from tape.skip(self._parts)
        if marker != self._closer:
            call.error = call.error or (CUT_OFF if (yield from tape.ahead(1)) == "" else _TEXT)
        arguments = unwrapped(call.arguments, call.schema)
        raw = tape.kept_since(begin) if call.error else None
        return [make_call(name, arguments, raw=raw, error=call.error)]

    def _pair(self, tape: Tape, call: _Call) -> Steps[bool]:
        """Read a key and its value, and tell whether both were whole."""
        key, ended = yield from tape.through(self._key_end)
        if not ended:
            return False
        key, said = key.strip(), ""
        yield from tape.skip_space()
        marker = yield from tape.skip(self._before_value)
        if marker == self._type:
            said, _ = yield from tape.through(self._type_end)
            yield from tape.skip_space()
            marker = yield from tape.skip(self._value)
        if not marker:
            return False
        value, ended = yield from tape.through(self._value_end)
        if key in call.arguments:
            call.error = f"the parameter {key!r} is given twice"
        own = parameter_schema(call.schema, key)
        said = said.partition("[")[0].strip()
        if said and (own is None or said in types_of(own, call.schema)):
            own = {**own, "type": said} if isinstance(own, Mapping) else {"type": said}
        call.arguments[key] = typed(value, own, call.schema)
        return ended is not None


def _name(tape: Tape) -> Steps[str]:
    text, _ = yield from tape.peek(_TAG, 128)
    name = text.strip()
    if not _NAME.fullmatch(name):
        return ""
    tape.take(len(text))
    return name
