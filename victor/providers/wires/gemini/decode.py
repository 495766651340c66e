"""Google Gemini's generateContent, the answer: one JSON body, or the events of a stream.

Spec: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
Both are the same objects: a body is one of them (or an array of them, which is what a server sends
that was not asked for events), a stream is many. Knows nothing about HTTP, keys or retries; of
several candidates only the first is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic_core import from_json

from victor.errors import ProviderInvalidResponseError
from victor.providers.failures import error_from_body
from victor.providers.reading import (
    brief,
    count,
    cut_off,
    filtered,
    mapping,
    not_ours,
    parse_object,
    whole_answer,
    word,
)
from victor.providers.wires.ending import settled_stop, tokens
from victor.providers.wires.gemini.calls import Calls
from victor.providers.wires.gemini.state import Parts
from victor.types import CompletionResponse, JsonObject, StreamChunk, Usage

__all__ = ["GeminiStream", "decode"]

_FILTERED = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
)
_STOPS: Mapping[Any, str] = MappingProxyType(
    {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        # Where enums are sent as numbers. From 9 on the Developer API and Vertex count apart.
        1: "stop",
        2: "length",
        **dict.fromkeys((*_FILTERED, 3, 4, 6, 7, 8), "content_filter"),
    }
)
# The model failed at calling a tool; asked again, it may succeed.
_MISFIRES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
_NOT_YET = (None, "", 0, "FINISH_REASON_UNSPECIFIED")
_DONE = b"[DONE]"


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, the answer is empty, or the
            model failed at calling a tool.
        ContentFilterError: the prompt was blocked, or the answer before any text came.
        ProviderError: the body is an error object; its type says which.
    """
    values = _values(body, provider=provider, model=model)
    answer = _Answer(provider, model)
    chunks = [answer.add(value, where="in a 200 answer") for value in values]
    if not any(name in value for value in values for name in _OURS):
        raise not_ours(f"has no candidates: {body[:200]!r}", provider=provider, model=model)
    final = answer.final(complete=True)
    return whole_answer(
        final,
        content="".join(chunk.content for chunk in chunks if chunk),
        reasoning="".join(chunk.reasoning for chunk in chunks if chunk),
        raw=values[0] if len(values) == 1 else values,
    )


_OURS = ("candidates", "promptFeedback", "usageMetadata")


def _values(data: bytes, *, provider: str, model: str) -> list[JsonObject]:
    """Parse a body or an event: an object, or an array of objects."""
    try:
        value = from_json(data, cache_strings="keys")
    except ValueError:
        value = None
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return value
    return [parse_object(data, provider=provider, model=model)]  # which says what is wrong


