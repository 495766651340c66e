"""Gemma's calls: `call:name{key:value}` between two markers, strings in a quote of their own.

FunctionGemma and Gemma 4: <https://ai.google.dev/gemma/docs/functiongemma/formatting-and-best-practices>.
Knows nothing about reasoning or content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, make_call, parameter_schema, types_of
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.literals import Literals
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import JsonObject

__all__ = ["gemma"]

_HEAD = re.compile(r"\s*(?:call)?\s*:?\s*([\w.\-/]+)\s*(?=\{)")


def gemma(closer: str, quote: str) -> Reader:
    """Return a reader of Gemma's calls.

    Args:
        closer: the marker after a call.
        quote: what strings are quoted with; nothing is escaped within.
    """
    stops = Markers((closer, quote))
    braces = Markers(("{", closer))

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        head, marker = yield from tape.peek(braces)
        named = _HEAD.match(head + "{") if marker == "{" else None
        if not named:
            return None
        tape.take(len(head))
        pieces: list[str] = []
        quoted = False
        while True:
            piece, marker = yield from tape.through(stops)
            pieces.append(piece)
            if marker is None or (marker == closer and not quoted):
                break
            pieces.append(marker)
            quoted = quoted != (marker == quote)
        reader = _Arguments("".join(pieces), quote, offered.get(named[1]))
        try:
            return [make_call(named[1], reader.arguments())]
        except ValueError as error:
            why = CUT_OFF if marker is None else f"the arguments cannot be read: {error}"
        return [make_call(named[1], reader.part(quote), raw="".join(pieces), error=why)]

    return read


class _Arguments(Literals):
    def __init__(self, text: str, quote: str, schema: Mapping[str, Any] | None) -> None:
        super().__init__(text, quotes=(quote, '"'), bare=True)
        self._schema = schema
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
        self._name, begin = name, self.at
        value = self.value()
        types = types_of(parameter_schema(self._schema, name), self._schema)
        if types == {"string"} and not isinstance(value, str):
            value = self.text[begin : self.at].strip()  # a bare value has no type on the wire
        self._given[name] = value
        self._name = ""
