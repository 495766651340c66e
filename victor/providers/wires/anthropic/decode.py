"""Anthropic Messages, the answer: its blocks become text, reasoning, calls and a state to replay.

Spec: https://docs.anthropic.com/en/api/messages and .../api/handling-stop-reasons
Only `tool_use` blocks are calls for us; tools that the server runs itself (web search, code
execution, MCP) are kept for the next request and are nobody's to run. Knows nothing about HTTP,
keys or retries, and nothing about events: `stream.py` puts blocks together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from pydantic_core import to_json

from victor.errors import ProviderError
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
from victor.providers.request import PAUSED
from victor.providers.wires.ending import settled_stop, tokens
from victor.types import CompletionResponse, JsonObject, StreamChunk, Usage

__all__ = ["Answer", "decode", "is_error"]

_STOPS: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "refusal": "content_filter",
        "pause_turn": PAUSED,
        "compaction": PAUSED,  # the summary alone; sent back, it is followed by the answer
        # What gateways pass on from behind them.
        "stop": "stop",
        "tool_calls": "tool_calls",
        "length": "length",
        "content_filter": "content_filter",
        "error": "error",
    }
)
_INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_DIRECT = MappingProxyType({"type": "direct"})


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, or the answer is empty.
        ContentFilterError: the model refused before any text came.
        ProviderError: the body is an error object; its type says which.
    """
    value = parse_object(body, provider=provider, model=model)
    if is_error(value):
        raise error_from_body(value, provider=provider, model=model)
    content = value.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise not_ours(f"has no content: {body[:200]!r}", provider=provider, model=model)
    answer = Answer(provider, model)
    answer.blocks = [dict(block) for block in content if isinstance(block, Mapping)]
    answer.take(value, value)
    final = answer.final(complete=True)
    return whole_answer(
        final, content=_text(answer.blocks), reasoning=_text(answer.blocks, "thinking"), raw=value
    )


def is_error(value: Mapping[str, Any]) -> bool:
    """Tell whether a body or an event is an error; gateways do not always wrap theirs."""
    kind = value.get("type")
    if kind == "error" or value.get("error"):
        return True
    return kind is None and ("detail" in value or isinstance(value.get("message"), str))


