"""OpenAI chat completions, the answer: one JSON body, or the events of a stream.

Spec: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming
Reads what servers of this protocol really send, not only what the specification allows. Knows
nothing about HTTP, keys or retries; of several choices only the first is read. Sound that a model
speaks is not read, and `<think>` within the text stays there: a wire does not know who wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from pydantic_core import from_json

from victor.errors import (
    ProviderError,
    ProviderOverloadedError,
)
from victor.providers.failures import error_from_body
from victor.providers.reading import (
    brief,
    cut_off,
    empty_answer,
    filtered,
    mapping,
    not_ours,
    parse_object,
    whole_answer,
    word,
)
from victor.providers.wires.ending import settled_stop
from victor.providers.wires.openai_chat.calls import Calls
from victor.providers.wires.openai_chat.content import WIRE
from victor.providers.wires.openai_chat.usage import usage_of
from victor.types import CompletionResponse, JsonObject, StreamChunk, Usage

__all__ = ["ChatStream", "decode"]

_STOPS: Mapping[str, str] = MappingProxyType(
    {
        "stop": "stop",
        "eos": "stop",
        "eos_token": "stop",
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_calls": "tool_calls",
        "tool_use": "tool_calls",
        "function_call": "tool_calls",
        "length": "length",
        "max_tokens": "length",
        "max_output": "length",
        "model_length": "length",
        "model_context_window_exceeded": "length",
        "content_filter": "content_filter",
        "content_filtered": "content_filter",
        "refusal": "content_filter",
        "safety": "content_filter",
        "sensitive": "content_filter",
        "error": "error",
        "network_error": "error",
        "insufficient_system_resource": "error",
    }
)
_DONE = b"[DONE]"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


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
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise not_ours(f"has no choices: {body[:200]!r}", provider=provider, model=model)
    choice = _choice(choices) or mapping(choices[0] if choices else None)
    answer = _Answer(provider, model)
    answer.add_delta(mapping(choice.get("message")))
    answer.raw_stop = choice.get("finish_reason") or None
    answer.usage = usage_of(value, choice)
    answer.model = word(value.get("model")) or model
    final = answer.final(complete=True)
    return whole_answer(
        final, content="".join(answer.content), reasoning="".join(answer.reasoning), raw=value
    )


class ChatStream:
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
            delta = value["choices"][0]["delta"]
            # The path of nearly every event: one choice, some text, nothing else.
            text = delta["content"]
            if text.__class__ is str and text and len(delta) == 1 and not value.get("error"):
                choice = value["choices"][0]
                if not choice.get("finish_reason") and not choice.get("index"):
                    if value.get("usage"):
                        self._answer.usage = usage_of(value, choice)
                    self._answer.has_text = True
                    return StreamChunk(text)
        except (ValueError, KeyError, IndexError, TypeError):
            bare = data.strip()
            self.done = bare == _DONE
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
        choices = value.get("choices")
        choice = _choice(choices) if isinstance(choices, list) else _NOTHING
        usage = usage_of(value, choice)
        if usage is not None:
            answer.usage = usage  # cumulative where repeated: the last one counts
        answer.model = word(value.get("model")) or answer.model
        if choice.get("finish_reason"):
            answer.raw_stop = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            # Who cannot stream may send the whole answer as one event.
            delta = _NOTHING if answer.begun else mapping(choice.get("message"))
        return answer.add_delta(delta)

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        return self._answer.final(complete=self.done)


class _Answer:
    """What has arrived of one answer."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.asked = model
        self.model: str = model
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.has_text = False
        self.refused = False
        self.details: list[Any] = []
        self.extra: JsonObject = {}
        self.raw_stop: Any = None
        self.usage: Usage | None = None
        self.calls = Calls()

    @property
    def begun(self) -> bool:
        return bool(self.has_text or self.reasoning or self.calls)

    def add_delta(self, delta: Mapping[str, Any]) -> StreamChunk | None:
        """Add a delta, or the message of a whole answer, and return what it adds as a chunk."""
        text, thought = _texts(delta.get("content"))
        refusal = word(delta.get("refusal"))
        if refusal:
            text += refusal
            self.refused = True
        # Some send the same under both names.
        thought += word(delta.get("reasoning_content")) or word(delta.get("reasoning"))
        if isinstance(delta.get("reasoning_details"), list):
            self.details += delta["reasoning_details"]
            if not thought:
                thought = "".join([_detail_text(item) for item in delta["reasoning_details"]])
        if isinstance(delta.get("extra_content"), Mapping):
            self.extra.update(delta["extra_content"])
        fragment = self.calls.add(delta)
        if text:
            self.content.append(text)
            self.has_text = True
        if thought:
            self.reasoning.append(thought)
        if text or thought or fragment:
            return StreamChunk(text, thought, tool_call_delta=fragment)
        return None

    def final(self, *, complete: bool) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is cut off, filtered or empty."""
        if self.raw_stop is None and not complete:
            raise cut_off(provider=self.provider, model=self.asked)
        calls, extras = self.calls.whole()
        stop = "content_filter" if self.refused else self._stop(has_calls=bool(calls))
        if not calls and not self.has_text and stop != "length":
            self._raise_empty(stop)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=stop,
            usage=self.usage,
            is_final=True,
            provider_state=self._state(extras),
            model=self.model,
        )

    def _state(self, extras: list[Any] | None) -> JsonObject | None:
        """Return what has to be sent back although no field of a message says it."""
        state: JsonObject = {}
        if self.details:
            state["reasoning_details"] = _joined(self.details)
        if self.extra:
            state["extra_content"] = self.extra
        if extras:
            state["calls"] = extras
        return {WIRE: {"provider": self.provider, **state}} if state else None

    def _stop(self, *, has_calls: bool) -> str:
        raw = self.raw_stop
        # Gemini says more behind a colon, such as `content_filter: RECITATION`.
        found = raw.partition(":")[0].lower() if isinstance(raw, str) else "stop"
        return settled_stop(_STOPS.get(found, "other"), has_calls=has_calls)

    def _raise_empty(self, stop: str) -> NoReturn:
        if stop == "content_filter":
            raise filtered(provider=self.provider, model=self.asked)
        if stop != "error":
            raise empty_answer(self.raw_stop, provider=self.provider, model=self.asked)
        lacking = self.raw_stop == "insufficient_system_resource"  # DeepSeek
        kind = ProviderOverloadedError if lacking else ProviderError
        raise kind(
            f"{self.provider} answered with an error (finish_reason {brief(self.raw_stop)!r})",
            provider=self.provider,
            model=self.asked,
        )


def _texts(content: Any) -> tuple[str, str]:
    """Return the text and the thinking of a content field, which may be a list of parts."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return "", ""
    text, thought = "", ""
    for part in content:
        if isinstance(part, str):
            text += part
        elif not isinstance(part, Mapping):
            continue
        elif part.get("type") == "thinking":
            inner = part.get("thinking")
            thought += inner if isinstance(inner, str) else _texts(inner)[0]
        else:
            text += word(part.get("text"))
    return text, thought


