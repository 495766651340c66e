"""Ollama's own API, the answer: one JSON body, or the lines of a stream.

Spec: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
Reads what servers of this protocol really send, not only what the documentation shows. Knows
nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

from victor.providers.failures import error_from_body
from victor.providers.reading import (
    count,
    cut_off,
    empty_answer,
    mapping,
    not_ours,
    parse_object,
    unique_calls,
    whole_answer,
    word,
)
from victor.providers.wires.ending import settled_stop, tokens
from victor.types import CompletionResponse, JsonObject, StreamChunk, Usage

__all__ = ["OllamaStream", "decode"]

# `load` and `unload` answer requests without messages; they are no reasons to stop.
_STOPS: Mapping[str, str] = MappingProxyType({"": "stop", "stop": "stop", "length": "length"})


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, or the answer is empty.
        ProviderConnectionError: the answer is not done.
        ProviderError: the body is an error object; its type says which.
    """
    value = parse_object(body, provider=provider, model=model)
    answer = _Answer(provider, model)
    chunk = answer.add(value, where="in a 200 answer")
    if not isinstance(value.get("message"), Mapping):
        raise not_ours(f"has no message: {body[:200]!r}", provider=provider, model=model)
    # Some servers of this protocol do not say of a whole answer that it is done.
    final = answer.final(complete=value.get("done") is not False)
    return whole_answer(final, content=chunk.content, reasoning=chunk.reasoning, raw=value)


class OllamaStream:
    """Reads the lines of one stream; see `StreamDecoder`."""

    __slots__ = ("_answer", "done")

    def __init__(self, *, provider: str, model: str) -> None:
        self._answer = _Answer(provider, model)
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take one line; return the chunk it makes, if any."""
        if self.done:
            return None
        try:
            value = from_json(data, cache_strings="keys")
            message = value["message"]
            # The path of nearly every line: some text, nothing else.
            if len(message) == 2 and value["done"] is False and "error" not in value:
                text = message["content"]
                if text.__class__ is str and text and "role" in message:
                    self._answer.has_text = True
                    return StreamChunk(text)
        except (ValueError, KeyError, TypeError):
            if data.strip() in (b"", b"[DONE]"):
                return None
            value = parse_object(data, provider=self._answer.provider, model=self._answer.asked)
        chunk = self._answer.add(value, where="in the stream")
        self.done = value.get("done") is True
        return chunk if chunk.content or chunk.reasoning or chunk.tool_call_delta else None

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        return self._answer.final(complete=self.done)


_Call: TypeAlias = tuple[str, str, str | Mapping[str, Any] | None]
"""Id, name and arguments."""


class _Answer:
    """What has arrived of one answer."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.asked = model
        self.has_text = False
        self._model = model
        self._raw_stop = ""
        self._usage: Usage | None = None
        self._calls: list[_Call] = []
        self._by_id: dict[str, list[_Call]] = {}

    def add(self, value: JsonObject, *, where: str) -> StreamChunk:
        """Add a line, or a whole answer, and return what it adds as a chunk.

        Raises:
            ProviderError: it is an error; its type says which.
        """
        if value.get("error"):
            raise error_from_body(value, provider=self.provider, model=self.asked, where=where)
        message = mapping(value.get("message"))
        text, thought = word(message.get("content")), word(message.get("thinking"))
        calls = message.get("tool_calls")
        fragment = "".join(
            [self._add_call(one) for one in calls if isinstance(one, Mapping)]
            if isinstance(calls, list)
            else []
        )
        self.has_text = self.has_text or bool(text)
        self._model = word(value.get("model")) or self._model
        self._raw_stop = word(value.get("done_reason")) or self._raw_stop
        self._usage = _usage(value) or self._usage
        return StreamChunk(text, thought, tool_call_delta=fragment)

    def _add_call(self, item: Mapping[str, Any]) -> str:
        """Add a call, which is always whole; its index is no key, as it may be 0 for all."""
        function = mapping(item.get("function"))
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str | Mapping):
            # Kept to be refused like any other bad arguments.
            arguments = to_json(arguments).decode()
        call = (word(item.get("id")), word(function.get("name")), arguments)
        if call[0]:
            known = self._by_id.setdefault(call[0], [])
            if call in known:
                return ""  # sent again
            known.append(call)
        self._calls.append(call)
        return call[1]

    def final(self, *, complete: bool) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is cut off or empty."""
        if not complete:
            raise cut_off(provider=self.provider, model=self.asked)
        calls = unique_calls(self._calls)
        stop = settled_stop(_STOPS.get(self._raw_stop, "other"), has_calls=bool(calls))
        if not calls and not self.has_text and stop != "length":
            raise empty_answer(self._raw_stop, provider=self.provider, model=self.asked)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=stop,
            usage=self._usage,
            is_final=True,
            model=self._model,
        )


def _usage(value: Mapping[str, Any]) -> Usage | None:
    """Return the tokens; a prompt that was cached as a whole has no count. Durations are none."""
    asked, answered = count(value.get("prompt_eval_count")), count(value.get("eval_count"))
    if asked is None and answered is None:
        return None
    return tokens(asked, answered)
