"""Cohere's chat v2, the answer: one JSON body, or the events of a stream.

Spec: https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream
Events are read by what they hold rather than by their names: a delta has the shape of the message
it adds to. Citations stay in `raw_response`. Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from pydantic_core import from_json, to_json

from victor.errors import ProviderServerError, ProviderTimeoutError
from victor.providers.failures import error_from_body
from victor.providers.reading import (
    brief,
    count,
    cut_off,
    empty_answer,
    filtered,
    mapping,
    not_ours,
    parse_object,
    unique_calls,
    whole_answer,
    word,
)
from victor.providers.wires.cohere.encode import WIRE
from victor.providers.wires.ending import settled_stop, tokens
from victor.types import CompletionResponse, JsonObject, StreamChunk, ToolCall, Usage

__all__ = ["CohereStream", "decode"]

_STOPS: Mapping[str, str] = MappingProxyType(
    {
        "complete": "stop",
        "stop_sequence": "stop",
        "tool_call": "tool_calls",
        "max_tokens": "length",
        "error_limit": "length",
        "error_toxic": "content_filter",
        "error": "error",
        "timeout": "error",
    }
)


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, or the answer is empty.
        ContentFilterError: the answer was filtered before any text came.
        ProviderError: the body is an error object; its type says which.
    """
    value = parse_object(body, provider=provider, model=model)
    if _is_error(value):
        raise error_from_body(value, provider=provider, model=model)
    message = value.get("message")
    if not isinstance(message, Mapping):
        raise not_ours(f"has no message: {body[:200]!r}", provider=provider, model=model)
    answer = _Answer(provider, model)
    text, thought, _ = answer.add(message, None)
    answer.end(value, where="in a 200 answer")
    final = answer.final(complete=True)
    return whole_answer(final, content=text, reasoning=thought, raw=value)


