"""Amazon Bedrock's Converse, the answer: one JSON body; and what a stream comes to at its end.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
What Bedrock's own servers ran (`server_tool_use` and its result) is no call of the client's. Knows
nothing about HTTP, signatures or retries, and does not look into what models add of their own
(`additionalModelResponseFields`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from victor.providers.failures import error_from_body
from victor.providers.reading import (
    bad_call,
    count,
    empty_answer,
    filtered,
    mapping,
    not_ours,
    parse_object,
    unique_calls,
    whole_answer,
    word,
)
from victor.providers.wires.ending import settled_stop, tokens
from victor.types import CompletionResponse, JsonObject, StreamChunk, Usage

__all__ = ["STATE_NAME", "Answer", "decode", "routed_to", "usage_of"]

STATE_NAME = "bedrock"
"""The key of this wire in `Message.provider_state`."""

_STOPS: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
        "error": "error",
    }
)
_MALFORMED = frozenset({"malformed_tool_use", "malformed_model_output"})


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, the answer is empty, or the
            model wrote a call that Bedrock could not read.
        ContentFilterError: a guardrail or a filter stopped it before any text came.
        ProviderError: the body is an error object; its type says which.
    """
    value = parse_object(body, provider=provider, model=model)
    content = mapping(mapping(value.get("output")).get("message")).get("content")
    if not isinstance(content, list) and "stopReason" not in value:
        if "error" in value or "__type" in value or isinstance(value.get("message"), str):
            raise error_from_body(_as_error(value), provider=provider, model=model)
        raise not_ours(f"has no output: {body[:200]!r}", provider=provider, model=model)
    answer = Answer(content if isinstance(content, list) else ())
    final = answer.final(
        value.get("stopReason"),
        usage_of(value),
        provider=provider,
        model=model,
        answered_by=routed_to(value) or model,
    )
    return whole_answer(
        final, content="".join(answer.content), reasoning="".join(answer.reasoning), raw=value
    )


class Answer:
    """What the blocks of an answer say.

    Args:
        blocks: `output.message.content`, or as much of it as a stream brought.
    """

    __slots__ = ("_blocks", "_calls", "_must_keep", "content", "reasoning")

    def __init__(self, blocks: Iterable[Any]) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self._calls: list[tuple[str, str, Any]] = []
        self._blocks: list[JsonObject] = []
        # Whether there is something in them that content and calls do not say.
        self._must_keep = False
        for block in blocks:
            if isinstance(block, dict):
                self._add(block)

    def _add(self, block: JsonObject) -> None:
        if isinstance(block.get("text"), str):
            self.content.append(block["text"])
            self._blocks.append({"text": block["text"]})
        elif isinstance(block.get("toolUse"), dict):
            self._add_call(block["toolUse"])
        elif isinstance(block.get("reasoningContent"), dict):
            self._add_reasoning(block["reasoningContent"])
        elif isinstance(block.get("citationsContent"), dict):
            parts = block["citationsContent"].get("content")
            self.content += [
                word(mapping(part).get("text"))
                for part in (parts if isinstance(parts, list) else ())
            ]
            self._keep(block)
        elif any(isinstance(part, dict) for part in block.values()):
            self._keep(block)

    def _add_call(self, call: Mapping[str, Any]) -> None:
        if call.get("type") == "server_tool_use":
            self._keep({"toolUse": call})
            return
        call_id, name = word(call.get("toolUseId")), word(call.get("name"))
        if name:
            arguments = call.get("input")
            if arguments is not None and not isinstance(arguments, str | Mapping):
                arguments = str(arguments)  # refused like any other bad arguments
            self._calls.append((call_id, name, arguments))
            self._blocks.append({"toolUse": {"toolUseId": call_id, "name": name}})

    def _add_reasoning(self, reasoning: Mapping[str, Any]) -> None:
        told = mapping(reasoning.get("reasoningText"))
        self.reasoning.append(word(told.get("text")))
        # Only what is signed or encrypted may, and has to, be sent back as it was.
        if told.get("signature") or reasoning.get("redactedContent"):
            self._keep({"reasoningContent": reasoning})

    def _keep(self, block: JsonObject) -> None:
        self._blocks.append(block)
        self._must_keep = True

    def final(
        self,
        raw_stop: Any,
        usage: Usage | None,
        *,
        provider: str,
        model: str,
        answered_by: str,
    ) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is empty, filtered or malformed."""
        if isinstance(raw_stop, str) and raw_stop in _MALFORMED:
            raise bad_call(raw_stop, provider=provider, model=model)
        calls = unique_calls(self._calls)
        stop = _STOPS.get(raw_stop, "other") if isinstance(raw_stop, str) else "stop"
        stop = settled_stop(stop, has_calls=bool(calls))
        if not calls and stop != "length" and not any(self.content):
            if stop == "content_filter":
                raise filtered(raw_stop, provider=provider, model=model, how="stopped the answer")
            raise empty_answer(raw_stop, provider=provider, model=model)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=stop,
            usage=usage,
            is_final=True,
            provider_state=self._state(provider, model),
            model=answered_by,
        )

    def _state(self, provider: str, model: str) -> JsonObject | None:
        if not self._must_keep:
            return None
        return {STATE_NAME: {"provider": provider, "model": model, "blocks": self._blocks}}


def usage_of(value: Mapping[str, Any]) -> Usage | None:
    """Read the tokens of an answer, or of a stream's metadata."""
    usage = mapping(value.get("usage"))
    if not usage:
        return None
    asked, answered = count(usage.get("inputTokens")), count(usage.get("outputTokens"))
    read, written = _cached(usage, "cacheReadInput"), _cached(usage, "cacheWriteInput")
    if asked is not None:
        asked += (read or 0) + (written or 0)  # Bedrock counts them apart
    return tokens(
        asked, answered, total=count(usage.get("totalTokens")), cached=read, cache_write=written
    )


def _cached(usage: Mapping[str, Any], name: str) -> int | None:
    found = count(usage.get(f"{name}Tokens"))
    return count(usage.get(f"{name}TokenCount")) if found is None else found


def routed_to(value: Mapping[str, Any]) -> str:
    """Return the model that a prompt router chose; empty without one."""
    return word(mapping(mapping(value.get("trace")).get("promptRouter")).get("invokedModelId"))


def _as_error(value: JsonObject) -> JsonObject:
    """Return an error of AWS's own shape in the one that everybody else has."""
    if "error" in value:
        return value
    kind = word(value.get("__type")).rpartition("#")[2]
    return {"error": {"type": kind, "message": value.get("message") or value.get("Message")}}
