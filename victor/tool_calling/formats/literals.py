"""Values as models write them: JSON, Python literals, and what lies between.

`loads` reads strict JSON first and is lenient only where that fails: single quotes, `True`, `None`,
trailing commas, line breaks in strings. Bounded: linear in the text, nesting up to 200. Knows
nothing about calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from pydantic_core import from_json

__all__ = ["Literals", "loads", "loads_part"]

_MAX_DEPTH = 200
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])")
_PYTHON_INT = re.compile(
    r"[+-]?(?:0[xX][\da-fA-F]+|0[oO][0-7]+|0[bB][01]+|\d+(?:_\d+)+)(?![\w.])", re.ASCII
)
_PREFIX = re.compile(r"([rRuU])(?=['\"])")
_WORD = re.compile(r"[^\W\d][\w.\-]*")
_BARE_END = re.compile(r"\s*(?:[,}\]]|$)")
_ENDS = re.compile(r"\s*(?:[,)\]}:]|$)")
_WORDS = MappingProxyType(
    {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
)
_CLOSING = MappingProxyType({"[": "]", "(": ")", "{": "}"})
_ESCAPES = MappingProxyType(
    {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}
    | {"\n": "", "\\": "\\", "'": "'", '"': '"', "/": "/"}
)
_HEX = MappingProxyType({"x": 2, "u": 4, "U": 8})
_MAX_DIGITS = 4000


def loads(text: str) -> Any:
    """Read one value: JSON, else leniently.

    Raises:
        ValueError: it is neither.
    """
    try:
        return from_json(text.encode("utf-8", "surrogatepass"), allow_inf_nan=False)
    except ValueError as error:
        try:
            return Literals(text).whole()
        except ValueError:
            raise error from None


def loads_part(text: str) -> Any:
    """Read as much as there is of a JSON value that was cut off; None where nothing can be read."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        return from_json(data, allow_inf_nan=False, allow_partial="trailing-strings")
    except ValueError:
        return None