class Answer:
    """What has arrived of one answer.

    Args:
        provider: the vendor's name, for errors and for the state.
        model: the model that was asked.
    """

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.asked = model
        self.blocks: list[JsonObject] = []
        """Whole blocks. The input of a call may be JSON text or an object."""
        self._model = model
        self._raw_stop: Any = None
        self._details: Mapping[str, Any] = {}
        self._container = ""
        self._usage: JsonObject = {}

    def take(self, message: Mapping[str, Any], delta: Mapping[str, Any]) -> None:
        """Take all but the content of a message or of a `message_delta` event.

        Args:
            message: where `model` and `usage` stand.
            delta: where the stop reason stands.
        """
        self._model = word(message.get("model")) or self._model
        self._raw_stop = delta.get("stop_reason") or self._raw_stop
        self._details = mapping(delta.get("stop_details")) or self._details
        self._container = word(mapping(delta.get("container")).get("id")) or self._container
        usage = {
            name: one for name, one in mapping(message.get("usage")).items() if one is not None
        }
        if not any(count(usage.get(name)) for name in _INPUTS):
            # No prompt has 0 tokens: gateways send it where they do not count again.
            usage = {
                name: one
                for name, one in usage.items()
                if name not in self._usage or name not in _INPUTS
            }
        self._usage |= usage  # cumulative: later figures replace earlier ones

    def final(self, *, complete: bool) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is cut off, refused or empty."""
        if self._raw_stop is None and not complete:
            raise cut_off(provider=self.provider, model=self.asked)
        blocks = self._standing()
        calls = unique_calls(
            (word(block.get("id")), word(block.get("name")), _arguments(block.get("input")))
            for block in blocks
            if block.get("type") == "tool_use"
        )
        stop = self._stop(has_calls=bool(calls))
        if not calls and stop not in ("length", PAUSED) and not _text(blocks):
            self._raise_empty(stop)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=stop,
            usage=_usage(self._usage),
            is_final=True,
            provider_state=self._state(blocks),
            model=self._model,
        )

    def _standing(self) -> list[JsonObject]:
        """Return the blocks that count: nameless calls do not, as nobody can run them.

        Nor do calls before a `fallback` block: their model was stopped, another one went on
        (https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback).
        """
        kinds = [word(block.get("type")) for block in self.blocks]
        seam = max((at for at, kind in enumerate(kinds) if kind == "fallback"), default=-1)
        if seam >= 0:
            self._model = word(mapping(self.blocks[seam].get("to")).get("model")) or self._model
        return [
            block
            for at, (block, kind) in enumerate(zip(self.blocks, kinds, strict=True))
            if (at > seam and word(block.get("name")) if kind == "tool_use" else kind)
        ]

    def _stop(self, *, has_calls: bool) -> str:
        raw = self._raw_stop
        stop = _STOPS.get(raw.lower(), "other") if isinstance(raw, str) else "stop"
        if stop == "tool_calls":
            stop = "stop"  # its calls may be nameless, or another model's
        return settled_stop(stop, has_calls=has_calls)

    def _raise_empty(self, stop: str) -> NoReturn:
        if stop == "content_filter":
            told = (self._details.get("category"), self._details.get("explanation"))
            why = ": ".join(one for one in told if isinstance(one, str) and one)
            raise filtered(brief(why), provider=self.provider, model=self.asked, how="refused")
        if stop != "error":
            raise empty_answer(self._raw_stop, provider=self.provider, model=self.asked)
        raise ProviderError(
            f"{self.provider} answered with an error (stop_reason {brief(self._raw_stop)!r})",
            provider=self.provider,
            model=self.asked,
        )

    def _state(self, blocks: list[JsonObject]) -> JsonObject | None:
        """Return what has to be sent back as it is; None where text and calls say it all."""
        kinds = [block.get("type") for block in blocks]
        in_order = kinds == sorted(kinds, key=lambda kind: kind == "tool_use")
        if in_order and all(map(_is_plain, blocks)):
            return None
        state: JsonObject = {
            "provider": self.provider,
            "blocks": [_stored(block) for block in blocks],
        }
        if self._container:
            state["container"] = self._container
        return {"anthropic": state}


def _is_plain(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "text":
        return not block.get("citations")
    return kind == "tool_use" and len(_stored(block)) == 1


def _stored(block: Mapping[str, Any]) -> JsonObject:
    """Return what is kept of a block: of a call only what `ToolCall` has no place for."""
    kind = block.get("type")
    without = {"type"}
    if kind == "tool_use":
        without |= {"id", "name", "input"}
        if block.get("caller") == _DIRECT:
            without.add("caller")
    if kind == "text" and not block.get("citations"):
        without.add("citations")
    kept = {name: one for name, one in block.items() if name not in without and one is not None}
    return {"type": kind, **kept}


def _text(blocks: Iterable[Mapping[str, Any]], kind: str = "text") -> str:
    return "".join(word(block.get(kind)) for block in blocks if block.get("type") == kind)


def _arguments(value: Any) -> str | Mapping[str, Any] | None:
    if value is None or isinstance(value, str | Mapping):
        return value
    return to_json(value).decode()  # no object: refused like any other bad arguments


def _usage(found: Mapping[str, Any]) -> Usage | None:
    fresh, cached, written = (count(found.get(name)) for name in _INPUTS)
    # What was read from the cache or written to it is not in input_tokens.
    prompt = None if fresh is None else fresh + (cached or 0) + (written or 0)
    completion = count(found.get("output_tokens"))
    if prompt is None and completion is None:
        return None
    return tokens(
        prompt,
        completion,
        cached=cached,
        cache_write=written,
        reasoning=count(mapping(found.get("output_tokens_details")).get("thinking_tokens")),
    )