class CohereStream:
    """Reads the events of one stream; see `StreamDecoder`."""

    __slots__ = ("_answer", "done")

    def __init__(self, *, provider: str, model: str) -> None:
        self._answer = _Answer(provider, model)
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take the data of one event; return the chunk it makes, if any."""
        if self.done:
            return None
        try:
            value = from_json(data, cache_strings="keys")
            if value["type"] == "content-delta":
                # The path of nearly every event.
                content = value["delta"]["message"]["content"]
                if len(content) == 1 and "error" not in value:
                    text = content.get("text")
                    if text.__class__ is str and text:
                        self._answer.has_text = True
                        return StreamChunk(text)
        except (ValueError, KeyError, TypeError, AttributeError):
            bare = data.strip()
            if bare == b"[DONE]":
                self.done = True
            if self.done or not bare:
                return None
            value = parse_object(data, provider=self._answer.provider, model=self._answer.asked)
        return self._slowly(value)

    def _slowly(self, value: JsonObject) -> StreamChunk | None:
        answer = self._answer
        if _is_error(value):
            raise error_from_body(
                value, provider=answer.provider, model=answer.asked, where="in the stream"
            )
        delta = mapping(value.get("delta"))
        if value.get("type") == "message-end" or delta.get("finish_reason"):
            answer.end(delta, where="in the stream")
            self.done = True
            return None
        text, thought, fragment = answer.add(mapping(delta.get("message")), value.get("index"))
        if text or thought or fragment:
            return StreamChunk(text, thought, tool_call_delta=fragment)
        return None

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        return self._answer.final(complete=self.done)


class _Answer:
    """What has arrived of one answer."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.asked = model
        self.has_text = False
        self._has_thought = False
        self._plan: list[str] = []
        self._raw_stop: Any = None
        self._usage: Usage | None = None
        self._calls: list[JsonObject] = []
        self._by_index: dict[int, JsonObject] = {}

    def add(self, message: Mapping[str, Any], index: Any) -> tuple[str, str, str]:
        """Add a message or a delta of one; return its text, its thinking and its calls' text."""
        text, thought = _texts(message.get("content"))
        plan = word(message.get("tool_plan"))
        if plan:
            self._plan.append(plan)
        calls = message.get("tool_calls")
        items = calls if isinstance(calls, list) else [calls]
        place = index if isinstance(index, int) and len(items) == 1 else None
        fragment = "".join(self._add_call(one, place) for one in items if isinstance(one, Mapping))
        self.has_text = self.has_text or bool(text)
        self._has_thought = self._has_thought or bool(thought or plan)
        return text, thought + plan, fragment

    def _add_call(self, item: Mapping[str, Any], index: int | None) -> str:
        function = mapping(item.get("function"))
        call_id, name = word(item.get("id")), word(function.get("name"))
        if index is not None:
            call = self._by_index.get(index)
        else:
            call = self._calls[-1] if self._calls and not (name or call_id) else None
        if call is None or (call_id and call["id"] and call_id != call["id"]):
            call = {"id": "", "name": "", "text": []}
            self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        call["id"] = call["id"] or call_id
        call["name"] = call["name"] or name
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call["text"].append(arguments)
            return arguments or name
        if arguments is not None:
            # An object; anything else is kept to be refused like any other bad arguments.
            call["text"] = [to_json(arguments).decode()]
        return name

    def end(self, value: Mapping[str, Any], *, where: str) -> None:
        """Take the reason and the usage at the end of an answer, or the error that ended it."""
        if value.get("error"):
            raise error_from_body(value, provider=self.provider, model=self.asked, where=where)
        self._raw_stop = value.get("finish_reason") or None
        self._usage = _usage(value.get("usage"))

    def final(self, *, complete: bool) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is cut off, filtered or empty."""
        if not complete:
            raise cut_off(provider=self.provider, model=self.asked)
        calls = self._whole_calls()
        raw = self._raw_stop
        stop = _STOPS.get(raw.lower(), "other") if isinstance(raw, str) else "stop"
        stop = settled_stop(stop, has_calls=bool(calls))
        if not calls and not self.has_text and stop != "length":
            self._raise_empty(stop)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=stop,
            usage=self._usage,
            is_final=True,
            provider_state=self._state(),
            model=self.asked,
        )

    def _whole_calls(self) -> list[ToolCall]:
        return unique_calls(
            (call["id"], call["name"], "".join(call["text"])) for call in self._calls
        )

    def _state(self) -> JsonObject | None:
        """Say that the reasoning is this provider's, and which part of it, at its end, is plan."""
        if not self._has_thought:
            return None
        return {WIRE: {"provider": self.provider, "tool_plan": "".join(self._plan)}}

    def _raise_empty(self, stop: str) -> NoReturn:
        if stop == "content_filter":
            raise filtered(provider=self.provider, model=self.asked)
        if stop == "error":
            kind = ProviderTimeoutError if self._raw_stop == "TIMEOUT" else ProviderServerError
            raise kind(
                f"{self.provider} gave up on the answer (finish_reason {brief(self._raw_stop)!r})",
                provider=self.provider,
                model=self.asked,
            )
        raise empty_answer(self._raw_stop, provider=self.provider, model=self.asked)


def _texts(content: Any) -> tuple[str, str]:
    """Return the text and the thinking of a content field: a part, several, or plain text."""
    if isinstance(content, str):
        return content, ""
    text, thought = "", ""
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, Mapping):
            text += word(part.get("text"))
            thought += word(part.get("thinking"))
    return text, thought


def _usage(value: Any) -> Usage | None:
    """Return the tokens; billed units are another count, without the prompt's frame."""
    usage = mapping(value)
    told = mapping(usage.get("tokens"))
    asked, answered = count(told.get("input_tokens")), count(told.get("output_tokens"))
    cached = count(usage.get("cached_tokens"))
    if asked is None and answered is None and cached is None:
        return None
    return tokens(asked, answered, cached=cached)


def _is_error(value: Mapping[str, Any]) -> bool:
    """Tell whether a body or an event is an error: its message is text, not the answer's."""
    if value.get("error") or value.get("type") == "error":
        return True
    return "delta" not in value and (isinstance(value.get("message"), str) or "detail" in value)
