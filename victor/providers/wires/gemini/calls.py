"""Gemini's function calls as they arrive: whole, or as arguments in pieces with JSON paths.

Spec: https://ai.google.dev/api/caching#FunctionCall and, for the pieces (`partialArgs`),
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/FunctionCall
Knows nothing about the parts round a call: signatures, text, finish reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from pydantic_core import to_json

from victor.providers.reading import mapping, unique_calls, word
from victor.types import JsonObject, ToolCall

__all__ = ["Calls"]

_MAX_STEPS = 64
_STEP = re.compile(
    r"""\.([^.\[\]'"]+) | \[(\d{1,9})\] | \['((?:[^'\\]|\\.)*)'\] | \["((?:[^"\\]|\\.)*)"\]""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")


class Calls:
    """Puts function calls together.

    Gemini sends nearly all calls whole and without ids. With streamed arguments a call begins with
    its name, goes on without one, and ends with a fragment that does not say `willContinue`.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def add(self, fragment: Mapping[str, Any]) -> bool:
        """Take a `functionCall`; tell whether it begins a call that can be run: one with a name."""
        name, call_id = word(fragment.get("name")), word(fragment.get("id"))
        last = self._calls[-1] if self._calls else None
        if last is not None and last.open and (not name or call_id == last.id != ""):
            last.add(fragment)
            return False
        if not name:
            return False
        call = _Call(name, call_id)
        call.add(fragment)
        self._calls.append(call)
        return True

    def whole(self, *, cut: bool) -> list[ToolCall]:
        """Return every call.

        Args:
            cut: whether the answer was cut off at its longest; a call that was under way then has
                an error and is never run.
        """
        return unique_calls((call.id, call.name, call.arguments(cut=cut)) for call in self._calls)


class _Call:
    """One call; `open` while more of it is to come."""

    def __init__(self, name: str, call_id: str) -> None:
        self.name = name
        self.id = call_id
        self.open = False
        self._whole: Any = None
        self._pieces: list[Any] = []

    def add(self, fragment: Mapping[str, Any]) -> None:
        if fragment.get("args") is not None:
            self._whole = fragment["args"]
        if isinstance(fragment.get("partialArgs"), list):
            self._pieces += fragment["partialArgs"]
        self.open = fragment.get("willContinue") is True

    def arguments(self, *, cut: bool) -> str | Mapping[str, Any] | None:
        """Return the object, or the text of what is none: that becomes the call's error."""
        if cut and self.open:
            return to_json(self._pieces).decode()
        if not self._pieces:
            whole = self._whole
            is_ready = whole is None or isinstance(whole, str | Mapping)
            return whole if is_ready else to_json(whole).decode()
        try:
            return _assembled(self._pieces, mapping(self._whole))
        except ValueError:
            return to_json(self._pieces).decode()


def _assembled(pieces: list[Any], start: Mapping[str, Any]) -> JsonObject:
    """Build the arguments of a call from its pieces.

    Raises:
        ValueError: a piece is none, or does not fit what came before.
    """
    root: JsonObject = dict(start)
    texts: dict[str, tuple[Any, Any, list[str]]] = {}
    for piece in pieces:
        path = piece.get("jsonPath") if isinstance(piece, Mapping) else None
        if not isinstance(path, str):
            raise ValueError("a piece without a path")  # noqa: TRY004 - what a server sent
        value = _value(piece)
        if path in texts and isinstance(value, str):
            texts[path][2].append(value)
        else:
            texts.pop(path, None)
            holder, key = _place(root, path)
            _put(holder, key, value)
            if isinstance(value, str):
                texts[path] = (holder, key, [value])
        if piece.get("willContinue") is not True and path in texts:
            holder, key, text = texts.pop(path)
            holder[key] = "".join(text)
    for holder, key, text in texts.values():
        holder[key] = "".join(text)
    return root


def _value(piece: Mapping[str, Any]) -> Any:
    for name in ("stringValue", "numberValue", "boolValue"):
        if name in piece:
            return piece[name]
    if "nullValue" in piece:
        return None
    raise ValueError("a piece without a value")


def _steps(path: str) -> list[str | int]:
    """Split a JSON path (https://www.rfc-editor.org/rfc/rfc9535) of names and indexes."""
    if not path.startswith("$"):
        raise ValueError("no path")
    found: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or len(found) == _MAX_STEPS:
            raise ValueError("no path")
        name, index, single, double = step.groups()
        quoted = double if single is None else single
        if index is not None:
            found.append(int(index))
        else:
            found.append(name if name is not None else _ESCAPED.sub(r"\1", quoted))
        at = step.end()
    if not found:
        raise ValueError("a path to nothing")
    return found


def _place(root: JsonObject, path: str) -> tuple[Any, str | int]:
    """Return what holds the value of a path, made where missing, and the key in it."""
    holder: Any = root
    steps = _steps(path)
    for key, following in pairwise(steps):
        fresh: Any = [] if isinstance(following, int) else {}
        if isinstance(holder, dict) and isinstance(key, str):
            holder = holder.setdefault(key, fresh)
        elif isinstance(holder, list) and isinstance(key, int) and key <= len(holder):
            if key == len(holder):
                holder.append(fresh)
            holder = holder[key]
        else:
            raise ValueError("a path through something else")
    return holder, steps[-1]


def _put(holder: Any, key: str | int, value: Any) -> None:
    if isinstance(holder, dict) and isinstance(key, str):
        holder[key] = value
    elif isinstance(holder, list) and isinstance(key, int) and key <= len(holder):
        holder[key : key + 1] = [value]  # never further than the end: an index costs nothing
    else:
        raise ValueError("a path to something else")