class GeminiStream:
    """Reads the events of one stream; see `StreamDecoder`.

    The protocol has no last event: a stream is whole once a finish reason was seen.
    """

    __slots__ = ("_answer", "done")

    def __init__(self, *, provider: str, model: str) -> None:
        self._answer = _Answer(provider, model)
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take the data of one event; return the chunk it makes, if any."""
        if self.done:
            return None
        value = None
        try:
            value = from_json(data, cache_strings="keys")
            (candidate,) = value["candidates"]
            (part,) = candidate["content"]["parts"]
            # The path of nearly every event: one candidate, one part, some text, nothing else.
            text = part["text"]
            if (
                text.__class__ is str
                and text
                and len(part) == 1
                and "finishReason" not in candidate
                and not candidate.get("index")
                and "error" not in value
                and "promptFeedback" not in value
            ):
                usage = value.get("usageMetadata")
                if usage:
                    self._answer.take_usage(usage)
                self._answer.parts.plain += len(text)
                return StreamChunk(text)
        except (ValueError, KeyError, TypeError):
            bare = data.strip()
            self.done = bare == _DONE  # of a proxy; Google sends none
            if self.done or not bare:
                return None
        return self._slowly(data, value)

    def _slowly(self, data: bytes, value: Any) -> StreamChunk | None:
        answer = self._answer
        is_object = isinstance(value, dict)
        values = (
            [value] if is_object else _values(data, provider=answer.provider, model=answer.asked)
        )
        found = [chunk for one in values if (chunk := answer.add(one, where="in the stream"))]
        if len(found) <= 1:
            return found[0] if found else None
        return StreamChunk(
            "".join(chunk.content for chunk in found),
            "".join(chunk.reasoning for chunk in found),
            tool_call_delta="".join(chunk.tool_call_delta for chunk in found),
        )

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        return self._answer.final(complete=self.done)


class _Answer:
    """What has arrived of one answer."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.asked = model
        self.model = model
        self.calls = Calls()
        self.parts = Parts()
        self.raw_stop: Any = None
        self.why = ""
        self.is_blocked = False
        self._usage: Mapping[str, Any] = {}

    def take_usage(self, usage: Any) -> None:
        """Keep the counts, which stand on every event and are sums: the last one counts.

        Vertex's first events only say which traffic they are; they must not hide earlier counts.
        """
        if isinstance(usage, Mapping):
            self._usage = usage if "promptTokenCount" in usage else {**self._usage, **usage}

    def add(self, value: Mapping[str, Any], *, where: str) -> StreamChunk | None:
        """Add one object and return what it adds as a chunk."""
        if value.get("error") or ("candidates" not in value and value.get("message")):
            raise error_from_body(value, provider=self.provider, model=self.asked, where=where)
        self.take_usage(value.get("usageMetadata"))
        self.model = word(value.get("modelVersion")) or self.model
        feedback = mapping(value.get("promptFeedback"))
        if feedback.get("blockReason"):
            self.is_blocked = True
            self.why = word(feedback.get("blockReasonMessage")) or str(feedback["blockReason"])
        candidate = _first(value.get("candidates"))
        reason = candidate.get("finishReason")
        if reason not in _NOT_YET:
            self.raw_stop = reason
            self.why = word(candidate.get("finishMessage")) or self.why
        parts = mapping(candidate.get("content")).get("parts")
        text, thought, delta = "", "", ""
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                more = self._add_part(part)
                text, thought, delta = text + more[0], thought + more[1], delta + more[2]
        return (
            StreamChunk(text, thought, tool_call_delta=delta) if text or thought or delta else None
        )

    def _add_part(self, part: Mapping[str, Any]) -> tuple[str, str, str]:
        """Add a part; return its text, its thinking, and a sign of life of a call."""
        call = part.get("functionCall")
        if isinstance(call, Mapping):
            self.parts.add_call(part, call, begins=self.calls.add(call))
            return "", "", word(call.get("name")) or "…"
        text = part.get("text")
        if not isinstance(text, str):
            self.parts.add_other(part)
            return "", "", ""
        self.parts.add_text(part, text)
        return ("", text, "") if part.get("thought") is True else (text, "", "")

    def final(self, *, complete: bool) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is cut off, filtered or empty."""
        if self.raw_stop is None and not self.is_blocked and not complete:
            raise cut_off(provider=self.provider, model=self.asked)
        raw = self.raw_stop
        stop = "stop" if raw is None else _STOPS.get(_hashable(raw), "other")
        stop = "content_filter" if self.is_blocked else stop
        calls = self.calls.whole(cut=stop == "length")
        if not calls:
            self._check_not_empty(stop)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=settled_stop(stop, has_calls=bool(calls)),
            usage=_usage(self._usage),
            is_final=True,
            provider_state=self.parts.state(self.provider),
            model=self.model,
        )

    def _check_not_empty(self, stop: str) -> None:
        """Raise for an answer without calls that is no answer."""
        reason = "" if self.raw_stop is None else f"finish reason {brief(self.raw_stop)}"
        why = brief(self.why) if self.why else ""
        detail = ": ".join(filter(None, (reason, why))) or "no reason"
        who: dict[str, Any] = {"provider": self.provider, "model": self.asked}
        if _hashable(self.raw_stop) in _MISFIRES:
            raise ProviderInvalidResponseError(
                f"{self.provider}'s model failed at calling a tool ({detail})", fault="model", **who
            )
        if self.parts.has_content or stop == "length":
            return
        if stop == "content_filter":
            what = "blocked the prompt" if self.is_blocked else "filtered the answer"
            raise filtered(detail, **who, how=what)
        raise ProviderInvalidResponseError(
            f"{self.provider} answered with neither text nor tool calls ({detail})",
            fault="empty",
            **who,
        )


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int) else None


def _first(candidates: Any) -> Mapping[str, Any]:
    """Return the candidate of index 0, which may say so or not."""
    if not isinstance(candidates, list):
        return {}
    found = (one for one in candidates if isinstance(one, Mapping) and not one.get("index"))
    return next(found, {})


def _usage(usage: Mapping[str, Any]) -> Usage | None:
    prompt = _sum(usage, "promptTokenCount", "toolUsePromptTokenCount")
    completion = _sum(usage, "candidatesTokenCount", "thoughtsTokenCount")
    total = count(usage.get("totalTokenCount"))
    if prompt is None and completion is None and total is None:
        return None
    return tokens(
        prompt,
        completion,
        total=total,
        cached=count(usage.get("cachedContentTokenCount")),
        reasoning=count(usage.get("thoughtsTokenCount")),
    )


def _sum(usage: Mapping[str, Any], *names: str) -> int | None:
    known = [number for name in names if (number := count(usage.get(name))) is not None]
    return sum(known) if known else None