def _detail_text(item: Any) -> str:
    item = mapping(item)
    return word(item.get("text") or item.get("summary"))


def _joined(details: list[Any]) -> list[Any]:
    """Put each reasoning text together again, as a stream cuts it into many pieces."""
    found: list[Any] = []
    pieces: dict[int, list[str]] = {}
    for item in details:
        last = found[-1] if found else None
        if last is None or not _continues(item, last):
            found.append(dict(item) if isinstance(item, Mapping) else item)
            continue
        place, kind = len(found) - 1, _kind(item)
        pieces.setdefault(place, [word(last.get(kind))]).append(word(item.get(kind)))
        last.update({name: one for name, one in item.items() if one is not None})
    for place, texts in pieces.items():
        found[place][_kind(found[place])] = "".join(texts)
    return found


def _kind(item: Any) -> str:
    return word(mapping(item).get("type")).removeprefix("reasoning.")


def _continues(item: Any, last: Any) -> bool:
    """Tell whether a detail is the next piece of the last one, which has no signature yet."""
    if _kind(item) not in ("text", "summary") or _kind(item) != _kind(last):
        return False
    index = item.get("index")
    return isinstance(index, int) and index == last.get("index") and not last.get("signature")


def _is_error(value: Mapping[str, Any]) -> bool:
    """Tell whether a body or an event is an error; many do not wrap theirs in `error`."""
    if value.get("error"):
        return True
    if "choices" in value:
        return False
    # vLLM and Mistral; FastAPI; SiliconFlow and Qwen.
    return (
        value.get("object") == "error"
        or "detail" in value
        or bool(value.get("code") and value.get("message"))
    )


def _choice(choices: list[Any]) -> Mapping[str, Any]:
    """Return the first choice: there may be others before it, and in a stream there often are."""
    for choice in choices:
        if isinstance(choice, Mapping) and choice.get("index") in (0, None, ""):
            return choice
    return _NOTHING
