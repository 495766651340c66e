"""OpenAI chat completions, the answer's tool calls: whole ones, or the fragments of a stream.

Spec: https://platform.openai.com/docs/api-reference/chat/streaming
Reads what servers really send: fragments without index, index 0 for all, names on every fragment,
arguments as objects, calls sent twice. Knows nothing about text, usage or how an answer ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

from victor.providers.reading import mapping, unique_calls, word
from victor.types import ToolCall

__all__ = ["Calls"]

# The wrapper in which OpenAI's models sometimes write several calls, as if it were a tool.
_WRAPPER = "multi_tool_use.parallel"


@dataclass(slots=True)
class _Call:
    id: str
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    size: int = 0
    custom: bool = False
    """Whether the pieces are free text, and no JSON."""
    extra: Any = None
    """What Google adds: a thought signature."""

    @property
    def text(self) -> str:
        text = "".join(self.pieces)
        return to_json({"input": text}).decode() if self.custom else text

    def add(self, text: str) -> None:
        if self.pieces == ["{}"] and text.startswith("{"):
            self.pieces.clear()  # it only held the place
            self.size = 0
        if text:
            self.pieces.append(text)
            self.size += len(text)

    def is_over(self, call_id: str, name: str, arguments: Any) -> bool:
        """Tell whether a fragment at its place begins the next call: index 0 for all."""
        if call_id and self.id:
            if call_id != self.id:
                return True
        elif name and self.pieces and name != self.name:
            return True
        if not self.pieces or not self._is_whole(arguments):
            return False
        if self.pieces == ["{}"] and arguments != "{}" and (call_id or not name):
            return False
        return bool(name) or arguments == self.text

    def _is_whole(self, following: Any) -> bool:
        """Tell whether what follows begins another object, as this one has all its arguments."""
        if isinstance(following, Mapping):
            return True
        if not isinstance(following, str) or not following.startswith("{"):
            return False
        if len(self.pieces) == 1:
            return _is_object(self.pieces[0])
        # Streamed, and then sent again in one piece.
        return len(following) == self.size and following == self.text


class Calls:
    """Puts tool calls together from fragments, by index, else by id, else by order."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, delta: Mapping[str, Any]) -> str:
        """Take the calls of a delta or a message; return the text of their arguments."""
        fragments = delta.get("tool_calls")
        if not isinstance(fragments, list) or not fragments:
            legacy = delta.get("function_call")
            if not isinstance(legacy, Mapping):
                return ""
            fragments = [{"index": 0, "function": legacy}]
        return "".join([self._add(item) for item in fragments if isinstance(item, Mapping)])

    def _add(self, item: Mapping[str, Any]) -> str:
        function = mapping(item.get("function"))
        custom = mapping(item.get("custom"))
        own = function or custom
        name, arguments = word(own.get("name")), own.get("arguments")
        call = self._find(item.get("index"), word(item.get("id")), name, arguments)
        # Some hosts repeat the name on every fragment, others send it in pieces before the rest.
        if name and name != call.name and not call.pieces:
            call.name += name
        if isinstance(item.get("extra_content"), Mapping):
            call.extra = item["extra_content"]
        if custom and own is custom:
            call.custom = True
            arguments = word(own.get("input"))
        if isinstance(arguments, str):
            call.add(arguments)
            return arguments or name
        if arguments is not None:
            # An object; anything else is kept to be refused like any other bad arguments.
            call.pieces.clear()
            call.add(to_json(arguments).decode())
        return name or ("" if arguments is None else "…")

    def _find(self, index: Any, call_id: str, name: str, arguments: Any) -> _Call:
        index = index if isinstance(index, int) else None
        call: _Call | None
        if index is not None:
            call = self._by_index.get(index)
        elif call_id:
            call = self._by_id.get(call_id)
        else:
            call = self._calls[-1] if self._calls and not name else None
        if call is None or call.is_over(call_id, name, arguments):
            call = _Call(call_id)
            self._calls.append(call)
        if call_id:
            call.id = call_id
            self._by_id[call_id] = call
        if index is not None:
            self._by_index[index] = call
        return call

    def whole(self) -> tuple[list[ToolCall], list[Any] | None]:
        """Return every call once, and what else came with each, by position, if anything did.

        Ids are made unique; nameless calls are dropped, as nothing can run them.
        """
        found: dict[tuple[str, ...], tuple[str, str, Any, Any]] = {}
        for place, call in enumerate(self._calls):
            for call_id, name, arguments in _unwrapped(call):
                if name:
                    # Under one id and with the same arguments it is one call, sent twice.
                    same = (call_id or f"#{place}", name, str(arguments))
                    found.setdefault(same, (call_id, name, arguments, call.extra))
        extras = [one[3] for one in found.values()]
        calls = unique_calls(one[:3] for one in found.values())
        return calls, extras if any(extras) else None


def _is_object(text: str) -> bool:
    try:
        return isinstance(from_json(text), dict)
    except ValueError:
        return False


def _unwrapped(call: _Call) -> Iterator[tuple[str, str, Any]]:
    """Return a call as (id, name, arguments), or those it wraps."""
    wrapped: Any = None
    if call.name == _WRAPPER and _is_object(call.text):
        wrapped = from_json(call.text).get("tool_uses")
    if not isinstance(wrapped, list) or not wrapped:
        yield call.id, call.name, call.text
        return
    for place, use in enumerate(map(mapping, wrapped)):
        name = word(use.get("recipient_name")).removeprefix("functions.")
        arguments = use.get("parameters")
        if not isinstance(arguments, Mapping | str | None):
            arguments = to_json(arguments).decode()
        yield call.id and f"{call.id}_{place}", name, arguments
