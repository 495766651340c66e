"""Two protocols as a server speaks them: what the matrix answers with, whole and in pieces.

Knows no fault: bodies, events, and the tool calls in them. Specs:
https://platform.openai.com/docs/api-reference/chat and
https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias

from victor.config.catalog import VENDORS, Vendor
from victor.testing.fault_answers import Then
from victor.testing.faults import Answer, Request, chunked_answer, json_answer, sse_answer

__all__ = ["BOTH", "PROTOCOLS", "How", "Protocol", "Said"]

How: TypeAlias = Literal["chat", "stream"]
BOTH: Final[tuple[How, ...]] = ("chat", "stream")

Said: TypeAlias = tuple[str | None, str | None, str | None]
"""A tool call as a server sends it: id, name, and arguments as JSON text."""


class Protocol(ABC):
    """How one protocol spells an answer."""

    name: str
    vendor: Vendor
    done: str | None
    """The data of a stream's last event, where it is no event like the others."""
    beat: bytes
    """A sign of life that says nothing."""

    @abstractmethod
    def body(self, text: str | None = "Hello", calls: Sequence[Said] = ()) -> dict[str, Any]:
        """Return a whole answer."""

    @abstractmethod
    def begin(self) -> list[object]:
        """Return what a stream starts with."""

    @abstractmethod
    def text(self, *texts: str) -> list[object]:
        """Return the events of some text."""

    @abstractmethod
    def calls(self, calls: Sequence[Said], *, pieces: int = 1) -> list[object]:
        """Return the events of tool calls, the arguments of each in so many pieces."""

    @abstractmethod
    def end(self, stop: str | None = None) -> list[object]:
        """Return the last events."""

    @abstractmethod
    def error(self, kind: str) -> dict[str, Any]:
        """Return an error as a body or an event has it."""

    def events(self, *texts: str) -> list[object]:
        """Return the events of a whole stream, without `done`."""
        return [*self.begin(), *self.text(*texts), *self.end()]

    def stream(self, events: Sequence[object] | None = None, **how: Any) -> Answer:
        """Answer with a stream that is whole."""
        given = self.events("Hel", "lo") if events is None else events
        return sse_answer(given, done=self.done, **how)

    def cut(self, events: Sequence[object], then: Then = "close") -> Answer:
        """Answer with the beginning of a stream, sent so that it is read before what follows."""
        return sse_answer([*self.begin(), *events], done=None, then=then, pace_s=0.0)

    def bytes(self, events: Sequence[object]) -> bytes:
        """Return the body of a stream that is whole."""
        return sse_answer(events, done=self.done).data.partition(b"\r\n\r\n")[2]

    def well(self, how: How) -> Answer:
        """Answer "Hello", and keep the connection."""
        if how == "chat":
            return json_answer(self.body())
        return chunked_answer([self.bytes(self.events("Hel", "lo"))])

    def good(self, request: Request) -> Answer:
        """Answer "Hello" as asked, and keep the connection."""
        return self.well("stream" if request.json().get("stream") else "chat")


class OpenAIChat(Protocol):
    """OpenAI chat completions."""

    name = "openai-chat"
    vendor = VENDORS["openai-compatible"]
    done = "[DONE]"
    beat = b": keep-alive\n\n"

    def body(self, text: str | None = "Hello", calls: Sequence[Said] = ()) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [_function(call) for call in calls]
        choice = {"index": 0, "message": message, "finish_reason": _stop(calls)}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return {"model": "m-1", "choices": [choice], "usage": usage}

    def begin(self) -> list[object]:
        return [_choice({"role": "assistant", "content": ""})]

    def text(self, *texts: str) -> list[object]:
        return [_choice({"content": text}) for text in texts]

    def calls(self, calls: Sequence[Said], *, pieces: int = 1) -> list[object]:
        found: list[object] = []
        for index, (call_id, name, arguments) in enumerate(calls):
            first, *rest = _pieces(arguments or "", pieces)
            fragment = {"index": index, **_function((call_id, name, first))}
            found.append(_choice({"tool_calls": [fragment]}))
            for piece in rest:
                more = {"index": index, "function": {"arguments": piece}}
                found.append(_choice({"tool_calls": [more]}))
        return found

    def end(self, stop: str | None = None) -> list[object]:
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return [_choice({}, stop or "stop"), {"choices": [], "usage": usage}]

    def error(self, kind: str) -> dict[str, Any]:
        return {"error": {"message": "it went wrong", "type": kind, "code": kind}}


class AnthropicMessages(Protocol):
    """Anthropic's Messages."""

    name = "anthropic"
    vendor = VENDORS["anthropic"]
    done = None
    beat = b'event: ping\ndata: {"type": "ping"}\n\n'

    def body(self, text: str | None = "Hello", calls: Sequence[Said] = ()) -> dict[str, Any]:
        content: list[dict[str, Any]] = [] if text is None else [{"type": "text", "text": text}]
        for call_id, name, arguments in calls:
            given: Any = arguments
            # What is no JSON is sent as text, which no real server of this protocol does.
            with suppress(ValueError, RecursionError):
                given = json.loads(arguments or "")
            block = {"type": "tool_use", "id": call_id, "name": name, "input": given}
            content.append({key: value for key, value in block.items() if value is not None})
        return {
            "type": "message",
            "role": "assistant",
            "model": "m-1",
            "content": content,
            "stop_reason": "tool_use" if calls else "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }

    def begin(self) -> list[object]:
        message = {**self.body(None), "stop_reason": None}
        return [{"type": "message_start", "message": message}]

    def text(self, *texts: str) -> list[object]:
        start = {"type": "text", "text": ""}
        return [
            {"type": "content_block_start", "index": 0, "content_block": start},
            *(_delta(0, "text_delta", text=text) for text in texts),
            {"type": "content_block_stop", "index": 0},
        ]

    def calls(self, calls: Sequence[Said], *, pieces: int = 1) -> list[object]:
        found: list[object] = []
        for index, (call_id, name, arguments) in enumerate(calls, 1):
            block: dict[str, Any] = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
            kept = {key: value for key, value in block.items() if value is not None}
            start = {"type": "content_block_start", "index": index, "content_block": kept}
            texts = _pieces(arguments or "", pieces)
            deltas = [_delta(index, "input_json_delta", partial_json=piece) for piece in texts]
            found += [start, *deltas, {"type": "content_block_stop", "index": index}]
        return found

    def end(self, stop: str | None = None) -> list[object]:
        delta = {"stop_reason": stop or "end_turn"}
        return [
            {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ]

    def error(self, kind: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": kind, "message": "it went wrong"}}


PROTOCOLS: Final[tuple[Protocol, ...]] = (OpenAIChat(), AnthropicMessages())


def _choice(delta: dict[str, Any], stop: str | None = None) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": stop}]}


def _delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def _function(call: Said) -> dict[str, Any]:
    call_id, name, arguments = call
    function = {"name": name, "arguments": arguments}
    given = {key: value for key, value in function.items() if value is not None}
    found: dict[str, Any] = {"type": "function", "function": given}
    return found if call_id is None else {"id": call_id, **found}


def _stop(calls: Sequence[Said]) -> str:
    return "tool_calls" if calls else "stop"


def _pieces(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]
