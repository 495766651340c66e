"""Calls written as Python: `[get_weather(city='Paris'), now()]`.

Llama 4 and its kin, OLMo 3 (one call a line) and LFM2, which mixes Python's literals with JSON's:
<https://docs.liquid.ai/docs/key-concepts/tool-use>. Nothing is evaluated. Knows nothing about
reasoning or content.
"""

from __future__ import annotations

import re

from victor.tool_calling.arguments import CUT_OFF, make_call
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.literals import Literals
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import JsonObject, ToolCall

__all__ = ["free_python", "python_block"]

_FIRST = re.compile(r"\[\s*[^\W\d][\w.\-]*\(")
_FIRST_PART = 96


def python_block(closer: str, *, bracketed: bool = False) -> Reader:
    """Return a reader of Python calls between two markers.

    Args:
        closer: the second marker.
        bracketed: whether the calls are in brackets, whose end counts where the marker is missing.
    """
    ends = Markers((closer,))

    def read(tape: Tape, _offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        if bracketed:
            if (yield from tape.ahead(1)) != "[":
                return None
            raw, complete = yield from tape.value("\"'")
            yield from tape.skip_space()
            yield from tape.skip(ends)
        else:
            raw, marker = yield from tape.through(ends)
            complete = marker is not None
        return _calls(raw, complete=complete)

    return read


def free_python() -> Reader:
    """Return a reader of a list of Python calls without markers, all to offered tools."""

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        if not _FIRST.match((yield from tape.ahead(_FIRST_PART))):
            return None
        raw, complete = yield from tape.value("\"'")
        calls = _calls(raw, complete=complete)
        if calls and offered and any(call.name not in offered for call in calls):
            return None
        return calls

    return read


def _calls(raw: str, *, complete: bool) -> list[ToolCall] | None:
    for loose in (False, True):
        reader = _Calls(raw, loose=loose)
        try:
            return reader.whole_calls() or None
        except ValueError:
            if not complete:
                return reader.part(raw) or None
    return None


class _Calls(Literals):
    def __init__(self, text: str, *, loose: bool) -> None:
        super().__init__(text, loose=loose)
        self._found: list[ToolCall] = []
        self._name = ""
        self._arguments: JsonObject = {}

    def whole_calls(self) -> list[ToolCall]:
        bracket = self.skip("[")
        while True:
            while self.skip(",") or self.skip(";"):
                pass
            if self.skip("]") if bracket else self.at == len(self.text):
                break
            self._found.append(self._call())
        self.skip_space()
        if self.at != len(self.text):
            raise ValueError(f"unexpected text at character {self.at}")
        return self._found

    def part(self, raw: str) -> list[ToolCall]:
        """Return the calls that were read, and what there is of the one that was not."""
        if self._name:
            cut = make_call(self._name, self._arguments, raw=raw, error=CUT_OFF)
            return [*self._found, cut]
        return self._found

    def _call(self) -> ToolCall:
        name = self.word()
        if not self.skip("("):
            raise ValueError(f"a bracket is missing at character {self.at}")
        self._name, self._arguments = name, {}
        self.items(")", self._argument)
        self._name = ""
        return make_call(name, self._arguments)

    def _argument(self) -> None:
        name = self.word()
        if not self.skip("=") or name in self._arguments:
            raise ValueError(f"an argument needs a name of its own at character {self.at}")
        self._arguments[name] = self.value()
