"""Calls written as Python: `[get_weather(city='Paris'), now()]`.

Llama 4 and its kin, OLMo 3 (one call a line) and LFM2, which mixes Python's literals with JSON's:
<https://docs.liquid.ai/docs/key-concepts/tool-use>. Nothing is evaluated. Knows nothing about
reasoning or content.
"""

from __future__ import annotations

import re
from typing import Any

from victor.tool_calling.arguments import CUT_OFF, make_call
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.literals import Literals
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import JsonObject, ToolCall

__all__ = ["free_python", "python_block"]

_FIRST = re.compile(r"\[\s*[^\W\d][\w.\-]*\(")
_FIRST_PART = 96
_KEYWORD = re.compile(r"([^\W\d][\w.\-]*)\s*=(?!=)")
_NEXT_STRING = re.compile(r"\s+(?=['\"])")
_MAX_ECHO = 4096


def python_block(
    *closers: str, bracketed: bool = False, method: str = "", echoes: bool = False
) -> Reader:
    """Return a reader of Python calls between two markers.

    Args:
        closers: what the second marker may be.
        bracketed: whether the end of a bracket round the calls counts as their end, too.
        method: what may follow a tool's name and is no part of it.
        echoes: whether the model is known to write a block's calls and its end once more.
    """
    ends = Markers(closers)

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        if bracketed and (yield from tape.ahead(1)) == "[":
            raw, complete = yield from tape.value("\"'")
            yield from tape.skip_space()
            yield from tape.skip(ends)
        else:
            raw, marker = yield from tape.through(ends)
            complete = marker is not None
            if echoes and marker and len(raw) <= _MAX_ECHO:
                yield from tape.skip(Markers((raw + marker,)))
        return _marked_calls(raw, offered, method, complete=complete)

    return read


def free_python() -> Reader:
    """Return a reader of a list of Python calls without markers, all to offered tools."""

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        if not _FIRST.match((yield from tape.ahead(_FIRST_PART))):
            return None
        raw, complete = yield from tape.value("\"'")
        try:
            calls = _calls(_Calls(raw), _Calls(raw, loose=True), complete=complete)
        except ValueError:
            return None
        if calls and offered and any(call.name not in offered for call in calls):
            return None
        return calls

    return read


def _marked_calls(
    raw: str, offered: Offered, method: str, *, complete: bool
) -> list[ToolCall] | None:
    strict = _Calls(raw, method=method, nameless=True)
    try:
        return _calls(strict, _Calls(raw, loose=True, method=method), complete=complete)
    except ValueError as error:
        if strict.is_meant(offered):
            return strict.part(f"the arguments cannot be read: {error}")
        return None


def _calls(strict: _Calls, loose: _Calls, *, complete: bool) -> list[ToolCall] | None:
    """Return the calls that either reader finds.

    Raises:
        ValueError: of the strict one, where what is complete cannot be read.
    """
    try:
        return strict.whole_calls() or None
    except ValueError as error:
        if not complete:
            return strict.part(CUT_OFF) or None
        try:
            return loose.whole_calls() or None
        except ValueError:
            raise error from None


class _Calls(Literals):
    """A reader of Python calls.

    Args:
        text: what to read.
        loose: as in `Literals`.
        method: what may follow a name and is no part of it.
        nameless: whether an argument without a name is an error of the call, not of the text.
    """

    def __init__(
        self, text: str, *, loose: bool = False, method: str = "", nameless: bool = False
    ) -> None:
        super().__init__(text, loose=loose)
        self._method = method
        self._nameless = nameless
        self._strings_join = not loose
        self._found: list[ToolCall] = []
        self._name = ""
        self._arguments: JsonObject = {}
        self._error: str | None = None

    def whole_calls(self) -> list[ToolCall]:
        """Read the calls and nothing else.

        Raises:
            ValueError: there is something else.
        """
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

    def part(self, why: str) -> list[ToolCall]:
        """Return the calls that were read, and what there is of the one that was not."""
        if self._name:
            cut = make_call(self._name, self._arguments, raw=self.text, error=why)
            return [*self._found, cut]
        return self._found

    def is_meant(self, offered: Offered) -> bool:
        """Tell whether what could not be read is a call nevertheless."""
        return bool(self._name) and (bool(self._found) or self._name in offered)

    def value(self) -> Any:
        """Read a value; strings one after the other are one, as in Python."""
        found = super().value()
        while isinstance(found, str) and self._strings_join and self._next_string():
            found += super().value()
        return found

    def _next_string(self) -> bool:
        return bool(_NEXT_STRING.match(self.text, self.at))

    def _call(self) -> ToolCall:
        name = self.word()
        if not self.skip("("):
            raise ValueError(f"a bracket is missing at character {self.at}")
        self._name, self._arguments, self._error = name.removesuffix(self._method), {}, None
        self.items(")", self._argument)
        call = make_call(self._name, self._arguments, raw=self.text, error=self._error)
        self._name = ""
        return call

    def _argument(self) -> None:
        self.skip_space()
        found = _KEYWORD.match(self.text, self.at)
        if found is None and self._nameless:
            self.value()
            self._error = "an argument has no name; write name=value"
            return
        if found is None or found[1] in self._arguments:
            raise ValueError(f"an argument needs a name of its own at character {self.at}")
        self.at = found.end()
        self._arguments[found[1]] = self.value()