class Literals:
    """A lenient reader of values.

    Args:
        text: what to read.
        quotes: what strings may be quoted with.
        bare: whether a word that is no keyword is a string, up to the next comma or bracket.
        loose: whether a quote ends a string only where a string can end, as some models write
            quotes within quotes without escaping them.
    """

    def __init__(
        self,
        text: str,
        *,
        quotes: Sequence[str] = ("'''", '"""', "'", '"'),
        bare: bool = False,
        loose: bool = False,
    ) -> None:
        self.text = text
        self.at = 0
        self._quotes = quotes
        self._bare = bare
        self._loose = loose
        self._depth = 0

    def whole(self) -> Any:
        """Read a value and nothing after it.

        Raises:
            ValueError: it is no value.
        """
        value = self.value()
        self.skip_space()
        if self.at != len(self.text):
            raise ValueError(f"unexpected text at character {self.at}")
        return value

    def skip_space(self) -> None:
        """Read white space."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def skip(self, mark: str) -> bool:
        """Read white space and a mark, and tell whether it was there."""
        self.skip_space()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def word(self) -> str:
        """Read a name.

        Raises:
            ValueError: there is none.
        """
        self.skip_space()
        found = _WORD.match(self.text, self.at)
        if not found:
            raise ValueError(f"a name is missing at character {self.at}")
        self.at = found.end()
        return found[0]

    def value(self) -> Any:
        """Read a value.

        Raises:
            ValueError: it is none, or it is nested too deep.
        """
        self.skip_space()
        prefix = None if self._bare else _PREFIX.match(self.text, self.at)
        at = prefix.end() if prefix else self.at
        quote = next((one for one in self._quotes if self.text.startswith(one, at)), None)
        if quote is not None:
            self.at = at
            return self._string(quote, raw=prefix is not None and prefix[1] in "rR")
        mark = self.text[self.at : self.at + 1]
        if mark in _CLOSING and mark:
            return self._nested(mark)
        return self._plain()

    def _nested(self, mark: str) -> Any:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("the value is nested too deep")
        self.at += 1
        value = self._braces() if mark == "{" else self.items(_CLOSING[mark], self.value)
        self._depth -= 1
        return value

    def items(self, closing: str, one: Callable[[], Any]) -> list[Any]:
        """Read what `one` reads, separated by commas, up to a closing mark.

        Raises:
            ValueError: something else is there.
        """
        found = []
        while not self.skip(closing):
            found.append(one())
            if not self.skip(","):
                if not self.skip(closing):
                    raise ValueError(f"{closing} is missing at character {self.at}")
                break
        return found

    def _braces(self) -> Any:
        pairs = self.items("}", self._pair)
        if pairs and all(len(pair) == 1 for pair in pairs):
            return [pair[0] for pair in pairs]  # a set
        if any(len(pair) == 1 for pair in pairs):
            raise ValueError("a key without a value")
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in pairs}

    def _pair(self) -> tuple[Any, ...]:
        self.skip_space()
        key = self.word() if self._bare and _WORD.match(self.text, self.at) else self.value()
        return (key, self.value()) if self.skip(":") else (key,)

    def _string(self, quote: str, *, raw: bool = False) -> str:
        self.at += len(quote)
        if len(quote) > 1 and quote[0] not in "'\"":  # a marker of its own: nothing is escaped
            end = self.text.find(quote, self.at)
            if end < 0:
                raise ValueError("a string does not end")
            text, self.at = self.text[self.at : end], end + len(quote)
            return text
        pieces = []
        stops = re.compile(r"\\|" + re.escape(quote))
        while found := stops.search(self.text, self.at):
            pieces.append(self.text[self.at : found.start()])
            self.at = found.end()
            if found[0] == "\\":
                pieces.append(self._unescaped() if raw else self._escape())
            elif self._loose and not _ENDS.match(self.text, self.at):
                pieces.append(quote)
            else:
                return "".join(pieces)
        raise ValueError("a string does not end")

    def _unescaped(self) -> str:
        """Read the character after a backslash, which ends no string, and keep both."""
        mark = self.text[self.at : self.at + 1]
        self.at += 1
        return "\\" + mark

    def _escape(self) -> str:
        mark = self.text[self.at : self.at + 1]
        self.at += 1
        if mark in _HEX and mark:
            digits = self.text[self.at : self.at + _HEX[mark]]
            try:
                code = int(digits, 16)
                self.at += len(digits)
                return self._surrogates(code)
            except (ValueError, OverflowError):
                raise ValueError(f"a wrong escape at character {self.at}") from None
        return _ESCAPES.get(mark, "\\" + mark)

    def _surrogates(self, code: int) -> str:
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
            low = int(self.text[self.at + 2 : self.at + 6], 16)
            if 0xDC00 <= low < 0xE000:
                self.at += 6
                return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    def _plain(self) -> Any:
        found = _NUMBER.match(self.text, self.at)
        if found and len(found[0]) < _MAX_DIGITS and not self._goes_on(found.end()):
            self.at = found.end()
            return _number(found[0])
        found = None if self._bare else _PYTHON_INT.match(self.text, self.at)
        if found and len(found[0]) < _MAX_DIGITS:
            self.at = found.end()
            return int(found[0], 0) if found[0].lstrip("+-0")[:1] in "xXoObB" else int(found[0])
        found = _WORD.match(self.text, self.at)
        if found and found[0] in _WORDS and not self._goes_on(found.end()):
            self.at = found.end()
            return _WORDS[found[0]]
        if not self._bare:
            raise ValueError(f"a value is missing at character {self.at}")
        return self._bare_text()

    def _goes_on(self, at: int) -> bool:
        """Tell whether a bare value is longer than the number or keyword it begins with."""
        return self._bare and not _BARE_END.match(self.text, at)

    def _bare_text(self) -> str:
        end = self.at
        while end < len(self.text) and self.text[end] not in ",]}":
            end += 1
        text, self.at = self.text[self.at : end].strip(), end
        return text


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is too large")
    return number
