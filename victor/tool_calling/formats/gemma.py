"""Gemma's calls: `call:name{key:value}` between two markers, strings in a quote of their own.

FunctionGemma and Gemma 4: <https://ai.google.dev/gemma/docs/functiongemma/formatting-and-best-practices>.
A value without quotes has no type on the wire. Knows nothing about reasoning or content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, make_call, types_of
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.literals import Literals
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.tool_calling.formats.typed import conformed, inner_schema, typed
from victor.types import JsonObject

__all__ = ["bare_gemma", "gemma"]

_HEAD = re.compile(r"\s*(?:call)?\s*:?\s*([\w.\-/]+)\s*")
_BARE_HEAD = re.compile(r"call:([\w.\-/]+)")
_CLOSING = MappingProxyType({"{": "}", "(": ")"})


def gemma(closer: str, quote: str) -> Reader:
    """Return a reader of Gemma's calls.

    Args:
        closer: the marker after a call.
        quote: what strings are quoted with; nothing is escaped within.
    """
    opening = Markers((*_CLOSING, closer))
    body = _body(closer, quote)

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        head, marker = yield from tape.peek(opening)
        named = _HEAD.fullmatch(head) if marker in _CLOSING else None
        if not named:
            return None
        tape.take(len(head))
        text, complete = yield from body(tape)
        reader = _Arguments(text, quote)
        schema = offered.get(named[1])
        try:
            return [make_call(named[1], _members(reader.arguments(), schema, schema))]
        except ValueError as error:
            why = f"the arguments cannot be read: {error}" if complete else CUT_OFF
        part = _members(reader.part(quote), schema, schema)
        return [make_call(named[1], part, raw=text, error=why)]

    return read


def bare_gemma(closer: str, quote: str) -> Reader:
    """Return a reader of a call whose first marker is missing, of an offered tool.

    Args:
        closer: the marker after a call.
        quote: what strings are quoted with.
    """
    calls = gemma(closer, quote)
    opening = Markers(("{",))

    def read(tape: Tape, offered: Offered, opener: str) -> Steps[Found]:
        head, marker = yield from tape.peek(opening, 128)
        named = _BARE_HEAD.fullmatch(head) if marker else None
        if not named or (offered and named[1] not in offered):
            return None
        found = yield from calls(tape, offered, opener)
        is_whole = isinstance(found, list) and all(call.error is None for call in found)
        return found if is_whole else None

    return read


def _body(closer: str, quote: str) -> Callable[[Tape], Steps[tuple[str, bool]]]:
    """Return what reads up to a marker outside of quotes and tells whether it came."""
    stops = Markers((closer, quote))

    def read(tape: Tape) -> Steps[tuple[str, bool]]:
        pieces: list[str] = []
        quoted = False
        while True:
            piece, marker = yield from tape.through(stops)
            pieces.append(piece)
            if marker is None or (marker == closer and not quoted):
                return "".join(pieces), marker is not None
            pieces.append(marker)
            quoted = quoted != (marker == quote)

    return read


@dataclass(frozen=True, slots=True)
class _Bare:
    """A value without quotes: as written, and what it looks like."""

    text: str
    value: Any


class _Arguments(Literals):
    def __init__(self, text: str, quote: str) -> None:
        if text.startswith("(") and text.rstrip().endswith(")"):
            text = f"{{{text.rstrip()[1:-1]}}}"
        super().__init__(text, quotes=(quote, '"'), bare=True)
        self._given: JsonObject = {}
        self._name = ""

    def arguments(self) -> JsonObject:
        if not self.skip("{"):
            raise ValueError("a bracket is missing")
        self.items("}", self._one)
        self.skip_space()
        if self.at != len(self.text):
            raise ValueError(f"unexpected text at character {self.at}")
        return self._given

    def part(self, quote: str) -> JsonObject:
        """Return what could be read, with the beginning of a string that has no end."""
        before, mark, rest = self.text.rpartition(quote)
        if self._name and mark and before.rstrip().endswith(f"{self._name}:"):
            return self._given | {self._name: rest}
        return self._given

    def _one(self) -> None:
        self.skip_space()
        name = self.value() if self.text[self.at : self.at + 1] in {"<", '"'} else self.word()
        if not self.skip(":") or name in self._given:
            raise ValueError(f"an argument needs a name of its own at character {self.at}")
        self._name = name
        self._given[name] = self.value()
        self._name = ""

    def _plain(self) -> Any:
        begin = self.at
        value = super()._plain()
        return _Bare(self.text[begin : self.at].strip(), value)


def _members(found: Mapping[str, Any], schema: Any, root: Mapping[str, Any] | None) -> JsonObject:
    return {
        name: _value(one, inner_schema(schema, name, root), root) for name, one in found.items()
    }


def _value(found: Any, schema: Any, root: Mapping[str, Any] | None) -> Any:
    if isinstance(found, dict):
        return _members(found, schema, root)
    if isinstance(found, list):
        inner = inner_schema(schema, None, root)
        return [_value(one, inner, root) for one in found]
    if isinstance(found, _Bare):
        known = types_of(schema, root)
        return typed(found.text, schema, root) if known else found.value
    return conformed(found, schema, root)
